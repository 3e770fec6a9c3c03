//! A text as it was read, and places in it.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::TextError;
use crate::DataError;

/// The bytes of a text, and what messages call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    origin: String,
    bytes: Vec<u8>,
}

impl Text {
    /// Reads a file, plain or gzip (`.gz`).
    ///
    /// # Errors
    /// [`DataError::Io`], [`TextError::Empty`], or [`TextError::Damaged`].
    pub fn read(file: &Path) -> Result<Self, DataError> {
        let mut bytes = fs::read(file).map_err(|source| DataError::Io {
            file: file.to_owned(),
            action: "read",
            source,
        })?;
        let origin = file.display().to_string();
        if file.extension().is_some_and(|extension| extension == "gz") {
            let mut unpacked = Vec::new();
            MultiGzDecoder::new(&bytes[..])
                .read_to_end(&mut unpacked)
                .map_err(|source| TextError::Damaged { origin: origin.clone(), source })?;
            bytes = unpacked;
        }
        Self::new(&origin, bytes)
    }

    /// A text from elsewhere, as from an option of the command line.
    ///
    /// # Errors
    /// [`TextError::Empty`].
    pub fn new(origin: &str, bytes: Vec<u8>) -> Result<Self, DataError> {
        let origin = origin.to_owned();
        if bytes.is_empty() {
            return Err(TextError::Empty { origin }.into());
        }
        Ok(Self { origin, bytes })
    }

    /// What messages call the text: the file, or the option that gave it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text as characters.
    ///
    /// # Errors
    /// [`TextError::NotUtf8`] with the offset of the first byte that is not.
    pub fn characters(&self) -> Result<&str, DataError> {
        std::str::from_utf8(&self.bytes).map_err(|error| {
            let offset = error.valid_up_to();
            let [line, _] = self.place(offset);
            TextError::NotUtf8 { origin: self.origin.clone(), offset, line }.into()
        })
    }

    /// Line and column of a byte, both from 1; columns count characters.
    pub(super) fn place(&self, offset: usize) -> [usize; 2] {
        let before = &self.bytes[..offset];
        let mut lines = before.split(|&byte| byte == b'\n');
        let last = lines.next_back().unwrap_or_default();
        [lines.count() + 1, n_characters(last) + 1]
    }
}

/// Characters that begin in these bytes; of bytes that are not UTF-8 all but continuation bytes.
pub(super) fn n_characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| begins_character(byte)).count()
}

pub(super) fn begins_character(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn gzip_is_unpacked_and_damage_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt.gz");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all("zwölf".as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        fs::write(&file, &packed).unwrap();
        assert_eq!(Text::read(&file).unwrap().characters().unwrap(), "zwölf");
        fs::write(&file, &packed[..packed.len() - 9]).unwrap();
        let message = Text::read(&file).unwrap_err().to_string();
        assert!(message.ends_with("the gzip data end early or are damaged; get the file again"));
    }

    #[test]
    fn what_is_no_text_is_named() {
        let message = |bytes: &[u8]| {
            let text = Text::new("a.txt", bytes.to_vec());
            text.and_then(|text| text.characters().map(str::to_owned)).unwrap_err().to_string()
        };
        assert_eq!(message(b""), "a.txt is empty, expected text");
        assert_eq!(
            message(b"one\ntwo \xff\xfe"),
            "a.txt, line 2: the byte at offset 8 is not UTF-8; save the text as UTF-8, or set \
             data.tokenizer.kind = \"byte\", which reads any bytes"
        );
    }

    #[test]
    fn places_count_lines_and_characters() {
        let text = Text::new("a", "äb\ncöd".as_bytes().to_vec()).unwrap();
        let at = |part: &str| text.place(text.characters().unwrap().find(part).unwrap());
        assert_eq!((at("ä"), at("b"), at("c"), at("d")), ([1, 1], [1, 2], [2, 1], [2, 3]));
    }
}
