//! Text that a model wrote: as Markdown or as it is, with spans tinted.
//!
//! Markdown is drawn block by block. Blocks with no marks but those of lists, bold and code are drawn by egui alone,
//! which keeps their layout from frame to frame and can tint words; beside the others a bar says that they differ.

use std::ops::Range;

use egui::text::{LayoutJob, TextFormat};
use egui::{Color32, Frame, Label, Margin, TextStyle, Ui};
use egui_commonmark::{CommonMarkCache, CommonMarkViewer};

use crate::theme::semibold;

/// Longer texts are drawn as they are: parsing them in every frame would be felt.
const LONGEST_MARKDOWN: usize = 64 << 10;

/// How to draw it.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    pub markdown: bool,
    /// Byte ranges that are tinted, in order.
    pub tinted: &'a [Range<usize>],
    pub tint: Color32,
    /// Beside blocks whose words cannot be tinted.
    pub bar: Color32,
    pub colour: Color32,
}

/// Keeps what Markdown needs from frame to frame.
#[derive(Default)]
pub struct Prose {
    cache: CommonMarkCache,
}

impl Prose {
    pub fn ui(&mut self, ui: &mut Ui, text: &str, look: Look<'_>) {
        ui.style_mut().interaction.selectable_labels = true;
        if !look.markdown || text.len() > LONGEST_MARKDOWN {
            plain(ui, text, 0, look);
            return;
        }
        for block in blocks(text) {
            let part = &text[block.range.clone()];
            let offset = block.range.start;
            match block.kind {
                Kind::Text => plain(ui, part, offset, look),
                Kind::Item { indent, words } => item(ui, part, offset, (indent, words), look),
                Kind::Marked => self.marked(ui, part, offset, look),
            }
        }
    }

    /// Markdown's own drawing; a bar at its left says that words in it are tinted.
    fn marked(&mut self, ui: &mut Ui, part: &str, offset: usize, look: Look<'_>) {
        let end = offset + part.len();
        let touched = look.tinted.iter().any(|range| range.start < end && offset < range.end);
        let margin = Margin { left: if touched { 8 } else { 0 }, ..Margin::ZERO };
        let drawn = Frame::new().inner_margin(margin).show(ui, |ui| {
            ui.push_id(offset, |ui| CommonMarkViewer::new().show(ui, &mut self.cache, part));
        });
        if touched {
            let rect = drawn.response.rect;
            let bar = egui::Rect::from_min_size(rect.min, egui::vec2(3.0, rect.height()));
            ui.painter().rect_filled(bar, 1.5, look.bar);
        }
    }
}

/// A point of a list whose words bear no markup.
fn item(ui: &mut Ui, text: &str, offset: usize, (indent, words): (usize, usize), look: Look<'_>) {
    ui.horizontal_top(|ui| {
        ui.add_space(6.0 + indent as f32 * 6.0);
        let marker = text[..words].trim();
        let marker = if marker.starts_with(['-', '*', '+']) { "•" } else { marker };
        plain(ui, marker, usize::MAX, Look { tinted: &[], ..look });
        ui.vertical(|ui| plain(ui, &text[words..], offset + words, look));
    });
}

/// Text with at most words in bold or code; `offset` is where it begins in what the tinted ranges are of.
fn plain(ui: &mut Ui, text: &str, offset: usize, look: Look<'_>) {
    let whole = || vec![(0..text.len(), Style::Words)];
    let segments = if look.markdown { inline(text).unwrap_or_else(whole) } else { whole() };
    let (body, code) = (TextStyle::Body.resolve(ui.style()), TextStyle::Monospace.resolve(ui.style()));
    let line_height = Some(body.size * 1.5);
    let mut job = LayoutJob::default();
    for (range, style) in segments {
        let (font_id, ground) = match style {
            Style::Words => (body.clone(), Color32::TRANSPARENT),
            Style::Bold => (egui::FontId::new(body.size, semibold()), Color32::TRANSPARENT),
            Style::Code => (code.clone(), ui.visuals().code_bg_color),
        };
        for (piece, tinted) in pieces(&text[range.clone()], offset.saturating_add(range.start), look.tinted) {
            let background = if tinted { look.tint } else { ground };
            let (font_id, color) = (font_id.clone(), look.colour);
            let format = TextFormat { font_id, color, background, line_height, ..TextFormat::default() };
            job.append(piece, 0.0, format);
        }
    }
    ui.add(Label::new(job).wrap().selectable(true));
}

/// How words are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Words,
    Bold,
    Code,
}

