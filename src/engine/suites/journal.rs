//! `items.jsonl`: what an evaluation asks in its first line, then a line for each answer as it comes, so that a killed
//! evaluation goes on where it was.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use data::suites::{Ask, Item, Judged, Reply};
use protocol::{Result, Text, UserError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::files::AtomicFile;

pub const FILE: &str = "items.jsonl";
/// A line that is longer was not written by us.
const LONGEST: usize = 64 << 20;

/// What is asked of whom: answers to anything else do not belong here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    pub suite: String,
    pub data_hash: String,
    pub settings: Map<String, Value>,
    pub limit: u64,
    /// Hashes of the files of the model and of its adapters.
    pub model: String,
    pub adapters: Vec<String>,
    pub weights: Vec<f64>,
    pub merged: bool,
    pub compare: bool,
    pub dtype: String,
    pub quantization: String,
    pub overrides: Map<String, Value>,
    pub device: String,
}

/// Whose answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The model without adapters.
    Base,
    /// The model with them.
    Tuned,
}

/// An answer and what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub item: String,
    pub who: Who,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub options: Vec<String>,
    /// Log-likelihood of each option, or of the text, in nats.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        default,
        deserialize_with = "protocol::number::each_or_nan"
    )]
    pub logprobs: Vec<f64>,
    /// Options that the model would have said by itself.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub greedy: Vec<bool>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chosen: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub right: Option<bool>,
    /// The beginning was left out: it does not fit into the model's context.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub cut: bool,
    #[serde(deserialize_with = "protocol::number::each_or_nan")]
    pub marks: Vec<f64>,
}

impl Line {
    /// What was said to an item.
    pub fn of(who: Who, item: &Item, cut: bool, reply: &Reply, judged: Judged) -> Self {
        let options = match &item.ask {
            Ask::Continue { options, .. } | Ask::Choose { options, .. } => options.clone(),
            Ask::Roll { .. } | Ask::Learned { .. } | Ask::Answer { .. } => Vec::new(),
        };
        let mut line = Self {
            item: item.id.clone(),
            who,
            options,
            logprobs: Vec::new(),
            greedy: Vec::new(),
            tokens: None,
            text: None,
            chosen: judged.chosen,
            right: judged.right,
            cut,
            marks: judged.marks,
        };
        match reply {
            Reply::Likelihoods(ways) => {
                line.logprobs = ways.iter().map(|way| way.logprob).collect();
                if matches!(item.ask, Ask::Continue { .. }) {
                    line.greedy = ways.iter().map(|way| way.greedy).collect();
                }
            }
            Reply::Rolled { logprob, tokens } => {
                line.logprobs = vec![*logprob];
                line.tokens = Some(*tokens);
            }
            Reply::Text(text) => line.text = Some(text.clone()),
        }
        line
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    evaluation: Subject,
}

/// The open file.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Marks of what was answered, and whether its beginning was left out.
    answered: HashMap<(Who, String), (Vec<f64>, bool)>,
}

impl Journal {
    /// What the journal of a folder is about; None where there is none.
    pub fn subject(dir: &Path) -> Option<Subject> {
        let file = File::open(dir.join(FILE)).ok()?;
        let mut line = String::new();
        std::io::Read::take(BufReader::new(file), LONGEST as u64).read_line(&mut line).ok()?;
        serde_json::from_str::<Head>(&line).ok().map(|head| head.evaluation)
    }

    /// Begins a journal, or goes on with one: half a line at its end goes away.
    ///
    /// # Errors
    /// When it is about something else, or cannot be read or written.
    pub fn open(dir: &Path, subject: &Subject) -> Result<Self> {
        let path = dir.join(FILE);
        let mut answered = HashMap::new();
        let mut kept = json(&Head { evaluation: subject.clone() });
        if path.exists() {
            if Self::subject(dir).as_ref() != Some(subject) {
                return Err(other_evaluation(dir));
            }
            let file = File::open(&path).map_err(|err| reading(&path, &err))?;
            for line in BufReader::new(file).lines().skip(1) {
                let line = line.map_err(|err| reading(&path, &err))?;
                let Ok(read) = serde_json::from_str::<Line>(&line) else { continue };
                if answered.insert((read.who, read.item), (read.marks, read.cut)).is_none() {
                    kept.extend_from_slice(line.as_bytes());
                    kept.push(b'\n');
                }
            }
        }
        AtomicFile::write(&path, &kept)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(|err| writing(&path, &err))?;
        Ok(Self { path, file, answered })
    }

