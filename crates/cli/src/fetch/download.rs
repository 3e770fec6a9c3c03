//! One file from an address, with its length and its checksum checked.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use ureq::{Agent, Error};

/// How long a server may say nothing.
const PATIENCE: Duration = Duration::from_mins(1);
const CHUNK: usize = 1 << 16;
const BAR: &str = "{prefix} {bar:16} {bytes}/{total_bytes} · {eta} left";
const SPINNER: &str = "{prefix} {spinner} {bytes}";

/// Copies what `address` serves into `file`, and checks its SHA-256 where one is given in hex.
pub(super) fn download(address: &str, file: &mut File, sha256: Option<&str>) -> Result<()> {
    let config = Agent::config_builder()
        .timeout_resolve(Some(PATIENCE))
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .build();
    let mut response = match config.new_agent().get(address).call() {
        Ok(response) => response,
        Err(Error::StatusCode(status)) => bail!(
            "{address} answers with status {status}, expected the archive; give another address, \
             or a file, with --from"
        ),
        Err(error) => {
            return Err(error).with_context(|| {
                format!("cannot reach {address}; give another address, or a file, with --from")
            });
        }
    };
    let expected = response.body().content_length();
    let bar = progress(expected);
    let (received, found) = copy(response.body_mut().as_reader(), file, &bar)
        .with_context(|| format!("the download of {address} broke off; run the command again"))?;
    bar.finish_and_clear();
    ensure!(
        expected.is_none_or(|expected| received == expected),
        "the download of {address} broke off after {received} of {} bytes; run the command again",
        expected.unwrap_or(received)
    );
    check(address, sha256, &found)
}

/// Copies the local file `from` into `file`, with the same check.
pub(super) fn copy_file(from: &str, file: &mut File, sha256: Option<&str>) -> Result<()> {
    let source = File::open(from).with_context(|| format!("cannot read {from}"))?;
    let (_, found) = copy(source, file, &ProgressBar::hidden())
        .with_context(|| format!("cannot copy {from}"))?;
    check(from, sha256, &found)
}

fn check(source: &str, expected: Option<&str>, found: &str) -> Result<()> {
    ensure!(
        expected.is_none_or(|expected| expected.eq_ignore_ascii_case(found)),
        "{source} has the SHA-256 {found}, expected {} as --sha256 says; it is another file, or \
         was changed on its way",
        expected.unwrap_or_default()
    );
    Ok(())
}

/// The number of bytes copied, and their SHA-256 in hex.
fn copy(mut from: impl Read, to: &mut File, bar: &ProgressBar) -> Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut total = 0;
    loop {
        let count = from.read(&mut chunk)?;
        if count == 0 {
            return Ok((total, hex(&hash.finalize())));
        }
        hash.update(&chunk[..count]);
        to.write_all(&chunk[..count])?;
        total += count as u64;
        bar.set_position(total);
    }
}

/// Bytes as pairs of hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A bar on a terminal, nothing elsewhere.
fn progress(total: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(if total.is_some() { BAR } else { SPINNER });
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(style.expect("the templates are valid")).with_prefix("download")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for template in [BAR, SPINNER] {
            ProgressStyle::with_template(template).unwrap();
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("abc");
        std::fs::write(&from, "abc").unwrap();
        let mut to = File::create(folder.path().join("copy")).unwrap();
        let from = from.to_str().unwrap();
        // The first example of FIPS 180-2, appendix B.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        copy_file(from, &mut to, Some(abc)).unwrap();
        copy_file(from, &mut to, Some(&abc.to_uppercase())).unwrap();
        let error = copy_file(from, &mut to, Some("00")).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{from} has the SHA-256 {abc}, expected 00 as --sha256 says; it is another file, \
                 or was changed on its way"
            )
        );
    }
}
