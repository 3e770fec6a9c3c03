#!/usr/bin/env bash
# What no compiler checks: paths of one machine, work without an issue, hosts, broken links.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

found=0

# Lines that match an extended regular expression, in all files that git knows or would add.
refuse() {
    local what="$1" pattern="$2"
    shift 2
    local lines status=0
    lines=$(git grep --untracked -nIE -e "$pattern" -- . "$@") || status=$?
    if [ "$status" -gt 1 ]; then
        exit "$status"
    fi
    if [ -n "$lines" ]; then
        printf '%s:\n%s\n' "$what" "$lines" >&2
        found=1
    fi
}

refuse 'path of one machine' '(^|[^A-Za-z0-9_.~-])/(work|home|root|Users)/|[.][.]/shared' ':!.ci/run'
refuse 'work to do without an issue (write TO''DO(#12))' '\bTO''DO\b([^(]|[(][^#]|$)'
refuse 'host of a package registry' \
    'crates[.]io|pypi[.]org|pythonhosted[.]org|npmjs[.]org|deb[.]debian[.]org' ':!Cargo.lock'

while IFS= read -r file; do
    folder=$(dirname "$file")
    while IFS= read -r target; do
        case "$target" in
            '' | '#'* | *://* | mailto:*) continue ;;
        esac
        if [ ! -e "$folder/${target%%#*}" ]; then
            echo "$file: link to $target, which does not exist" >&2
            found=1
        fi
    done < <(grep -oE '\]\([^() ]+\)' "$file" | sed -E 's/^\]\(//; s/\)$//' || true)
done < <(git ls-files --cached --others --exclude-standard -- '*.md')

exit "$found"
