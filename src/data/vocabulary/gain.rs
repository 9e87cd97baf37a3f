//! Whether an extended vocabulary is worth it: tokens a character, before and after.

use std::collections::HashSet;
use std::path::PathBuf;

use protocol::{Finding, FindingKind, Result, Severity, Text, text};

use super::Extension;
use super::texts::each_text;
use crate::dataset::Dataset;
use crate::progress::{Progress, check_cancelled};
use crate::tokenizer::Tokenizer;

/// Rows that are looked at, spread over all of them.
const ROWS: usize = 1000;
/// And characters.
const CHARACTERS: u64 = 4_000_000;

/// What new tokens do to texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gain {
    pub characters: u64,
    /// Tokens of the tokenizer as it was, and of the extended one.
    pub before: u64,
    pub after: u64,
    /// New tokens in all, and those that came up.
    pub new: u64,
    pub used: u64,
}

/// The gain on a dataset's texts; rows that cannot be read are left out.
///
/// # Errors
/// When the user stopped.
pub fn gain(
    dataset: &Dataset,
    old: &Tokenizer,
    (extension, extended): (&Extension, &Tokenizer),
    progress: &dyn Progress,
) -> Result<Gain> {
    let step = dataset.len().div_ceil(ROWS).max(1);
    let texts = (0..dataset.len()).step_by(step).map(|row| {
        check_cancelled(progress)?;
        Ok(dataset.record(row).and_then(|record| dataset.render(&record)).ok())
    });
    Gain::of(texts.filter_map(Result::transpose), old, extension, extended)
}

/// The gain on the texts of files.
///
/// # Errors
/// When a file cannot be opened, or the user stopped.
pub fn gain_on_files(
    files: &[PathBuf],
    old: &Tokenizer,
    (extension, extended): (&Extension, &Tokenizer),
    progress: &dyn Progress,
) -> Result<Gain> {
    let (mut texts, mut characters) = (Vec::new(), 0);
    for file in files {
        each_text(file, progress, &mut |text| {
            characters += text.chars().count() as u64;
            texts.push(text.to_owned());
            characters < CHARACTERS
        })?;
    }
    Gain::of(texts.iter().map(Ok), old, extension, extended)
}

impl Gain {
    /// # Errors
    /// The first error among the texts.
    pub fn of<T: AsRef<str>>(
        texts: impl Iterator<Item = Result<T>>,
        old: &Tokenizer,
        extension: &Extension,
        extended: &Tokenizer,
    ) -> Result<Self> {
        let new = extension.record.tokens.len();
        let mut gain = Self { new: new as u64, ..Self::default() };
        let mut used = HashSet::new();
        for text in texts {
            let text = text?;
            let text = text.as_ref();
            let (Ok(before), Ok(after)) = (old.encode(text, false), extended.encode(text, false)) else {
                continue;
            };
            gain.characters += text.chars().count() as u64;
            gain.before += before.ids.len() as u64;
            gain.after += after.ids.len() as u64;
            used.extend(after.ids.into_iter().filter(|id| *id >= extension.record.first));
            if gain.characters > CHARACTERS {
                break;
            }
        }
        gain.used = used.len() as u64;
        Ok(gain)
    }

    /// In words.
    pub fn told(&self) -> Text {
        let a_character = |tokens: u64| tokens as f64 / self.characters.max(1) as f64;
        let (before, after) = (a_character(self.before), a_character(self.after));
        let less = 100.0 - 100.0 * self.after as f64 / self.before.max(1) as f64;
        let (new, used) = (self.new, self.used);
        text!(
            "{new} new tokens, {used} of them used: {after:.3} tokens a character instead of {before:.3} ({less:.1} % fewer)",
            "新增 {new} 个词元，用到 {used} 个：每个字符 {after:.3} 个词元，原为 {before:.3} 个（减少 {less:.1}%）"
        )
    }

    /// For a verdict: a warning where the new tokens change hardly anything.
    pub fn finding(&self) -> Finding {
        let idle = self.after.saturating_mul(100) >= self.before.saturating_mul(99);
        Finding {
            kind: FindingKind::Vocabulary,
            severity: if idle { Severity::Warning } else { Severity::Info },
            count: self.used,
            rows: Vec::new(),
            text: self.told(),
            mend: idle.then(|| {
                Text::fixed(
                    "the data hardly has the new tokens: other ones, or none, may serve better",
                    "数据中几乎没有用到新词元：可换一批，或不扩充",
                )
            }),
            remedies: Vec::new(),
        }
    }
}
