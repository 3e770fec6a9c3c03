//! `regard generate`: a trained language model goes on with a text.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use regard_train::language::{Generator, Sampling};

const EXAMPLES: &str = "\
Examples:
  regard generate runs/plays --prompt 'ROMEO:' --tokens 300
  regard generate runs/plays --temperature 0.8 --top-k 10 --seed 1
  regard generate runs/plays --top-k 1                 the most probable text
  regard generate runs/plays --tokens 100000 > long.txt

Tokens are written as they are drawn. With log and linear attention, LSTM and LARNN the last one
takes as much memory and time as the first; softmax attention keeps all tokens.";

/// Go on with a text, token by token.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GenerateArgs {
    /// Folder written by `regard train`.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// What to go on with; it is written first. A line break by default, which is not written.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Tokens to write.
    #[arg(long, value_name = "N", default_value_t = 300)]
    tokens: u64,
    /// Below 1 more, above 1 less probable texts; 0 for the most probable token.
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    temperature: f64,
    /// Draw among so many tokens, the most probable ones; among all by default.
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Seed of the draws.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

/// Reads the prompt and writes tokens until there are as many as asked for.
pub(crate) fn run(args: &GenerateArgs, out: &mut impl Write) -> Result<()> {
    let sampling = Sampling { temperature: args.temperature, top_k: args.top_k };
    sampling.check("--temperature", "--top-k")?;
    let mut generator = Generator::open(&args.run, args.seed)?;
    match &args.prompt {
        Some(prompt) => {
            generator.read("--prompt", prompt)?;
            out.write_all(prompt.as_bytes())?;
        }
        None => generator.read("--prompt (a line break, since none is given)", "\n")?,
    }
    let mut bytes = Vec::new();
    for _ in 0..args.tokens {
        bytes.clear();
        generator.next(&sampling, &mut bytes);
        out.write_all(&bytes)?;
        out.flush()?;
    }
    out.write_all(b"\n")?;
    Ok(())
}
