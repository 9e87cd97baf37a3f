//! Which language to speak: `--lang`, or else the locale.

use std::ffi::OsString;

use protocol::Language;

/// The language, known before the arguments are parsed so that help and usage errors speak it too.
///
/// `lookup` reads environment variables; of the locale's, the first that is set and not empty decides, in the
/// order of POSIX.
pub fn detect(
    arguments: impl IntoIterator<Item = OsString>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Language {
    let asked = asked_for(arguments);
    let locale =
        || ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(&lookup).find(|it| !it.is_empty());
    match asked.or_else(locale) {
        Some(name) if name.to_ascii_lowercase().starts_with("zh") => Language::Chinese,
        _ => Language::English,
    }
}

/// The value of the last `--lang`.
fn asked_for(arguments: impl IntoIterator<Item = OsString>) -> Option<String> {
    let arguments: Vec<_> = arguments.into_iter().map(|it| it.to_string_lossy().into_owned()).collect();
    let ours = arguments.iter().position(|it| it == "--").map_or(&arguments[..], |end| &arguments[..end]);
    ours.iter().enumerate().rev().find_map(|(at, argument)| match argument.strip_prefix("--lang") {
        Some("") => ours.get(at + 1).cloned(),
        Some(rest) => rest.strip_prefix('=').map(str::to_owned),
        None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(arguments: &[&str], environment: &[(&str, &str)]) -> Language {
        detect(arguments.iter().map(OsString::from), |name| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_flag_wins_over_the_locale() {
        let chinese = [("LANG", "zh_CN.UTF-8")];
        assert_eq!(detected(&["x", "--lang", "en"], &chinese), Language::English);
        assert_eq!(detected(&["x", "--lang=zh"], &[]), Language::Chinese);
        assert_eq!(detected(&["x", "--", "--lang=zh"], &[]), Language::English);
        assert_eq!(detected(&["x"], &chinese), Language::Chinese);
    }

    #[test]
    fn the_locale_follows_the_order_of_posix() {
        let environment = [("LC_ALL", ""), ("LC_MESSAGES", "C"), ("LANG", "zh_TW")];
        assert_eq!(detected(&[], &environment), Language::English);
        assert_eq!(detected(&[], &[("LC_ALL", ""), ("LANG", "zh_TW")]), Language::Chinese);
        assert_eq!(detected(&[], &[]), Language::English);
    }
}