/// A text without its marks of `**bold**` and `` `code` ``. None where there may be other marks: Markdown knows.
fn inline(text: &str) -> Option<Vec<(Range<usize>, Style)>> {
    let mut segments = Vec::new();
    let (mut at, mut words) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let enclosed = match c {
            '*' if rest.starts_with("**") => Some(("**", Style::Bold)),
            '`' if !rest.starts_with("``") => Some(("`", Style::Code)),
            _ if is_literal(text, at, c) => None,
            _ => return None,
        };
        let Some((mark, style)) = enclosed else {
            at += c.len_utf8();
            continue;
        };
        let start = at + mark.len();
        let length = text[start..].find(mark)?;
        let inner = &text[start..start + length];
        let simple = style == Style::Code || inner.char_indices().all(|(i, c)| is_literal(inner, i, c));
        if inner.trim() != inner || inner.is_empty() || inner.contains('\n') || !simple {
            return None;
        }
        segments.extend([(words..at, Style::Words), (start..start + length, style)]);
        at = start + length + mark.len();
        words = at;
    }
    segments.push((words..text.len(), Style::Words));
    segments.retain(|(range, _)| !range.is_empty());
    Some(segments)
}

/// Whether Markdown surely takes a character for itself, here inside a line.
fn is_literal(text: &str, at: usize, c: char) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at + c.len_utf8()..].chars().next();
    let spaced = |c: Option<char>| c.is_none_or(char::is_whitespace);
    match c {
        '`' | '|' | '[' | '\\' => false,
        '*' => spaced(before) && spaced(after),
        '_' => before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric),
        '<' | '&' => spaced(after) || after.is_some_and(|c| c.is_ascii_digit()),
        '~' => after != Some('~') && before != Some('~'),
        ':' => !text[at..].starts_with("://"),
        _ => true,
    }
}

/// A text cut at the ends of the ranges, each piece with whether it lies in one.
fn pieces<'a>(text: &'a str, offset: usize, ranges: &[Range<usize>]) -> Vec<(&'a str, bool)> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for range in ranges {
        let start = range.start.saturating_sub(offset).clamp(at, text.len());
        let end = range.end.saturating_sub(offset).clamp(start, text.len());
        // A range that is not of this text at all leaves it whole.
        let (Some(before), Some(inside)) = (text.get(at..start), text.get(start..end)) else { continue };
        pieces.push((before, false));
        pieces.push((inside, true));
        at = end;
    }
    pieces.push((&text[at..], false));
    pieces.retain(|(piece, _)| !piece.is_empty());
    pieces
}

/// A part of a text, and how it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    range: Range<usize>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// As it is.
    Text,
    /// A line of a list: spaces before its marker, and where its words begin.
    Item { indent: usize, words: usize },
    /// By the rules of Markdown.
    Marked,
}

/// Paragraphs: parts between blank lines, where no fence of code is open. Marked parts that follow each other stay
/// together, because lists and quotes reach over blank lines; plain lists are taken line by line.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for part in paragraphs(text) {
        let end = part.start + text[part.clone()].trim_end().len();
        let range = part.start..end;
        let words = &text[range.clone()];
        if is_unmarked(words) {
            blocks.push(Block { range, kind: Kind::Text });
        } else if let Some(items) = items(words, range.start) {
            blocks.extend(items);
        } else {
            match blocks.last_mut() {
                Some(Block { range: last, kind: Kind::Marked }) => last.end = end,
                _ => blocks.push(Block { range, kind: Kind::Marked }),
            }
        }
    }
    blocks
}

fn paragraphs(text: &str) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let (mut open, mut fenced, mut start) = (false, false, 0);
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            fenced = !fenced;
        }
        let blank = trimmed.is_empty() && !fenced;
        match parts.last_mut() {
            Some(part) if open && !blank => part.end = end,
            _ if !blank => parts.push(start..end),
            _ => {}
        }
        open = !blank;
        start = end;
    }
    parts
}

/// The lines of a list, if each is a point of it and bears no markup but its marker.
fn items(text: &str, offset: usize) -> Option<Vec<Block>> {
    let mut items = Vec::new();
    let mut start = offset;
    for line in text.split_inclusive('\n') {
        let words = line.trim_end();
        let indent = words.len() - words.trim_start_matches(' ').len();
        let marker = marker(&words[indent..])?;
        if !is_unmarked(&words[indent + marker..]) {
            return None;
        }
        let range = start..start + words.len();
        items.push(Block { range, kind: Kind::Item { indent, words: indent + marker } });
        start += line.len();
    }
    Some(items)
}

/// Bytes of a list's marker at the beginning of a line, with the space after it.
fn marker(line: &str) -> Option<usize> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let sign = *line.as_bytes().get(digits)?;
    let is_marker = if digits == 0 { b"-*+".contains(&sign) } else { digits < 4 && b".)".contains(&sign) };
    let spaced = line.as_bytes().get(digits + 1) == Some(&b' ');
    (is_marker && spaced).then_some(digits + 2)
}

