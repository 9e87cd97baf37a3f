//! Navigation, bars, palette, questions.

use egui_kittest::kittest::Queryable;
use protocol::Language;
use ui::panels::PANELS;
use ui::testing::FakeDesktop;

use crate::support::{Window, silent};

#[test]
fn every_panel_opens_from_the_navigation_in_both_languages() {
    for language in [Language::English, Language::Chinese] {
        let window = Window { language, ..Window::default() };
        let mut harness = window.open(&silent(), &FakeDesktop::default());
        harness.run();
        for info in PANELS {
            harness.get_all_by_label(info.name.get(language)).next().unwrap().click();
            harness.run();
            let help = harness.query_all_by_label_contains(info.help.get(language)).count();
            assert!(help > 0, "{} shows what it is for", info.id);
        }
    }
}

#[test]
#[ignore = "for looking at"]
fn look() {
    for (dark, language) in [(true, Language::English), (false, Language::Chinese)] {
        let window = Window { dark, language, ..Window::default() };
        let mut harness = window.open(&silent(), &FakeDesktop::default());
        harness.run();
        let image = harness.render().unwrap();
        image.save(format!("/tmp/look-{dark}.png")).unwrap();
    }
}
