//! How rows are understood: a format turns a row's fields into a [`Record`].
//!
//! A format costs one file here and one word in `formats!`. Each exports one [`Format`]: its id, name and
//! help, the fields it reads (which `data.columns` may map to other columns), how it is recognised, and
//! how a row is read.

mod columns_map;
mod detect;
mod turns;
mod unsupported;

use protocol::{Descriptor, ParamKind, ParamSpec, Result, Text, text};
use serde_json::{Map, Value};

use crate::record::Record;
use crate::sources::Row;

pub use columns_map::FormatContext;
pub use detect::{Choice, Sample, choose};

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

macro_rules! formats {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*
        pub static FORMATS: &[&Format] = &[$(&$name::FORMAT),*];
    };
}

formats! { alpaca, sharegpt, messages, columns, completion, text, tokens, cpm_bee }

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