/// Whether Markdown would draw it as words, with some in bold or code at most.
fn is_unmarked(block: &str) -> bool {
    let plain_line = |line: &str| {
        let words = line.trim_start();
        let code = line.starts_with('\t') || line.len() - words.len() >= 4;
        let after_number = words.trim_start_matches(|c: char| c.is_ascii_digit());
        let numbered = after_number.len() < words.len() && after_number.starts_with(['.', ')']);
        let point = words.starts_with('*') && !words.starts_with("**");
        !code && !numbered && !point && !words.starts_with(['-', '+', '=', '#', '>'])
    };
    block.lines().all(plain_line) && inline(block).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(&str, char)> {
        let letter = |kind| match kind {
            Kind::Text => 't',
            Kind::Item { .. } => 'i',
            Kind::Marked => 'm',
        };
        blocks(text).into_iter().map(|block| (&text[block.range], letter(block.kind))).collect()
    }

    #[test]
    fn paragraphs_are_told_apart_and_marked_ones_stay_together() {
        assert_eq!(shown("one\ntwo\n\n\nthree\n"), [("one\ntwo", 't'), ("three", 't')]);
        let list = "say:\n\n- *a*\n\n- [b](c)\n\nend";
        assert_eq!(shown(list), [("say:", 't'), ("- *a*\n\n- [b](c)", 'm'), ("end", 't')]);
        assert_eq!(shown("```\na\n\nb\n```\n\nend"), [("```\na\n\nb\n```", 'm'), ("end", 't')]);
        assert_eq!(shown("open ```\n\n```\nx\n\ny"), [("open ```\n\n```\nx\n\ny", 'm')]);
        assert!(shown(" \n\n").is_empty());
    }

    #[test]
    fn plain_lists_are_taken_line_by_line() {
        assert_eq!(shown("- a b\n  - c\n12. d"), [("- a b", 'i'), ("  - c", 'i'), ("12. d", 'i')]);
        assert_eq!(shown("- a\nmore of it"), [("- a\nmore of it", 'm')]);
        assert_eq!(shown("- **a**: x\n- b"), [("- **a**: x", 'i'), ("- b", 'i')]);
        assert_eq!(shown("- *a*\n- b"), [("- *a*\n- b", 'm')]);
        let found = blocks("  - c");
        assert_eq!(found[0].kind, Kind::Item { indent: 2, words: 4 });
        for line in ["-a", "1.", "1234. a", "-", "", "— a"] {
            assert_eq!(marker(line), None, "{line}");
        }
    }

    #[test]
    fn markup_is_known() {
        let marked = [
            "*a*",
            "# a",
            "1. a",
            "- a",
            "``a``",
            "a | b",
            "    code",
            "> a",
            "1) a",
            "===",
            "* a",
            "_a_",
            "~~a~~",
            "<b>",
            "&amp;",
            "[a](b)",
            "see https://a.b",
            "**a",
            "** a **",
            "`a",
            "**a *b***",
            "a\\*",
        ];
        for text in marked {
            assert!(!is_unmarked(text), "{text}");
        }
        let plain = [
            "Hello, world!",
            "我是小烬。",
            "2 * 3 < 7 & 5 > 4",
            "snake_case",
            "(a) b",
            "**bold** and `co_de*`",
            "~5",
            "Note: x",
            "",
            "$5",
        ];
        for text in plain {
            assert!(is_unmarked(text), "{text}");
        }
    }

    #[test]
    fn bold_and_code_lose_their_marks() {
        let text = "a **b c** 你`d`";
        let found = inline(text).unwrap();
        let shown: Vec<_> = found.into_iter().map(|(range, style)| (&text[range], style)).collect();
        let (words, bold, code) = (Style::Words, Style::Bold, Style::Code);
        assert_eq!(shown, [("a ", words), ("b c", bold), (" 你", words), ("d", code)]);
    }

    #[test]
    fn pieces_cover_the_text_whatever_the_ranges() {
        let text = "我是小烬";
        let last = 6..12;
        assert_eq!(pieces(text, 0, std::slice::from_ref(&last)), [("我是", false), ("小烬", true)]);
        assert_eq!(pieces(text, 100, &[0..4, 106..109]), [("我是", false), ("小", true), ("烬", false)]);
        let (inside, beyond, outside) = (1..2, 0..999, 500..600);
        for ranges in [&[inside, 3..6], &[beyond, 4..5], &[outside, 3..6], &[3..6, 2..4]] {
            let joined: String = pieces(text, 0, ranges).into_iter().map(|(piece, _)| piece).collect();
            assert_eq!(joined, text, "{ranges:?}");
        }
    }
}
