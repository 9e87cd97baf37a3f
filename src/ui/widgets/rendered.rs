//! The text a template made, coloured like its tokens; a token is picked by a click.

use egui::text::{LayoutJob, TextFormat};
use egui::{Color32, FontId, Label, ScrollArea, Sense, Ui, WidgetText};
use protocol::{PreviewRow, TokenRole};

use super::token_view::{RowKey, piece};
use crate::theme::{Tokens, UiTokens};

/// Bytes of a row that are drawn: more is beyond reading.
const SHOWN: usize = 100_000;

/// What was coloured, kept until the row, the picked token or the theme change.
#[derive(Default)]
pub struct Rendered {
    known: Option<(RowKey, Option<usize>, bool)>,
    job: LayoutJob,
    /// The picked token is to be seen.
    reveal: bool,
}

impl Rendered {
    /// Returns the token that was clicked.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        row: &PreviewRow,
        key: RowKey,
        selected: Option<usize>,
    ) -> Option<usize> {
        let now = (key, selected, ui.visuals().dark_mode);
        if self.known != Some(now) {
            self.reveal = self.known.is_some_and(|known| known.0 == key && known.1 != selected);
            self.known = Some(now);
            self.job = job(row, selected, ui.tokens());
        }
        let mut clicked = None;
        ScrollArea::vertical().id_salt("rendered").auto_shrink(false).show(ui, |ui| {
            let mut job = self.job.clone();
            job.wrap.max_width = ui.available_width();
            let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
            let label = Label::new(WidgetText::Galley(galley.clone())).selectable(true).sense(Sense::click());
            let response = ui.add(label);
            let origin = response.rect.left_top();
            if response.clicked()
                && let Some(at) = response.interact_pointer_pos()
            {
                let cursor = galley.cursor_from_pos(at - origin);
                let byte = row.rendered.char_indices().nth(cursor.index.0).map(|(byte, _)| byte);
                clicked = byte.and_then(|byte| token_at(row, byte));
            }
            if std::mem::take(&mut self.reveal)
                && let Some(span) = selected.and_then(|index| piece::span(row, index))
            {
                let chars = row.rendered.get(..span.start).map_or(0, |text| text.chars().count());
                let place =
                    galley.pos_from_cursor(egui::text::CCursor::new(chars)).translate(origin.to_vec2());
                ui.scroll_to_rect(place, None);
            }
        });
        clicked
    }
}

/// The token that covers a byte of the rendered text.
pub fn token_at(row: &PreviewRow, byte: usize) -> Option<usize> {
    let byte = byte as u64;
    // Offsets grow, but for tokens that write nothing: those are passed over.
    let from = row.offsets.partition_point(|(_, end)| *end <= byte);
    let near = from.saturating_sub(4)..(from + 4).min(row.offsets.len());
    let mut near = near.filter_map(|index| piece::span(row, index).map(|span| (index, span)));
    near.find(|(_, span)| span.contains(&(byte as usize))).map(|(index, _)| index)
}

fn job(row: &PreviewRow, selected: Option<usize>, tokens: &Tokens) -> LayoutJob {
    let mut job = LayoutJob::default();
    let end = row.rendered.floor_char_boundary(SHOWN);
    let mut at = 0;
    let mut run = Run { start: 0, format: None };
    for index in 0..row.offsets.len() {
        let Some(span) = piece::span(row, index) else { continue };
        let (start, stop) = (span.start.max(at), span.end.min(end));
        if start >= stop {
            continue;
        }
        if start > at {
            run.change(&mut job, row, at, format(tokens, tokens.text_faint, Color32::TRANSPARENT));
        }
        run.change(&mut job, row, start, token_format(row, index, selected, tokens));
        at = stop;
    }
    if at < end {
        // What no token covers: after the cut.
        run.change(&mut job, row, at, format(tokens, tokens.text_faint, Color32::TRANSPARENT));
    }
    run.finish(&mut job, row, end);
    if end < row.rendered.len() {
        job.append(" …", 0.0, format(tokens, tokens.text_faint, Color32::TRANSPARENT));
    }
    job
}

/// Neighbours of one look become one section.
struct Run {
    start: usize,
    format: Option<TextFormat>,
}

impl Run {
    fn change(&mut self, job: &mut LayoutJob, row: &PreviewRow, at: usize, format: TextFormat) {
        if self.format.as_ref() != Some(&format) {
            self.finish(job, row, at);
            self.start = at;
            self.format = Some(format);
        }
    }

    fn finish(&mut self, job: &mut LayoutJob, row: &PreviewRow, at: usize) {
        if let (Some(format), Some(text)) = (self.format.take(), row.rendered.get(self.start..at)) {
            job.append(text, 0.0, format);
        }
    }
}

fn token_format(row: &PreviewRow, index: usize, selected: Option<usize>, tokens: &Tokens) -> TextFormat {
    let role = row.roles.get(index).copied().unwrap_or(TokenRole::Text);
    let learned = row.loss_mask.get(index).copied().unwrap_or(false);
    let text = match (learned, role) {
        (true, _) => tokens.text_strong,
        (false, TokenRole::Template) => tokens.text_weak,
        (false, _) => tokens.text,
    };
    let ground = match (selected == Some(index), learned) {
        (true, _) => Tokens::wash(tokens.accent, 0.5),
        (false, true) => Tokens::wash(tokens.role(role), 0.22),
        (false, false) => Color32::TRANSPARENT,
    };
    format(tokens, text, ground)
}

fn format(_tokens: &Tokens, text: Color32, ground: Color32) -> TextFormat {
    TextFormat { background: ground, ..TextFormat::simple(FontId::monospace(12.5), text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_rows::row;

    #[test]
    fn a_byte_belongs_to_the_token_that_wrote_it() {
        let row = row(&[
            ("<s>", TokenRole::Template, false),
            ("Grüße", TokenRole::User, false),
            ("!", TokenRole::Assistant, true),
        ]);
        assert_eq!(token_at(&row, 0), Some(0));
        assert_eq!(token_at(&row, 5), Some(1));
        assert_eq!(token_at(&row, row.rendered.len() - 1), Some(2));
        assert_eq!(token_at(&row, row.rendered.len()), None);
    }

    #[test]
    fn the_text_is_drawn_once_and_whole_with_what_was_cut() {
        let mut row = row(&[("ab", TokenRole::User, false), ("cd", TokenRole::Assistant, true)]);
        row.rendered.push_str(" left out");
        for selected in [None, Some(0), Some(1)] {
            assert_eq!(job(&row, selected, Tokens::of(true)).text, "abcd left out");
        }
        row.offsets = vec![(3, 1), (9, 200)];
        assert_eq!(job(&row, None, Tokens::of(true)).text, row.rendered);
    }
}
