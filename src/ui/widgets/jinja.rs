//! Colours for chat templates: a small lexer of Jinja, forgiving, because the text is being written.

use std::ops::Range;

/// What a stretch of a template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Written as it stands.
    Plain,
    /// `{{`, `-}}`, `{%` and so on.
    Delimiter,
    Comment,
    String,
    Keyword,
    Number,
    /// Names, operators and white space inside a tag.
    Code,
    /// The name after `|` or `is`.
    Filter,
}

const KEYWORDS: [&str; 31] = [
    "for",
    "endfor",
    "if",
    "elif",
    "else",
    "endif",
    "in",
    "not",
    "and",
    "or",
    "is",
    "set",
    "endset",
    "macro",
    "endmacro",
    "call",
    "endcall",
    "filter",
    "endfilter",
    "block",
    "endblock",
    "with",
    "endwith",
    "raw",
    "endraw",
    "generation",
    "endgeneration",
    "true",
    "false",
    "none",
    "recursive",
];

/// Stretches that cover the whole text, in order.
pub fn highlight(text: &str) -> Vec<(Range<usize>, Kind)> {
    let mut spans = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let Some(open) = next_tag(rest) else {
            push(&mut spans, at..text.len(), Kind::Plain);
            break;
        };
        push(&mut spans, at..at + open, Kind::Plain);
        at += open;
        at += tag(&text[at..], at, &mut spans);
    }
    spans
}

fn push(spans: &mut Vec<(Range<usize>, Kind)>, range: Range<usize>, kind: Kind) {
    if range.is_empty() {
        return;
    }
    match spans.last_mut() {
        Some((last, known)) if *known == kind && last.end == range.start => last.end = range.end,
        _ => spans.push((range, kind)),
    }
}

fn next_tag(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find('{') {
        let at = from + at;
        if matches!(text.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// Reads one tag at the beginning of `text`, which lies at `base`; returns its length.
fn tag(text: &str, base: usize, spans: &mut Vec<(Range<usize>, Kind)>) -> usize {
    let open = text.as_bytes().get(1).copied();
    let end_mark = match open {
        Some(b'#') => {
            let end = text.find("#}").map_or(text.len(), |end| end + 2);
            push(spans, base..base + end, Kind::Comment);
            return end;
        }
        Some(b'%') => "%}",
        _ => "}}",
    };
    let mut at = 2;
    if matches!(text.as_bytes().get(at), Some(b'-' | b'+')) {
        at += 1;
    }
    push(spans, base..base + at, Kind::Delimiter);
    // Braces of a map inside an expression do not end it.
    let mut depth = 0_usize;
    let mut before = "";
    while at < text.len() {
        let rest = &text[at..];
        let trimmed = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        if depth == 0 && trimmed.starts_with(end_mark) {
            let end = at + rest.len() - trimmed.len() + 2;
            push(spans, base + at..base + end, Kind::Delimiter);
            return end;
        }
        let (length, kind) = token(rest, before);
        match rest.as_bytes()[0] {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        push(spans, base + at..base + at + length, kind);
        if !rest.starts_with(char::is_whitespace) {
            before = &rest[..length];
        }
        at += length;
    }
    text.len()
}

/// Length in bytes and kind of the token that `text` begins with; `before` is the one before it.
fn token(text: &str, before: &str) -> (usize, Kind) {
    let Some(first) = text.chars().next() else { return (0, Kind::Code) };
    let run = |test: &dyn Fn(char) -> bool| text.find(|c| !test(c)).unwrap_or(text.len());
    match first {
        '"' | '\'' => (string(text, first), Kind::String),
        c if c.is_ascii_digit() => (run(&|c| c.is_ascii_digit() || c == '.'), Kind::Number),
        c if c.is_alphabetic() || c == '_' => {
            let length = run(&|c| c.is_alphanumeric() || c == '_');
            let word = &text[..length];
            let kind = match before {
                // Members are never keywords: `loop.else`.
                "." => Kind::Code,
                "|" | "is" if !matches!(word, "not") => Kind::Filter,
                _ if KEYWORDS.contains(&word.to_ascii_lowercase().as_str()) => Kind::Keyword,
                _ => Kind::Code,
            };
            (length, kind)
        }
        c if c.is_whitespace() => (run(&char::is_whitespace), Kind::Code),
        c => (c.len_utf8(), Kind::Code),
    }
}

/// Length of the string that `text` begins with, to its end or the text's.
fn string(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(&str, Kind)> {
        let spans = highlight(text);
        let words = spans.into_iter().map(|(range, kind)| (&text[range], kind));
        words.filter(|(word, _)| !word.trim().is_empty()).map(|(word, kind)| (word.trim(), kind)).collect()
    }

    #[test]
    fn tags_strings_keywords_and_filters_are_told_apart() {
        assert_eq!(
            kinds("<|a|>{%- if m.role == 'x}}' %}{{ m['content'] | trim }}{# note #}"),
            [
                ("<|a|>", Kind::Plain),
                ("{%-", Kind::Delimiter),
                ("if", Kind::Keyword),
                ("m.role ==", Kind::Code),
                ("'x}}'", Kind::String),
                ("%}{{", Kind::Delimiter),
                ("m[", Kind::Code),
                ("'content'", Kind::String),
                ("] |", Kind::Code),
                ("trim", Kind::Filter),
                ("}}", Kind::Delimiter),
                ("{# note #}", Kind::Comment),
            ]
        );
    }

    #[test]
    fn every_byte_is_covered_once_whatever_is_written() {
        let texts = [
            "",
            "{",
            "{{",
            "{%",
            "{#",
            "{{ '",
            "{{ \"é\\",
            "{{ {'a': {}} }} b",
            "{% raw %}{{ x",
            "中文{{名}}文",
            "{{-}}",
            "a { b } c",
            "{%+ set n = 1.5 -%}",
            "{{ a.if }}",
            "}}%}",
        ];
        for text in texts {
            let mut at = 0;
            for (range, _) in highlight(text) {
                assert_eq!(range.start, at, "{text}");
                assert!(text.get(range.clone()).is_some(), "{text}");
                at = range.end;
            }
            assert_eq!(at, text.len(), "{text}");
        }
    }

    #[test]
    fn a_map_in_an_expression_does_not_end_it() {
        let text = "{{ {'a': {'b': 1}} }}x";
        assert_eq!(highlight(text).last(), Some(&(text.len() - 1..text.len(), Kind::Plain)));
    }
}
