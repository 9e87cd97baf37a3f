//! `{% generation %}`, the tag by which a template marks what the model writes.
//!
//! transformers implements it as a call block (its body is a scope of its own); minijinja has no such
//! tag, so the tag's name is rewritten into a call block of [`FUNCTION`]. Nothing else of the source
//! changes: not the whitespace control, not the line numbers.

use std::borrow::Cow;

/// The global function that the rewritten tag calls.
pub(super) const FUNCTION: &str = "__generation__";

/// Rewrites the tags; the flag says whether there were any.
pub(super) fn generation_tags(source: &str) -> (Cow<'_, str>, bool) {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(open) = source[at..].find('{').map(|found| at + found) {
        let rest = &source[open..];
        at = match rest.as_bytes().get(1) {
            Some(b'#') => open + rest.find("#}").map_or(rest.len(), |end| end + 2),
            Some(b'{') => open + expression_end(rest, "}}"),
            Some(b'%') => match tag_name(source, open) {
                (_, "raw") => end_of_raw(source, open),
                (start, name @ ("generation" | "endgeneration")) => {
                    tags.push((start, name));
                    open + expression_end(rest, "%}")
                }
                _ => open + expression_end(rest, "%}"),
            },
            _ => open + 1,
        };
    }
    if tags.is_empty() { (Cow::Borrowed(source), false) } else { (Cow::Owned(replace(source, &tags)), true) }
}

fn replace(source: &str, tags: &[(usize, &str)]) -> String {
    let mut out = String::with_capacity(source.len() + tags.len() * 16);
    let mut at = 0;
    for (start, name) in tags {
        out.push_str(&source[at..*start]);
        match *name {
            "generation" => out.extend(["call ", FUNCTION, "()"]),
            _ => out.push_str("endcall"),
        }
        at = start + name.len();
    }
    out.push_str(&source[at..]);
    out
}

/// Position and text of the first word of the tag that opens at `open`.
fn tag_name(source: &str, open: usize) -> (usize, &str) {
    let inside = &source[open + 2..];
    let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside).trim_start();
    let start = source.len() - inside.len();
    let end = inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len());
    (start, &inside[..end])
}

/// Length up to and including the closing delimiter; strings and brackets inside are passed over.
fn expression_end(rest: &str, close: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 2;
    let mut depth = 0_usize;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') => at = string_end(bytes, at, quote),
            _ if depth == 0 && rest.is_char_boundary(at) && rest[at..].starts_with(close) => {
                return at + close.len();
            }
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Position of the quote that closes the string opened at `at`.
fn string_end(bytes: &[u8], at: usize, quote: u8) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != quote {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    end
}

/// Behind the `{% endraw %}` that closes the raw block opened at `open`.
fn end_of_raw(source: &str, open: usize) -> usize {
    let mut at = open + 2;
    while let Some(found) = source[at..].find("{%").map(|found| at + found) {
        if tag_name(source, found).1 == "endraw" {
            return found + expression_end(&source[found..], "%}");
        }
        at = found + 2;
    }
    source.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tags_are_rewritten() {
        let source = "{# {% generation %} #}{{ '{% generation %}' }}{% raw %}{% generation %}{% endraw %}\
                      {%- generation -%}x{%+ endgeneration %}{{ {'a': {}} }}{% set generation = 1 %}";
        let (rewritten, found) = generation_tags(source);
        assert!(found);
        assert_eq!(
            rewritten,
            "{# {% generation %} #}{{ '{% generation %}' }}{% raw %}{% generation %}{% endraw %}\
             {%- call __generation__() -%}x{%+ endcall %}{{ {'a': {}} }}{% set generation = 1 %}"
        );
    }

    #[test]
    fn broken_sources_are_left_alone() {
        for source in [
            "{%",
            "{% generation",
            "{{ 'abc",
            "{# ",
            "{% raw %}{% generation %}",
            "{",
            "{{ '\\",
            "名{% 名 %}",
        ] {
            let (rewritten, _) = generation_tags(source);
            assert_eq!(rewritten.replace("call __generation__()", "generation"), source);
        }
    }
}
