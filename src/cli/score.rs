//! `score`: the log-probability of each token of a file's rows, given those before it.

use std::path::PathBuf;

use clap::Args;
use protocol::{Command, Event, Result, ScoreRequest, text};

use super::client::{Client, View};
use super::flags::{ModelFlags, absolute};
use super::format;
use super::screen::Screen;

#[derive(Debug, Args)]
pub struct Flags {
    #[command(flatten)]
    pub model: ModelFlags,
    /// Rows `{"ids": […]}` or `{"prompt": …, "completion": …}`, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Where to write `ids`, `logprobs`, `argmax` and `sum` of each row, in the same order
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let output = absolute(&flags.output)?;
    let score = ScoreRequest { model: flags.model.resolve()?, input: absolute(&flags.input)?, output };
    client.request(&mut Figures, screen, |request| Command::Score { request, score })
}

struct Figures;

impl View for Figures {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Scored { rows, tokens, mean_logprob, perplexity, .. } = event {
            let (rows, tokens) = (format::count(*rows), format::count(*tokens));
            let words = screen.pick(&text!(
                "{rows} rows, {tokens} tokens: mean log-probability {mean_logprob:.4}, perplexity {perplexity:.4}",
                "{rows} 行，{tokens} 个词元：平均对数概率 {mean_logprob:.4}，困惑度 {perplexity:.4}"
            ));
            screen.line(&words);
        }
    }
}
