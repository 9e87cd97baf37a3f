//! Small repairs that the grammar's authors need not think of: articles, capitals, spaces.

/// Resolves `a(n)`, writes sentences with a capital and removes spaces left by silent bindings.
pub fn tidy(text: &str) -> String {
    capitals(&articles(&spaces(text)))
}

fn spaces(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for letter in text.trim().chars() {
        let after_gap = clean.ends_with([' ', '\n']);
        match letter {
            ' ' if after_gap => {}
            '\n' => {
                clean.truncate(clean.trim_end_matches(' ').len());
                clean.push('\n');
            }
            _ => clean.push(letter),
        }
    }
    clean
}

fn articles(text: &str) -> String {
    let mut parts = text.split("a(n) ");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let vowel = part.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
        let spoken_with_y = part.starts_with("use") || part.starts_with("uni");
        clean.push_str(if vowel && !spoken_with_y { "an " } else { "a " });
        clean.push_str(part);
    }
    clean
}

fn capitals(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    // `ended`: a full stop came, so that a gap starts a sentence; `colon`: a quote would start one.
    let (mut ended, mut colon, mut starts) = (false, false, true);
    for letter in text.chars() {
        clean.push(if starts { letter.to_ascii_uppercase() } else { letter });
        starts = match letter {
            '\n' | '>' => true,
            ' ' => ended || starts,
            '"' => starts || colon,
            '(' | '-' => starts,
            _ => false,
        };
        ended = matches!(letter, '.' | '!' | '?') || (letter == '"' && clean.ends_with(".\""));
        colon = letter == ':' || (colon && letter == ' ');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_articles_and_gaps() {
        let raw = " a(n) owl  saw a(n) cat. it  said: \"Come?\" she asked. \n the end";
        assert_eq!(tidy(raw), "An owl saw a cat. It said: \"Come?\" she asked.\nThe end");
        assert_eq!(tidy("she said: \"it is.\" then she left"), "She said: \"It is.\" Then she left");
        assert_eq!(tidy("what? => yes, a(n) useful one"), "What? => Yes, a useful one");
        assert_eq!(tidy("你好。 我在"), "你好。 我在");
    }
}
