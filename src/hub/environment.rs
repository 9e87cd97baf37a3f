//! The environment variables that the hubs' own tools go by.

use std::collections::BTreeMap;
use std::path::PathBuf;

use protocol::Secret;

/// Everything that is read from the environment, once. (`HF_TOKEN` among it: so all values are kept as secrets.)
const NAMES: &[&str] = &[
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN",
    "MODELSCOPE_DOMAIN",
    "MODELSCOPE_CACHE",
    "MODELSCOPE_API_TOKEN",
    "XDG_CACHE_HOME",
    "HOME",
];

/// What the user's shell says of hubs.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    values: BTreeMap<&'static str, Secret>,
}

impl Environment {
    pub fn of_process() -> Self {
        Self::from(|name: &str| std::env::var(name).ok())
    }

    /// From another source: for tests.
    pub fn from(value: impl Fn(&str) -> Option<String>) -> Self {
        let known = NAMES.iter().filter_map(|name| Some((*name, Secret::new(value(name)?))));
        Self { values: known.filter(|(_, value)| !value.is_empty()).collect() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(Secret::reveal)
    }

    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.values.get(name).cloned()
    }

    /// `HF_HUB_OFFLINE` and its elder.
    pub(crate) fn is_offline(&self) -> bool {
        ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].iter().any(|name| self.is_on(name))
    }

    /// As `huggingface_hub` reads a switch.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        let value = self.get(name).unwrap_or_default().to_ascii_uppercase();
        matches!(value.as_str(), "1" | "ON" | "YES" | "TRUE")
    }

    /// `HF_HOME`, or where it is by default.
    pub(crate) fn hf_home(&self) -> PathBuf {
        self.get("HF_HOME").map_or_else(|| self.caches().join("huggingface"), PathBuf::from)
    }

    /// Where Hugging Face's tools keep what they fetch.
    pub(crate) fn hf_cache(&self) -> PathBuf {
        let named = self.get("HF_HUB_CACHE").or_else(|| self.get("HUGGINGFACE_HUB_CACHE"));
        named.map_or_else(|| self.hf_home().join("hub"), PathBuf::from)
    }

    /// The user's folder of things that can be fetched again.
    pub(crate) fn caches(&self) -> PathBuf {
        let home = || PathBuf::from(self.get("HOME").unwrap_or(".")).join(".cache");
        self.get("XDG_CACHE_HOME").map_or_else(home, PathBuf::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_the_python_tools_have_it() {
        let of = |pairs: &'static [(&str, &str)]| {
            Environment::from(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned()))
        };
        assert_eq!(of(&[("HOME", "/h")]).hf_cache(), PathBuf::from("/h/.cache/huggingface/hub"));
        assert_eq!(
            of(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]).hf_home(),
            PathBuf::from("/x/huggingface")
        );
        assert_eq!(of(&[("HF_HOME", "/a")]).hf_cache(), PathBuf::from("/a/hub"));
        assert_eq!(of(&[("HF_HOME", "/a"), ("HF_HUB_CACHE", "/b")]).hf_cache(), PathBuf::from("/b"));
        assert!(
            of(&[("HF_HUB_OFFLINE", "yes")]).is_offline() && !of(&[("HF_HUB_OFFLINE", "0")]).is_offline()
        );
        assert!(!format!("{:?}", of(&[("HF_TOKEN", "hf_secret")])).contains("secret"));
    }
}
