//! The words of the window.

use egui::{FontFamily, FontId};
use ui::command::COMMANDS;
use ui::panels::PANELS;

/// On a machine with no fonts installed every word still shows, in every family it may be drawn in.
#[test]
fn every_word_has_its_glyphs_in_the_fonts_that_come_along() {
    let egui = egui::Context::default();
    ui::theme::install_fonts(&egui);
    let mut output = egui.run_ui(egui::RawInput::default(), |_| {});
    output.textures_delta.clear();
    let commands = COMMANDS.iter().map(|info| &info.text);
    let panels = PANELS.iter().flat_map(|info| [&info.name, &info.help]);
    for text in ui::words::all().chain(commands).chain(panels) {
        for family in [FontFamily::Proportional, FontFamily::Monospace, ui::theme::semibold()] {
            let font = FontId::new(13.0, family.clone());
            for word in [&text.en, &text.zh] {
                assert!(
                    egui.fonts_mut(|fonts| fonts.has_glyphs(&font, word)),
                    "{family:?} lacks a sign of {word}"
                );
            }
        }
    }
}

/// A space between Han and Latin letters or digits, and full-width punctuation after Han.
#[test]
fn chinese_is_set_as_chinese() {
    let han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    for text in ui::words::all() {
        let chars: Vec<char> = text.zh.chars().collect();
        for pair in chars.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let latin = |c: char| c.is_ascii_alphanumeric();
            assert!(!(han(a) && latin(b) || latin(a) && han(b)), "a space is missing in {}", text.zh);
            assert!(
                !(han(a) && matches!(b, ',' | ';' | ':' | '?' | '!')),
                "half-width punctuation in {}",
                text.zh
            );
        }
        assert!(!text.en.is_empty() && !text.zh.is_empty());
        assert!(!text.en.contains("TODO"), "a word is not written yet");
    }
}
