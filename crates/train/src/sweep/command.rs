//! Command lines that can be pasted into a shell.

/// `words` as a POSIX shell reads them back.
pub(crate) fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_shell_reads_the_words_back() {
        let words = ["regard", "train", "--set", "title=\"it's\"", "a=1e-3", "[1, 2]"];
        assert_eq!(line(words), r#"regard train --set 'title="it'\''s"' a=1e-3 '[1, 2]'"#);
    }
}
