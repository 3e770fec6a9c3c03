//! Golden numbers in safetensors files.

use std::path::Path;

/// The tensors of a safetensors file: the length of a JSON header, the header, the bytes.
pub(crate) struct Golden {
    header: serde_json::Value,
    bytes: Vec<u8>,
}

impl Golden {
    pub(crate) fn open(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let file = std::fs::read(folder.join(name)).unwrap();
        let (length, rest) = file.split_first_chunk::<8>().unwrap();
        let (header, bytes) = rest.split_at(usize::from_le_bytes(*length));
        Self { header: serde_json::from_slice(header).unwrap(), bytes: bytes.to_vec() }
    }

    /// The numbers of 8 bytes of a tensor of this type.
    pub(crate) fn words(&self, name: &str, kind: &str) -> impl Iterator<Item = [u8; 8]> {
        let tensor = &self.header[name];
        assert_eq!(tensor["dtype"], kind, "{name}");
        let at = |i: usize| usize::try_from(tensor["data_offsets"][i].as_u64().unwrap()).unwrap();
        self.bytes[at(0)..at(1)].as_chunks::<8>().0.iter().copied()
    }

    pub(crate) fn reals(&self, name: &str) -> Vec<f64> {
        self.words(name, "F64").map(f64::from_le_bytes).collect()
    }
}
