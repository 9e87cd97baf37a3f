//! How rows are understood: a format turns a row's fields into a [`Record`].
//!
//! A format costs one file here and one word in `formats!`. Each exports one [`Format`]: its id, name and
//! help, the fields it reads (which `data.columns` may map to other columns), how it is recognised, how a row is
//! read, and how a record is written, if it can be.

mod columns_map;
mod detect;
mod pairs;
mod turns;
mod unsupported;
mod writing;

use protocol::{Descriptor, ParamKind, ParamSpec, Result, Text, text};
use serde_json::{Map, Value};

use crate::record::Record;
use crate::sources::Row;

pub use columns_map::FormatContext;
pub use detect::{Choice, Sample, choose};
pub use writing::Written;

/// A way to write training examples as rows.
pub struct Format {
    pub id: &'static str,
    pub name: Text,
    pub help: Text,
    /// What it reads, in the order in which a form shows it.
    pub fields: &'static [Field],
    /// Whether a sample of rows looks like this format, and why.
    pub detect: fn(&Sample) -> Option<Detection>,
    /// # Errors
    /// When the row lacks something or holds something else than the format wants. Names the row.
    pub read: fn(&Row, &FormatContext) -> Result<Record>,
    /// The row that [`read`](Self::read) would make such a record of.
    ///
    /// # Errors
    /// What a record has that the format has no place for.
    pub write: Option<Write>,
    /// For data that compares answers or judges them: it can be looked at, and not trained on.
    pub judged: Option<Judged>,
}

/// Makes a row of a record, or tells why not.
pub type Write = fn(&Record) -> Result<Written, Text>;

/// The answers of one row, and what is said of each.
pub type Answers = Vec<(Text, Record)>;

/// What rows hold that say how good an answer is.
pub struct Judged {
    /// Why nothing is trained on them.
    pub refusal: Text,
    /// Every answer of a row as a record, and what is said of it.
    ///
    /// # Errors
    /// As [`Format::read`].
    pub answers: fn(&Row, &FormatContext) -> Result<Answers>,
}

/// A value that a format takes from a row.
pub struct Field {
    /// The key of `data.columns`.
    pub key: &'static str,
    /// Columns that are looked for, in this order, when the run file maps none.
    pub columns: &'static [&'static str],
    pub help: Text,
}

/// A format that fits, how well, and why in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The highest wins.
    pub score: u32,
    pub reason: Text,
}

/// Id of the format whose rows are texts without roles.
pub(crate) const TEXT: &str = "text";

macro_rules! formats {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*
        pub static FORMATS: &[&Format] = &[$(&$name::FORMAT),*];
    };
}

formats! { alpaca, sharegpt, messages, columns, completion, text, tokens, cpm_bee, preference, feedback }

impl Format {
    pub fn find(id: &str) -> Option<&'static Self> {
        FORMATS.iter().copied().find(|format| format.id == id)
    }

    /// What forms and help show; the settings are the keys of `data.columns`.
    pub fn descriptor(&self) -> Descriptor {
        let param = |field: &Field| ParamSpec {
            key: field.key.to_owned(),
            name: Text::new(field.key, field.key),
            help: field.help.clone(),
            kind: ParamKind::Text { default: field.columns.first().copied().unwrap_or_default().to_owned() },
            advanced: false,
        };
        Descriptor {
            id: self.id.to_owned(),
            name: self.name.clone(),
            help: self.help.clone(),
            params: self.fields.iter().map(param).collect(),
        }
    }
}

/// Ids of the formats that can be written.
pub fn written() -> Vec<String> {
    FORMATS.iter().filter(|format| format.write.is_some()).map(|format| format.id.to_owned()).collect()
}

/// Descriptors of all formats, for the catalog.
pub fn descriptors() -> Vec<Descriptor> {
    FORMATS.iter().map(|format| format.descriptor()).collect()
}

impl Sample {
    /// The detection of a format whose rows pass `test`, when most of the sample's rows do. `weight`
    /// (below 100) decides between formats that fit equally well; `means` says what the rows have.
    fn detection(
        &self,
        weight: u32,
        means: (&str, &str),
        test: impl Fn(&Map<String, Value>) -> bool,
    ) -> Option<Detection> {
        let total = self.rows().len();
        let found = self.rows().iter().filter_map(Row::fields).filter(|fields| test(fields)).count();
        if total == 0 || found * 2 <= total {
            return None;
        }
        let (en, zh) = means;
        let share = u32::try_from(found * 100 / total).unwrap_or(100);
        let reason =
            text!("{found} of {total} sampled rows have {en}", "抽样 {total} 行中有 {found} 行含有 {zh}");
        Some(Detection { score: share * 100 + weight, reason })
    }
}
