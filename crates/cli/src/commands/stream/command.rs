//! The arguments, and the way through the input.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use regard_train::stream::{Progress, Stream, check_writable};

use super::input::{Part, Parts};
use super::live::{Live, Shared};
use super::{rows, text, verify};

const EXAMPLES: &str = "\
Examples:
  sensor | regard stream runs/uci-har
  regard stream runs/uci-har --each window < walk.csv > classes.csv
  sensor | regard stream runs/uci-har --window 0        never start anew
  regard stream runs/lorenz-lstm < rows.csv             forecast the row after each
  regard stream runs/plays < novel.txt                  how well each line is foreseen
  sensor | regard stream runs/uci-har --snapshot s.snap        ends with Ctrl-C, too
  sensor | regard stream runs/uci-har --restore s.snap --snapshot s.snap
  regard stream runs/plays --verify novel.txt

Input of a run that classifies or forecasts: lines of comma-separated numbers, one per time step. A
first line of names says which column is which channel, and other columns are ignored; without one,
the columns are those of the training. Of a run that goes on with a text: any text.
Output: a header, then a line for each row or line of text, as soon as it is known: step, class and
the probability of each class; or step and the channels of the row after it; or the number of the
line, its tokens, its nats per character given everything before, and their mean so far.

The memory does not grow with the stream, but for softmax attention. A restored stream goes on bit
for bit as if it had not stopped, and writes no header.";

/// Read rows or text from standard input with a trained model, line by line.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StreamArgs {
    /// Folder written by `regard train`.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// When a class is written; after every step by default.
    #[arg(long, value_enum, value_name = "WHEN")]
    each: Option<Each>,
    /// Start anew after so many rows; 0 for never. As many as in training by default where a run
    /// classifies, else never.
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// Save the state at the end of the input, at an error in it, and at Ctrl-C. A line of text without a line break at
    /// its end is then part of the state, and written by the stream that goes on.
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Save the state after every so many lines, too.
    #[arg(
        long,
        value_name = "N",
        requires = "snapshot",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    snapshot_every: Option<u64>,
    /// Go on from a saved state of the same model.
    #[arg(long, value_name = "FILE")]
    restore: Option<PathBuf>,
    /// Instead, compute the first rows of a file, or of standard input, in steps and at once, and
    /// print the largest difference. Exit code 2 where it is more than rounding.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        default_missing_value = "-",
        conflicts_with_all = ["each", "snapshot", "snapshot_every", "restore"]
    )]
    verify: Option<PathBuf>,
}

/// When a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Each {
    /// After every row.
    #[default]
    Step,
    /// After the last row of every window.
    Window,
}

/// How lines are read and written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) each: Each,
    /// Rows after which a stream starts anew; 0 for never.
    pub(super) window: usize,
}

/// Reads the input until it ends.
pub(crate) fn run(args: &StreamArgs, out: &mut impl Write) -> Result<()> {
    let mut stream = Stream::open(&args.run)?;
    let settings = settings(args, &stream)?;
    if let Some(file) = &args.verify {
        return verify::run(&stream, &args.run, file, settings, out);
    }
    if let Some(file) = &args.snapshot {
        check_writable(file)?;
    }
    let mut progress = Progress::default();
    if let Some(file) = &args.restore {
        progress = stream.restore(file)?;
    } else {
        header(&stream, out)?;
    }
    let shared = Shared::new(Live { stream, progress });
    if let Some(file) = &args.snapshot {
        shared.save_when_stopped(file)?;
    }
    let ended = read(&shared, args, settings, out);
    let mut live = shared.lock();
    let finished = match &args.snapshot {
        // What was read before an error is worth going on from.
        Some(file) => live.save_and_tell(file),
        None if ended.is_ok() => text::finish(&mut live, out),
        None => Ok(()),
    };
    // The lock is never given back: a signal that comes now finds the work done.
    std::mem::forget(live);
    ended.and(finished)
}

/// Reads until the input ends.
fn read(
    shared: &Shared,
    args: &StreamArgs,
    settings: Settings,
    out: &mut impl Write,
) -> Result<()> {
    let mut input = Parts::new(std::io::stdin().lock(), longest(&shared.lock().stream));
    while let Some(part) = input.next()? {
        let mut live = shared.lock();
        take(&mut live, &part, settings, out)?;
        if let (Some(file), Some(n)) = (&args.snapshot, args.snapshot_every)
            && part.ends
            && live.progress.lines.is_multiple_of(n)
        {
            live.save(file)?;
        }
    }
    Ok(())
}

/// Refuses options that mean nothing to the run.
fn settings(args: &StreamArgs, stream: &Stream) -> Result<Settings> {
    let default = match stream {
        Stream::Classes(stream) => stream.window(),
        Stream::Text(_) if args.window.is_some() => {
            bail!("--window is for rows; the run reads text, which has no windows")
        }
        Stream::Forecast(_) | Stream::Text(_) => 0,
    };
    if args.each.is_some() && !matches!(stream, Stream::Classes(_)) {
        bail!("--each is for classes; the run writes a line for each of its input");
    }
    let settings =
        Settings { each: args.each.unwrap_or_default(), window: args.window.unwrap_or(default) };
    if settings.window == 0 && settings.each == Each::Window {
        bail!("--window 0 has no last row: leave out --each window, or give the rows of a window");
    }
    Ok(settings)
}

/// Most bytes that are read at once: a whole row, or a part of a line of text.
fn longest(stream: &Stream) -> usize {
    match stream {
        Stream::Classes(_) | Stream::Forecast(_) => rows::MAX_LINE,
        Stream::Text(_) => text::MAX_PART,
    }
}

fn header(stream: &Stream, out: &mut impl Write) -> Result<()> {
    match stream {
        Stream::Classes(stream) => {
            let names: Vec<String> = stream.classes().iter().map(|c| format!("p_{c}")).collect();
            writeln!(out, "step,class,{}", names.join(","))?;
        }
        Stream::Forecast(stream) => writeln!(out, "step,{}", stream.columns().join(","))?,
        Stream::Text(_) => writeln!(out, "line,tokens,nats_per_character,mean")?,
    }
    Ok(out.flush()?)
}

/// Reads one part of the input and writes what is due.
fn take(live: &mut Live, part: &Part, settings: Settings, out: &mut impl Write) -> Result<()> {
    let Live { stream, progress } = live;
    match stream {
        Stream::Classes(stream) => rows::classify(stream, progress, part, settings, out)?,
        Stream::Forecast(stream) => rows::forecast(stream, progress, part, settings, out)?,
        Stream::Text(stream) => text::score(stream, progress, part, out)?,
    }
    progress.bytes += part.bytes.len() as u64;
    progress.lines += u64::from(part.ends);
    Ok(())
}
