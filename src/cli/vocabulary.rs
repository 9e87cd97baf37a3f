//! `vocabulary`: an extended tokenizer in a folder, which run files name as `vocabulary.extended`.

use std::path::PathBuf;

use clap::Args;
use protocol::config::{InitialRows, VocabularyConfig};
use protocol::{Command, Event, Result, Text};

use super::client::{Client, View};
use super::flags::absolute;
use super::format;
use super::screen::Screen;

#[derive(Debug, Args)]
pub struct Flags {
    /// Model folder in Hugging Face's layout, or hf:org/name@revision
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Text file with a new token a line
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// Learn new tokens from the texts of a csv, json, jsonl or txt file; may be given again
    #[arg(long, value_name = "FILE")]
    pub train_on: Vec<PathBuf>,
    /// Tokens to learn, at most
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub size: u64,
    /// Share of the characters that learned tokens are made of
    #[arg(long, value_name = "SHARE", default_value_t = 0.9995)]
    pub coverage: f64,
    /// What the rows of new tokens begin with
    #[arg(long, value_name = "HOW", default_value = "pieces", value_parser = ["pieces", "mean"])]
    pub initialise: String,
    /// Fill the embedding up to a multiple of this
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub pad_to_multiple_of: u64,
    /// File to measure the gain on (default: the files of --train-on); may be given again
    #[arg(long, value_name = "FILE")]
    pub sample: Vec<PathBuf>,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let all = |paths: &[PathBuf]| paths.iter().map(|path| absolute(path)).collect::<Result<Vec<_>>>();
    let train_on = all(&flags.train_on)?;
    let sample = if flags.sample.is_empty() { train_on.clone() } else { all(&flags.sample)? };
    let vocabulary = Box::new(VocabularyConfig {
        file: flags.tokens.as_deref().map(absolute).transpose()?.unwrap_or_default(),
        train_on,
        size: flags.size,
        coverage: flags.coverage,
        initialise: if flags.initialise == "mean" { InitialRows::Mean } else { InitialRows::Pieces },
        pad_to_multiple_of: flags.pad_to_multiple_of,
        ..VocabularyConfig::default()
    });
    let (model, out) = (absolute(&flags.model)?, absolute(&flags.out)?);
    client.request(&mut Report { measured: !sample.is_empty() }, screen, |request| {
        Command::ExtendVocabulary { request, model, vocabulary, sample, out }
    })
}

struct Report {
    measured: bool,
}

impl View for Report {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        let Event::VocabularyExtended { dir, first, tokens, gain, notes, .. } = event else { return };
        let facts = [
            (Text::fixed("folder", "文件夹"), dir.display().to_string()),
            (Text::fixed("new tokens", "新词元"), format::count(*tokens)),
            (Text::fixed("first id", "起始编号"), first.to_string()),
        ];
        let facts = facts.into_iter().map(|(name, value)| vec![screen.pick(&name), value]).collect();
        screen.line(&format::facts(facts));
        if self.measured {
            let gain = screen.pick(gain);
            screen.line(&gain);
        }
        for note in notes {
            let note = format!("! {}", screen.pick(note));
            screen.line(&note);
        }
    }
}
