//! How hard each token is for a model, as colours and words.

use egui::{Color32, Rect, RichText, Sense, Ui, Vec2, pos2};
use protocol::{Text, TokenLosses};

use super::piece::{Piece, visible};
use crate::panels::PanelCtx;
use crate::state::heat::mean;
use crate::theme::{Tokens, UiTokens};
use crate::widgets::number::scientific;
use crate::words::analysis as words;

/// The loss of the hottest colour: a probability of 0.25 %.
const HOTTEST: f32 = 6.0;
/// Parts of the legend's band.
const STEPS: usize = 24;

/// The colour of a loss, `lit` stronger under the pointer; none for a token without one.
pub fn colour(tokens: &Tokens, loss: Option<f32>, lit: f32) -> Color32 {
    match loss.filter(|loss| !loss.is_nan()) {
        Some(loss) => tokens.heat(loss / HOTTEST + lit),
        None => Tokens::wash(tokens.text_faint, lit),
    }
}

/// What is known of a token: its loss and probability, and what the model would have said.
pub fn told(heat: &TokenLosses, index: usize) -> Vec<(&'static Text, String)> {
    let mut lines = Vec::new();
    if let Some(loss) = heat.losses.get(index).copied().flatten() {
        let percent = f64::from(-loss).exp() * 100.0;
        lines.push((&words::LOSS, format!("{loss:.3}  ({} %)", scientific(percent))));
    }
    if let Some(best) = heat.best.get(index).and_then(Option::as_ref) {
        lines.push((&words::SAID, visible(&Piece::Name(best)).text));
    }
    lines
}

/// The band of colours, and the mean of what is learned.
pub fn legend(ui: &mut Ui, ctx: &PanelCtx<'_>, heat: Option<&TokenLosses>) {
    let tokens = ui.tokens();
    let weak = |text: &str| RichText::new(text).small().color(tokens.text_weak);
    ui.label(weak("0"));
    let (rect, response) = ui.allocate_exact_size(Vec2::new(96.0, 10.0), Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, ctx.t(&words::HEAT_LEGEND)));
    // Steps of whole points: their edges neither overlap nor leave gaps.
    let width = (rect.width() / STEPS as f32).floor();
    let start = rect.left().round();
    for step in 0..STEPS {
        let left = start + width * step as f32;
        let part = Rect::from_min_max(pos2(left, rect.top()), pos2(left + width, rect.bottom()));
        ui.painter().rect_filled(part, 0.0, tokens.heat((step as f32 + 0.5) / STEPS as f32));
    }
    ui.label(weak(&format!("{HOTTEST}+  {}", ctx.t(&words::HEAT_LEGEND))));
    if let Some(mean) = heat.and_then(mean) {
        let text = format!("{} {mean:.2}", ctx.t(&words::HEAT_MEAN));
        ui.label(RichText::new(text).small().color(tokens.text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harder_is_stronger_and_what_has_no_loss_has_no_colour() {
        for dark in [true, false] {
            let tokens = Tokens::of(dark);
            let alphas: Vec<u8> =
                [0.0, 1.0, 3.0, 6.0].map(|loss| colour(tokens, Some(loss), 0.0).a()).to_vec();
            assert!(alphas.windows(2).all(|pair| pair[0] < pair[1]), "{alphas:?}");
            assert_eq!(colour(tokens, Some(60.0), 0.0), colour(tokens, Some(6.0), 0.0));
            assert_eq!(colour(tokens, None, 0.0).a(), 0);
            assert_eq!(colour(tokens, Some(f32::NAN), 0.0).a(), 0);
        }
    }

    #[test]
    fn a_token_tells_its_loss_and_what_was_likelier() {
        let heat = TokenLosses {
            row: 1,
            ids: vec![1, 2],
            tokens: vec!["a".into(), "b".into()],
            losses: vec![None, Some(std::f32::consts::LN_2)],
            best: vec![None, Some(" c".into())],
            loss_mask: vec![false, true],
        };
        assert!(told(&heat, 0).is_empty() && told(&heat, 9).is_empty());
        let lines = told(&heat, 1);
        assert_eq!(lines[0].1, "0.693  (50 %)");
        assert_eq!(lines[1].0, &words::SAID);
    }
}
