//! Makes what the starter model is trained from: a corpus, a tokenizer, a configuration, and the
//! datasets of the quick start. Everything is composed from the rules under `grammar/`.

pub mod corpus;
pub mod draw;
pub mod expand;
pub mod grammar;
pub mod model_files;
pub mod numbers;
pub mod pack;
pub mod persona;
pub mod tidy;
pub mod tokenizer;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// What was made.
pub struct Made {
    pub train_rows: usize,
    pub held_out_rows: usize,
    /// Documents longer than a row.
    pub left_out: usize,
    pub train_bytes: usize,
    pub persona_rows: Sizes,
}

/// Rows of each language's dataset.
pub type Sizes = Vec<(&'static str, usize)>;

/// Writes `base-config/`, `corpus/` and `data/` into `folder`; the same bytes each time.
/// `percent` is the corpus's size, 100 for the real one.
///
/// # Errors
/// When the grammar has a slip or a file cannot be written.
pub fn make(folder: &Path, percent: usize) -> Result<Made> {
    let grammar = corpus::grammar()?;
    let corpus = corpus::compose(&grammar, percent)?;
    let (persona_rows, persona_text) = write_personas(&folder.join("data"), &grammar)?;

    let mut reading = corpus.train.clone();
    reading.extend(persona_text);
    let tokenizer = tokenizer::train(&reading, model_files::VOCAB_SIZE)?;
    model_files::write(&created(&folder.join("base-config"))?, &tokenizer)?;

    let texts = created(&folder.join("corpus"))?;
    let (train, left_out) = pack::pack(&corpus.train, &tokenizer)?;
    let (held_out, _) = pack::pack(&corpus.held_out, &tokenizer)?;
    let as_rows = |texts: &[String]| texts.iter().map(|text| json!({ "text": text })).collect::<Vec<_>>();
    let train_bytes = write_lines(&texts.join("train.jsonl"), &as_rows(&train))?;
    write_lines(&texts.join("valid.jsonl"), &as_rows(&held_out))?;
    Ok(Made { train_rows: train.len(), held_out_rows: held_out.len(), left_out, train_bytes, persona_rows })
}

/// Writes the datasets and their probes; returns their sizes, and all their text.
fn write_personas(folder: &Path, grammar: &grammar::Grammar) -> Result<(Sizes, Vec<String>)> {
    created(folder)?;
    let (mut sizes, mut text) = (Vec::new(), Vec::new());
    for (stream, (language, source, general)) in persona::LANGUAGES.into_iter().enumerate() {
        let topics = persona::read_topics(source)?;
        let rows = persona::rows(&topics, grammar, general, 200 + stream as u64)?;
        let lines: Vec<Value> = rows.iter().map(corpus::Conversation::to_json).collect();
        write_lines(&folder.join(format!("ember_{language}.jsonl")), &lines)?;
        let probes = folder.join(format!("probe_{language}.txt"));
        fs::write(&probes, persona::probes(&topics)).with_context(|| probes.display().to_string())?;
        sizes.push((language, rows.len()));
        text.extend(rows.into_iter().flat_map(|row| row.messages).map(|(_, content)| content));
    }
    Ok((sizes, text))
}

fn created(folder: &Path) -> Result<std::path::PathBuf> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    Ok(folder.to_owned())
}

/// Writes one JSON value a line and returns the number of bytes.
fn write_lines(path: &Path, lines: &[Value]) -> Result<usize> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, &text).with_context(|| path.display().to_string())?;
    Ok(text.len())
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    fs::write(path, text).with_context(|| path.display().to_string())
}
