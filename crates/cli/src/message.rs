//! Text for people on standard error: error chains, and commands that can be pasted into a shell.

use std::error::Error;
use std::io;
use std::path::Path;

/// The messages of an error and its causes, outermost first, each said once.
///
/// Some libraries repeat their cause in their own message; such a cause adds nothing and is left
/// out.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(plain) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// What one cause says; the temporary name under which a file was begun means nothing to a user.
fn plain(cause: &(dyn Error + 'static)) -> String {
    let text = cause.to_string();
    match text.split_once(" at path \"") {
        Some((reason, _)) if cause.is::<io::Error>() => reason.to_string(),
        _ => text,
    }
}

/// `word` as a POSIX shell reads it back.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A path as a POSIX shell reads it back, never mistaken for an option.
pub(crate) fn quoted_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.starts_with('-') { quoted(&format!("./{text}")) } else { quoted(&text) }
}

/// The command line of this process, without the folder of the program.
pub(crate) fn command_line() -> String {
    let arguments = std::env::args_os().skip(1);
    let words = arguments.map(|word| quoted(&word.to_string_lossy()));
    std::iter::once(String::from("regard")).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_chain_says_everything_once() {
        let error = anyhow!("disk full").context("cannot write a.csv").context("cannot predict");
        assert_eq!(chain(&error), "cannot predict: cannot write a.csv: disk full");
        let error = anyhow!("disk full").context("cannot write a.csv (disk full)");
        assert_eq!(chain(&error), "cannot write a.csv (disk full)");
    }

    #[test]
    fn temporary_names_are_left_out() {
        let error = io::Error::other("no space left at path \".partial-x\"");
        let error = anyhow::Error::from(error).context("cannot write a.csv");
        assert_eq!(chain(&error), "cannot write a.csv: no space left");
    }

    #[test]
    fn a_shell_reads_quoted_words_back() {
        assert_eq!(quoted("runs/2031-01-02-lorenz"), "runs/2031-01-02-lorenz");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$(rm)"), "'$(rm)'");
        assert_eq!(quoted_path(Path::new("-x")), "./-x");
    }
}
