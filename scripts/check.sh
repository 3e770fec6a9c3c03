#!/usr/bin/env bash
# Before each commit: text, format, lints, tests, documentation. Uses typos and cargo-deny if installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

optional() {
    if command -v "$1" >/dev/null; then
        "${@:2}"
    else
        echo "scripts/check.sh: $1 is not installed; skipped" >&2
    fi
}

scripts/check-text.sh
cargo fmt --all --check
optional typos typos
cargo clippy --release --workspace --all-targets -- -D warnings
cargo test --release
RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps
optional cargo-deny cargo deny check
