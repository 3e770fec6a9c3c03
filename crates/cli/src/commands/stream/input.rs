//! Input cut into lines, and long lines into parts.

use std::io::{self, BufRead, Read};
use std::mem;

/// Reads parts of lines.
pub(super) struct Parts<R> {
    input: R,
    longest: usize,
    /// Bytes of a character whose other bytes are not read yet.
    held: Vec<u8>,
    /// Whether anything was read.
    begun: bool,
}

/// A line, or a part of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// With the line break, where there is one.
    pub(super) bytes: Vec<u8>,
    /// Whether the line ends here.
    pub(super) ends: bool,
    /// Whether it is the first of the input.
    pub(super) first: bool,
}

impl<R: BufRead> Parts<R> {
    /// Parts of at most `longest` bytes, at least 4.
    pub(super) fn new(input: R, longest: usize) -> Self {
        Self { input, longest, held: Vec::new(), begun: false }
    }

    /// The next part, which does not end within a character; `None` at the end of the input.
    pub(super) fn next(&mut self) -> io::Result<Option<Part>> {
        let mut bytes = mem::take(&mut self.held);
        let room = self.longest - bytes.len();
        let read = self.input.by_ref().take(room as u64).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let ends = bytes.ends_with(b"\n");
        if !ends && read == room {
            self.held = bytes.split_off(whole(&bytes));
        }
        let first = !mem::replace(&mut self.begun, true);
        Ok(Some(Part { bytes, ends, first }))
    }
}

/// Number of bytes before a character of UTF-8 that is cut off at the end; all where none is.
pub(super) fn whole(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    let start = bytes[tail..].iter().rposition(|byte| byte & 0b1100_0000 != 0b1000_0000);
    let Some(start) = start.map(|at| tail + at) else { return bytes.len() };
    let length = match bytes[start] {
        0b1100_0000..=0b1101_1111 => 2,
        0b1110_0000..=0b1110_1111 => 3,
        0b1111_0000..=0b1111_0111 => 4,
        _ => 1,
    };
    if bytes.len() - start < length { start } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(input: &[u8], longest: usize) -> Vec<(Vec<u8>, bool)> {
        let mut parts = Parts::new(input, longest);
        std::iter::from_fn(|| parts.next().unwrap()).map(|p| (p.bytes, p.ends)).collect()
    }

    #[test]
    fn long_lines_come_in_parts_between_characters() {
        let text = "äbcäde\nf\n\ng";
        let found = parts(text.as_bytes(), 5);
        let found: Vec<(&str, bool)> =
            found.iter().map(|(b, ends)| (std::str::from_utf8(b).unwrap(), *ends)).collect();
        let expected = [("äbc", false), ("äde\n", true), ("f\n", true), ("\n", true), ("g", false)];
        assert_eq!(found, expected);
    }

    #[test]
    fn bytes_that_are_no_text_come_as_they_are() {
        let bytes = [0xff, 0x80, 0x80, 0x80, 0x80, 0xf0, 0x9f];
        let joined: Vec<u8> = parts(&bytes, 4).into_iter().flat_map(|(part, _)| part).collect();
        assert_eq!(joined, bytes);
    }
}
