//! Words for people, in both languages at once.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A language the program speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    #[default]
    English,
    Chinese,
}

/// A sentence in English and Chinese. There is no fallback: a missing translation does not compile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    pub en: Cow<'static, str>,
    pub zh: Cow<'static, str>,
}

impl Text {
    /// A text known when the program is compiled.
    pub const fn fixed(en: &'static str, zh: &'static str) -> Self {
        Self { en: Cow::Borrowed(en), zh: Cow::Borrowed(zh) }
    }

    /// A text made at run time; see also the [`text!`](crate::text!) macro.
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { en: Cow::Owned(en.into()), zh: Cow::Owned(zh.into()) }
    }

    pub fn get(&self, language: Language) -> &str {
        match language {
            Language::English => &self.en,
            Language::Chinese => &self.zh,
        }
    }
}

/// English, for logs and terminals.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.en)
    }
}

/// `text!("{n} rows are cut", "{n} 行被截断")`: both strings are `format!` literals and see the same
/// captured variables.
#[macro_export]
macro_rules! text {
    ($en:literal, $zh:literal $(,)?) => {
        $crate::Text::new(format!($en), format!($zh))
    };
}