    /// The marks of an answer that is there already.
    pub fn marks(&self, who: Who, item: &str) -> Option<&Vec<f64>> {
        self.answered.get(&(who, item.to_owned())).map(|(marks, _)| marks)
    }

    pub fn has(&self, who: Who, item: &str) -> bool {
        self.marks(who, item).is_some()
    }

    /// Answers there are.
    pub fn len(&self) -> usize {
        self.answered.len()
    }

    /// Questions whose beginning was left out, asked of one of the two.
    pub fn cut(&self, who: Who) -> usize {
        self.answered.iter().filter(|((whose, _), (_, cut))| *whose == who && *cut).count()
    }

    /// Writes answers at once; those that are there already are left out.
    ///
    /// # Errors
    /// When the disk is full or the file is gone.
    pub fn write(&mut self, lines: Vec<Line>) -> Result<()> {
        let mut text = Vec::new();
        for line in lines {
            if self.has(line.who, &line.item) {
                continue;
            }
            let written = json(&line);
            // As it will be read again: what is no number is none there, and the last digit may differ.
            let read = serde_json::from_slice::<Line>(&written).unwrap_or(line);
            self.answered.insert((read.who, read.item), (read.marks, read.cut));
            text.extend(written);
        }
        self.file.write_all(&text).map_err(|err| writing(&self.path, &err))
    }
}

/// A line. Nothing in it can refuse to be JSON.
fn json(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

fn other_evaluation(dir: &Path) -> UserError {
    UserError::bad_input(Text::fixed(
        "The folder holds another evaluation: other questions, settings or another model",
        "该文件夹中是另一次评测：题目、设置或模型不同",
    ))
    .in_file(dir)
    .at_item("--out")
    .mend(Text::fixed("choose another folder", "请另选文件夹"))
}

fn reading(path: &Path, err: &std::io::Error) -> UserError {
    UserError::io(Text::fixed("read the answers so far", "读取已有的回答"), path, err)
}

fn writing(path: &Path, err: &std::io::Error) -> UserError {
    UserError::io(Text::fixed("write the answers", "写入回答"), path, err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(limit: u64) -> Subject {
        Subject {
            suite: "mmlu".into(),
            data_hash: "a".into(),
            settings: Map::new(),
            limit,
            model: "b".into(),
            adapters: vec![],
            weights: vec![],
            merged: false,
            compare: false,
            dtype: "f32".into(),
            quantization: String::new(),
            overrides: Map::new(),
            device: "CPU".into(),
        }
    }

    fn line(item: &str, marks: &[f64]) -> Line {
        Line {
            item: item.into(),
            who: Who::Base,
            options: vec![],
            logprobs: vec![-1.5, f64::NEG_INFINITY],
            greedy: vec![],
            tokens: None,
            text: None,
            chosen: None,
            right: None,
            cut: true,
            marks: marks.to_vec(),
        }
    }

    #[test]
    fn a_killed_evaluation_goes_on_behind_its_last_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), &subject(0)).unwrap();
        journal.write(vec![line("a/0", &[1.0]), line("a/1", &[f64::NAN])]).unwrap();
        journal.file.write_all(b"{\"item\":\"a/2\",\"who\":\"ba").unwrap();
        drop(journal);
        let mut journal = Journal::open(dir.path(), &subject(0)).unwrap();
        assert_eq!(journal.marks(Who::Base, "a/0"), Some(&vec![1.0]));
        assert!(journal.marks(Who::Base, "a/1").unwrap()[0].is_nan());
        assert!(!journal.has(Who::Base, "a/2") && !journal.has(Who::Tuned, "a/0"));
        journal.write(vec![line("a/1", &[0.0]), line("a/2", &[0.0])]).unwrap();
        assert_eq!((journal.len(), journal.cut(Who::Base)), (3, 3));
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
    }

    #[test]
    fn answers_to_other_questions_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Journal::open(dir.path(), &subject(0)).unwrap());
        let refused = Journal::open(dir.path(), &subject(5)).err().unwrap();
        assert_eq!(refused.exit_code(), 2);
        std::fs::write(dir.path().join(FILE), "nothing of ours").unwrap();
        assert!(Journal::open(dir.path(), &subject(0)).is_err());
    }
}
