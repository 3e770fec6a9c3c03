//! Lines of a text file of any encoding, plain or gzip, one at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::error::{ArchiveError, ArchiveProblem, excerpt};
use crate::DataError;

/// The first bytes of gzip data.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The mark of UTF-8 that some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a file line by line; the longest line is what it holds in memory.
pub(super) struct Lines<'a> {
    input: Box<dyn BufRead + 'a>,
    file: &'a Path,
    number: u64,
    buffer: Vec<u8>,
}

/// A line without its end, LF or CRLF.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) text: &'a [u8],
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) file: &'a Path,
}

/// A piece of a line, without the blanks around it.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) text: &'a [u8],
    /// Bytes of the line before it.
    pub(super) start: usize,
    pub(super) line: Line<'a>,
}

impl<'a> Lines<'a> {
    /// Opens a file.
    pub(super) fn open(file: &'a Path) -> Result<Self, DataError> {
        let opened = File::open(file).map_err(|source| unreadable(file, source))?;
        Self::of(BufReader::new(opened), file)
    }

    /// Reads text, or gzip data, which its first bytes tell.
    pub(super) fn of(mut input: impl BufRead + 'a, file: &'a Path) -> Result<Self, DataError> {
        let start = input.fill_buf().map_err(|source| unreadable(file, source))?;
        let input: Box<dyn BufRead + 'a> = if start.starts_with(&GZIP) {
            Box::new(BufReader::new(MultiGzDecoder::new(input)))
        } else {
            Box::new(input)
        };
        Ok(Self { input, file, number: 0, buffer: Vec::new() })
    }

    /// The next line, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, DataError> {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        self.buffer.clear();
        let read = self.input.read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|source| match source.kind() {
            InvalidData | InvalidInput | UnexpectedEof => self.end(ArchiveProblem::Damaged),
            _ => unreadable(self.file, source),
        })?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let mut text = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        text = text.strip_suffix(b"\r").unwrap_or(text);
        if self.number == 1 {
            text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        }
        Ok(Some(Line { text, number: self.number, file: self.file }))
    }

    /// A problem at the end of what was read.
    pub(super) fn end(&self, problem: ArchiveProblem) -> DataError {
        ArchiveError::at(self.file, self.number + 1, 1, problem)
    }
}

fn unreadable(file: &Path, source: io::Error) -> DataError {
    DataError::Io { file: file.to_owned(), action: "read", source }
}

impl<'a> Line<'a> {
    /// The bytes from `start` to `end`, without the blanks around them.
    pub(super) fn field(self, start: usize, end: usize) -> Field<'a> {
        let text = &self.text[start..end];
        let blanks = text.len() - text.trim_ascii_start().len();
        Field { text: text.trim_ascii(), start: start + blanks, line: self }
    }

    /// The whole line.
    pub(super) fn all(self) -> Field<'a> {
        self.field(0, self.text.len())
    }

    /// Whether it says nothing: blank, or a comment of any bytes.
    pub(super) fn is_comment(self) -> bool {
        matches!(self.text.trim_ascii_start().first(), None | Some(b'#' | b'%'))
    }

    /// A problem at a byte of the line.
    pub(super) fn error(self, start: usize, problem: ArchiveProblem) -> DataError {
        ArchiveError::at(self.file, self.number, start + 1, problem)
    }
}

impl<'a> Field<'a> {
    /// The pieces between the separators; at least one.
    pub(super) fn split(self, separator: u8) -> impl Iterator<Item = Field<'a>> {
        let mut start = self.start;
        self.text.split(move |&byte| byte == separator).map(move |piece| {
            let end = start + piece.len();
            let field = self.line.field(start, end);
            start = end + 1;
            field
        })
    }

    /// The first word, and what stands behind it.
    pub(super) fn word(self) -> (Self, Self) {
        let length = self.text.iter().position(u8::is_ascii_whitespace).unwrap_or(self.text.len());
        let end = self.start + self.text.len();
        (
            self.line.field(self.start, self.start + length),
            self.line.field(self.start + length, end),
        )
    }

    /// The number it is; NaN where it is missing.
    pub(super) fn number(self) -> Result<f64, DataError> {
        if self.text == b"?" {
            return Ok(f64::NAN);
        }
        let number = std::str::from_utf8(self.text).ok().and_then(|text| text.parse().ok());
        let number = number.filter(|number: &f64| !number.is_infinite());
        number.ok_or_else(|| self.error(ArchiveProblem::NotANumber { found: self.excerpt() }))
    }

    /// The text, with a sign for each byte that is not UTF-8.
    pub(super) fn lossy(self) -> String {
        String::from_utf8_lossy(self.text).into_owned()
    }

    /// The start of the text, for a message.
    pub(super) fn excerpt(self) -> String {
        excerpt(self.text)
    }

    /// A problem where the field starts.
    pub(super) fn error(self, problem: ArchiveProblem) -> DataError {
        self.line.error(self.start, problem)
    }
}
