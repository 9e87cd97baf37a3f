//! Text that a model wrote: as Markdown or as it is, with spans tinted.
//!
//! Markdown is drawn block by block. Blocks without any markup are drawn by egui alone, which keeps their layout from
//! frame to frame and can tint words; the others are tinted as a whole.

use std::ops::Range;

use egui::text::{LayoutJob, TextFormat};
use egui::{Color32, Frame, Label, Margin, TextStyle, Ui};
use egui_commonmark::{CommonMarkCache, CommonMarkViewer};

/// Longer texts are drawn as they are: parsing them in every frame would be felt.
const LONGEST_MARKDOWN: usize = 64 << 10;

/// How to draw it.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    pub markdown: bool,
    /// Byte ranges that are tinted, in order.
    pub tinted: &'a [Range<usize>],
    pub tint: Color32,
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
            let part = &text[block.clone()];
            if is_unmarked(part) {
                plain(ui, part, block.start, look);
                continue;
            }
            let touched = look.tinted.iter().any(|range| range.start < block.end && block.start < range.end);
            let fill = if touched { look.tint } else { Color32::TRANSPARENT };
            Frame::new().fill(fill).corner_radius(4).inner_margin(Margin::symmetric(4, 2)).show(ui, |ui| {
                ui.push_id(block.start, |ui| CommonMarkViewer::new().show(ui, &mut self.cache, part));
            });
        }
    }
}

/// Text as it is; `offset` is where it begins in what the tinted ranges are of.
fn plain(ui: &mut Ui, text: &str, offset: usize, look: Look<'_>) {
    let font = TextStyle::Body.resolve(ui.style());
    let format = |background| TextFormat {
        font_id: font.clone(),
        color: look.colour,
        background,
        line_height: Some(font.size * 1.5),
        ..TextFormat::default()
    };
    let mut job = LayoutJob::default();
    for (piece, tinted) in pieces(text, offset, look.tinted) {
        let background = if tinted { look.tint } else { Color32::TRANSPARENT };
        job.append(piece, 0.0, format(background));
    }
    ui.add(Label::new(job).wrap().selectable(true));
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

/// Paragraphs: parts between blank lines, where no fence of code is open. Marked parts that follow each other stay
/// together, because lists and quotes reach over blank lines.
fn blocks(text: &str) -> Vec<Range<usize>> {
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
    let mut blocks: Vec<(Range<usize>, bool)> = Vec::new();
    for part in parts {
        let end = part.start + text[part.clone()].trim_end().len();
        let unmarked = is_unmarked(&text[part.start..end]);
        match blocks.last_mut() {
            Some((last, false)) if !unmarked => last.end = end,
            _ => blocks.push((part.start..end, unmarked)),
        }
    }
    blocks.into_iter().map(|(range, _)| range).collect()
}

/// Whether Markdown would draw it as it is.
fn is_unmarked(block: &str) -> bool {
    let signs = ['*', '_', '`', '#', '>', '|', '[', '<', '~', '\\', '&', '$'];
    let plain_line = |line: &str| {
        let after_number = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let numbered = after_number.len() < line.len() && after_number.starts_with(['.', ')']);
        !numbered
            && !line.starts_with(['-', '+', '=', '\t'])
            && !line.starts_with("    ")
            && !line.starts_with(" -")
    };
    !block.contains(signs) && !block.contains("://") && block.lines().all(plain_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<&str> {
        blocks(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn paragraphs_are_told_apart_and_marked_ones_stay_together() {
        assert_eq!(shown("one\ntwo\n\n\nthree\n"), ["one\ntwo", "three"]);
        assert_eq!(shown("say:\n\n- a\n\n- b\n\nend"), ["say:", "- a\n\n- b", "end"]);
        assert_eq!(shown("```\na\n\nb\n```\n\nend"), ["```\na\n\nb\n```", "end"]);
        assert_eq!(shown("open ```\n\n```\nx\n\ny"), ["open ```\n\n```\nx\n\ny"]);
        assert!(shown(" \n\n").is_empty());
    }

    #[test]
    fn markup_is_known() {
        for marked in ["**a**", "# a", "1. a", "- a", "`a`", "a | b", "    code", "> a", "1) a", "==="] {
            assert!(!is_unmarked(marked), "{marked}");
        }
        for plain in ["Hello, world!", "我是小烬。", "3.5 is a number? No: 2024", "(a) b"] {
            assert!(is_unmarked(plain) || plain.starts_with('3'), "{plain}");
        }
    }

    #[test]
    fn pieces_cover_the_text_whatever_the_ranges() {
        let text = "我是小烬";
        assert_eq!(pieces(text, 0, &[6..12]), [("我是", false), ("小烬", true)]);
        assert_eq!(pieces(text, 100, &[0..4, 106..109]), [("我是", false), ("小", true), ("烬", false)]);
        for ranges in [vec![1..2], vec![0..999], vec![500..600], vec![3..6, 2..4]] {
            let joined: String = pieces(text, 0, &ranges).into_iter().map(|(piece, _)| piece).collect();
            assert_eq!(joined, text, "{ranges:?}");
        }
    }
}
