//! Bytes of every kind to the reader of `.ts` and `.arff` files: it may refuse, and must not panic.
//!
//! ```sh
//! REGARD_FUZZ_S=60 cargo test --release -p regard-data --test fuzz_archive_files -- --ignored --nocapture
//! ```
//!
//! Files are changed at random; one that draws a message, or a shape of data, that none has drawn
//! before is kept and changed again. The seed is fixed; how far it comes is a matter of time.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regard_data::labelled::{LabelledOptions, read_from};

/// Without `REGARD_FUZZ_S`.
const DEFAULT_S: u64 = 10;
/// Longer files are cut: they are slow and say no more.
const LONGEST: usize = 4096;

const CORPUS: [(bool, &[u8]); 6] = [
    (false, b"# c\n@problemName P\n@timeStamps false\n@univariate false\n@dimensions 2\n\
        @equalLength true\n@seriesLength 3\n@classLabel true a b\n@data\n1,2,3:4,5,6:a\n\
        -1,?,1e3:7,8,NaN:b\n"),
    (false, b"@timeStamps true\r\n@classLabel true a b\r\n@data\r\n(0,1),(1,?):(0,3),(1,4):a\r\n\
        (0,5),(1,6):(0,7),(1,8):b\r\n"),
    (false, b"@timestamps true\n@data\n(2026-01-31 12:00:00,1),(2026-01-31 13:00:00,2):a\n\
        (2026-01-31,1):b\n"),
    (false, b"@data\n1:a\n2,3:b\n"),
    (true, b"% c\n@relation r\n@attribute s relational\n@attribute 't 0' numeric\n@attribute t1 real\n\
        @end s\n@attribute class {a,'b c'}\n@data\n'1,2\\n3,4',a\n\"5,6\\n7,?\",'b c'\n"),
    (true, b"@relation r\n@attribute t0 numeric\n@attribute t1 integer\n@attribute c {1,2}\n@data\n\
        1,2,1\n3,?,2\n"),
];

const WORDS: [&[u8]; 34] = [
    b"@data\n",
    b"@end\n",
    b"@classLabel ",
    b"@classLabel false\n",
    b"@targetLabel true\n",
    b"@timeStamps true\n",
    b"@equalLength true\n",
    b"@equalLength false\n",
    b"@univariate true\n",
    b"@dimensions 18446744073709551615\n",
    b"@seriesLength 4294967296\n",
    b"@seriesLength 2\n",
    b"@attribute x numeric\n",
    b"@attribute x relational\n",
    b"@attribute x {a,b}\n",
    b"\n",
    b"\r\n",
    b":",
    b",",
    b"(",
    b")",
    b"'",
    b"\"",
    b"\\n",
    b"{",
    b"}",
    b"?",
    b"NaN",
    b"-1e308",
    b"1e999",
    b"\x1f\x8b",
    b"\0",
    b"\xef\xbb\xbf",
    b"9223-01-01",
];

/// A file and one more, mixed and changed.
fn changed(rng: &mut ChaCha8Rng, file: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..rng.random_range(1..8) {
        let at = rng.random_range(0..=bytes.len());
        let end = (at + rng.random_range(0..12)).min(bytes.len());
        match rng.random_range(0..7) {
            0 => drop(bytes.splice(at..end, WORDS[rng.random_range(0..WORDS.len())].to_vec())),
            1 => bytes.insert(at, rng.random()),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at.max(1)),
            4 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8_u32),
            5 => {
                let piece = bytes[at..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                drop(bytes.splice(to..to, piece));
            }
            _ => {
                let from = rng.random_range(0..=other.len());
                let to = (from + rng.random_range(0..200)).min(other.len());
                drop(bytes.splice(at..end, other[from..to].to_vec()));
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

/// What a file draws: the message without its numbers and names, or the shape of the data.
fn outcome(is_arff: bool, bytes: &[u8]) -> String {
    let name = Path::new(if is_arff { "x.arff" } else { "x.ts" });
    match read_from(bytes, name, &LabelledOptions::default()) {
        Ok(data) => {
            let set = &data.train.set;
            assert!(set.series.iter().flat_map(|series| &series.values).all(|x| x.is_finite()));
            let known = set.dt.is_some();
            format!("{} {} {known}", set.channels(), data.train.classes.len())
        }
        Err(error) => {
            let message = error.to_string();
            let parts: Vec<&str> = message.split('"').step_by(2).collect();
            parts.concat().chars().filter(|sign| !sign.is_ascii_digit()).collect()
        }
    }
}

#[test]
#[ignore = "runs for REGARD_FUZZ_S seconds"]
fn no_bytes_make_the_reader_panic() {
    let seconds = std::env::var("REGARD_FUZZ_S").ok().and_then(|text| text.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(DEFAULT_S));
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut kept: Vec<(bool, Vec<u8>)> =
        CORPUS.iter().map(|&(is_arff, file)| (is_arff, file.to_vec())).collect();
    let mut seen = HashSet::new();
    let mut count = 0_u64;
    while Instant::now() < end {
        let (is_arff, file) = &kept[rng.random_range(0..kept.len())];
        let (is_arff, other) = (*is_arff, &kept[rng.random_range(0..kept.len())].1);
        let bytes = if rng.random_range(0..50) == 0 {
            let mut bytes = vec![0; rng.random_range(0..300)];
            rng.fill_bytes(&mut bytes);
            bytes
        } else {
            changed(&mut rng, file, other)
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| outcome(is_arff, &bytes)));
        let Ok(outcome) = outcome else {
            panic!("{} makes the reader panic", bytes.escape_ascii());
        };
        if seen.insert(outcome) {
            kept.push((is_arff, bytes));
        }
        count += 1;
    }
    eprintln!("{count} files, {} different outcomes", seen.len());
    assert!(count > 1000 && seen.len() > 40, "{count} files, {} outcomes", seen.len());
}
