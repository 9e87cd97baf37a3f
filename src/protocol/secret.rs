//! A text that must not be seen: a hub's token.

use std::fmt;
use std::hint::black_box;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Shows `***` wherever it is printed, and is overwritten when it goes.
///
/// Its serde form is the text itself, because a window hands a token to its engine in a message. So messages that
/// carry one ([`crate::HubCommand::Login`]) are never written anywhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret {
    bytes: Vec<u8>,
}

impl Secret {
    /// Takes a text over; white space around it is no part of a token.
    pub fn new(text: String) -> Self {
        let bytes = text.trim().as_bytes().to_vec();
        wipe(&mut text.into_bytes());
        Self { bytes }
    }

    /// The text, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}

/// Zeros that the compiler may not leave out because nobody reads them.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    black_box(bytes);
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.reveal())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_shows_it() {
        let secret = Secret::new(" hf_abcdefghijkl\n".into());
        assert_eq!(secret.reveal(), "hf_abcdefghijkl");
        let shown = format!("{secret} {secret:?} {:#?}", vec![Some(&secret)]);
        assert!(!shown.contains("abc"), "{shown}");
    }

    #[test]
    fn it_crosses_the_pipe_as_it_is() {
        let secret = Secret::new("hf_abcdefghijkl".into());
        let frame = serde_json::to_string(&secret).unwrap();
        assert_eq!(serde_json::from_str::<Secret>(&frame).unwrap(), secret);
    }
}
