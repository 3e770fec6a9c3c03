//! Lines of text, and how well each is foreseen.

use std::io::Write;

use anyhow::Result;
use regard_train::stream::{Progress, Stream, TextStream};

use super::input::Part;
use super::live::Live;

/// Bytes of a line that are read at once; a signal waits for them.
pub(super) const MAX_PART: usize = 4096;

/// Reads a part of a line; writes the line where it ends.
pub(super) fn score(
    stream: &mut TextStream,
    progress: &Progress,
    part: &Part,
    out: &mut impl Write,
) -> Result<()> {
    let line = progress.lines + 1;
    stream.push(&part.bytes, line, progress.bytes)?;
    if part.ends {
        write(stream, line, out)?;
    }
    Ok(())
}

/// At the end of the input: writes a last line without a line break.
pub(super) fn finish(live: &mut Live, out: &mut impl Write) -> Result<()> {
    match &mut live.stream {
        Stream::Text(stream) if stream.is_within_a_line() => {
            write(stream, live.progress.lines + 1, out)
        }
        _ => Ok(()),
    }
}

fn write(stream: &mut TextStream, line: u64, out: &mut impl Write) -> Result<()> {
    let score = stream.end_line();
    let shown = |nats: Option<f64>| nats.map_or_else(String::new, |nats| format!("{nats:.6}"));
    let (nats, mean) = (shown(score.nats_per_character), shown(score.mean));
    writeln!(out, "{line},{},{nats},{mean}", score.tokens)?;
    Ok(out.flush()?)
}
