//! The data panel, on a made-up engine with a dataset of 400 rows.

pub mod analysis;
pub mod workshop;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use protocol::config::{TrainOn, Validation};
use protocol::{Command, Language};
use ui::App;
use ui::action::Action;
use ui::panels::data::PANEL;
use ui::testing::{FakeDesktop, FakeEngine};

use self::workshop::{Workshop, commands};
use crate::support::Window;

type Panel = Harness<'static, App>;

/// The panel with its rows and verdict.
fn open(language: Language) -> (Panel, FakeEngine) {
    Workshop::default().open(&Window { language, ..Window::default() })
}

pub fn press(harness: &mut Panel, label: &str) {
    // Labels that come twice are those of the panel first, then those of the summary.
    harness.get_all_by_label(label).next().expect("a widget of that name").click();
    settle(harness);
}

/// Time passes, so that the engine is asked for what changed.
pub fn settle(harness: &mut Panel) {
    harness.run();
    let now = harness.state().state().now + 2.0;
    harness.state_mut().set_clock(now);
    harness.run();
    harness.run();
}

#[test]
fn a_row_shows_its_tokens_its_counts_and_its_place() {
    for (language, tokens, of) in [
        (Language::English, "Tokens of row 1: ", "of 400 rows"),
        (Language::Chinese, "第 1 行的词元：", "/ 400 行"),
    ] {
        let (harness, _) = open(language);
        harness.get_by_label_contains(tokens);
        harness.get_by_label(of);
    }
}

#[test]
fn rows_are_gone_through_by_buttons_and_keys_and_pages_come_in_time() {
    let (mut harness, engine) = open(Language::English);
    press(&mut harness, "Next row");
    harness.get_by_label_contains("Tokens of row 2: ");
    harness.get_by_label_contains("Tokens of row 2: ").focus();
    harness.run();
    for _ in 0..45 {
        harness.key_press(egui::Key::ArrowRight);
        harness.run();
    }
    settle(&mut harness);
    harness.get_by_label_contains("Tokens of row 47: ");
    harness.key_press(egui::Key::ArrowLeft);
    settle(&mut harness);
    harness.get_by_label_contains("Tokens of row 46: ");
    let pages = commands(&engine, |command| match command {
        Command::Preview { first, count, .. } => Some((*first, *count)),
        _ => None,
    });
    assert!(pages.len() >= 2 && pages.last().unwrap().0 > 0, "{pages:?}");
    assert!(pages.len() <= 4, "a page is asked for once: {pages:?}");
}

#[test]
fn a_finding_leads_to_its_rows_and_to_its_mend() {
    let (mut harness, _) = open(Language::English);
    press(&mut harness, "17 too long");
    harness.get_by_label_contains("Tokens of row 23: ");
    harness.get_by_label("(1 / 17)");
    press(&mut harness, "Next row");
    harness.get_by_label_contains("Tokens of row 46: ");
    assert!(harness.query_all_by_label_contains("cut from").count() > 0);
    press(&mut harness, "All");
    assert!(harness.query_by_label("(2 / 17)").is_none());
    harness.get_all_by_label("Raise to 256 (+0.4 GB)").next().unwrap().click();
    settle(&mut harness);
    assert_eq!(harness.state().state().project.config.data.max_length, 256);
}

#[test]
fn a_search_shows_the_first_row_that_holds_the_text() {
    let (mut harness, engine) = open(Language::English);
    harness.get_by_label("Search the rows").focus();
    harness.run();
    harness.get_by_label("Search the rows").type_text("row 120");
    harness.run();
    harness.key_press(egui::Key::Enter);
    settle(&mut harness);
    let sought = commands(&engine, |command| match command {
        Command::Find { text, after, .. } => Some((text.clone(), *after)),
        _ => None,
    });
    assert_eq!(sought, [("row 120".to_owned(), 0)]);
    harness.get_by_label_contains("Tokens of row 120: ");
    harness.get_by_label("1+ found");
    press(&mut harness, "Search further");
    harness.get_by_label("1 found");
    assert!(harness.query_by_label("Search further").is_none());
    press(&mut harness, "All");
    harness.get_by_label("Search the rows").focus();
    harness.run();
    harness.get_by_label("Search the rows").type_text(" and nothing else");
    harness.run();
    harness.key_press(egui::Key::Enter);
    settle(&mut harness);
    harness.get_by_label_contains("not in the first 200 rows");
    press(&mut harness, "Search further");
    harness.get_by_label("nothing found");
}

#[test]
fn settings_of_the_source_are_edited() {
    let (mut harness, _) = open(Language::English);
    harness.get_by_label("Learn").click();
    harness.run();
    press(&mut harness, "Everything");
    assert_eq!(harness.state().state().project.config.data.train_on, TrainOn::Everything);
    harness.get_by_label("Format").click();
    harness.run();
    press(&mut harness, "Alpaca");
    assert_eq!(harness.state().state().project.config.data.format, "alpaca");
    press(&mut harness, "Pack short rows together");
    assert!(harness.state().state().project.config.data.packing);
    press(&mut harness, "Own files");
    press(&mut harness, "Remove chats.jsonl");
    assert!(harness.state().state().project.config.data.train.is_empty());
}

#[test]
fn what_scripts_set_of_a_row_is_shown_where_it_is_set() {
    let (mut harness, _) = open(Language::English);
    let names = ["Prefix", "Longest question", "Longest answer", "Join texts into blocks"];
    let shown = |harness: &Panel| names.map(|name| harness.query_all_by_label(name).next().is_some());
    assert_eq!(shown(&harness), [false; 4]);
    let mut config = harness.state().state().project.config.clone();
    config.data.max_target_length = 64;
    config.data.join_texts = true;
    harness.state().push(Action::Edit(Box::new(config)));
    settle(&mut harness);
    assert_eq!(shown(&harness), [false, false, true, true]);
    press(&mut harness, "Join texts into blocks");
    assert!(!harness.state().state().project.config.data.join_texts);
    let preferences = ui::persisted::Preferences { expert: true, ..Default::default() };
    harness.state().push(Action::Preferences(Box::new(preferences)));
    settle(&mut harness);
    assert_eq!(shown(&harness)[..3], [true; 3]);
}

#[test]
fn several_files_have_weights_and_one_has_none() {
    let (mut harness, _) = open(Language::English);
    assert!(harness.query_by_label("Weight").is_none());
    let mut config = harness.state().state().project.config.clone();
    config.data.train.push("/data/more.jsonl".into());
    config.data.weights.insert("/data/more.jsonl".into(), 0.5);
    harness.state().push(Action::Edit(Box::new(config)));
    settle(&mut harness);
    assert_eq!(harness.query_all_by_label("Weight").count() % 2, 0, "a name and a field for each");
    assert!(harness.query_all_by_label("Weight").count() > 0);
    press(&mut harness, "Remove more.jsonl");
    assert!(harness.state().state().project.config.data.weights.is_empty());
}

#[test]
fn a_template_is_copied_edited_and_reset_and_its_error_is_told_at_its_line() {
    let (mut harness, engine) = open(Language::English);
    press(&mut harness, "Template");
    harness.get_by_label("What the model reads");
    press(&mut harness, "Edit a copy");
    assert_eq!(harness.state().state().project.config.data.template, workshop::TEMPLATE);
    harness.get_by_label("Template text").focus();
    harness.run();
    harness.get_by_label("Template text").type_text("{{ broken");
    settle(&mut harness);
    assert!(harness.state().state().project.config.data.template.contains("{{ broken"));
    harness.get_by_label_contains("line 2: ");
    let last = commands(&engine, |command| match command {
        Command::Preview { config, .. } => Some(config.data.template.clone()),
        _ => None,
    });
    assert!(last.last().unwrap().contains("broken"));
    press(&mut harness, "Reset");
    assert_eq!(harness.state().state().project.config.data.template, "auto");
    harness.get_by_label("no errors");
}

#[test]
fn a_family_s_known_template_is_told_and_the_presets_are_offered_by_name() {
    for (language, shown) in
        [(Language::English, "Auto: Llama 3 Instruct"), (Language::Chinese, "自动：Llama 3 Instruct")]
    {
        let window = Window { language, ..Window::default() };
        let (mut harness, _) = Workshop { known: true, ..Workshop::default() }.open(&window);
        let name = if language == Language::English { "Template" } else { "模板" };
        press(&mut harness, name);
        harness.get_by_label(workshop::known().get(language));
        harness.get_by_value(shown).click();
        harness.run();
        press(&mut harness, "Llama 3 Instruct");
        assert_eq!(harness.state().state().project.config.data.template, "llama3");
    }
}

#[test]
fn columns_are_mapped_by_guess_and_by_preset() {
    let (mut harness, _) = Workshop { format: "columns", ..Workshop::default() }.open(&Window::default());
    press(&mut harness, "Columns");
    press(&mut harness, "Best guess");
    let columns = &harness.state().state().project.config.data.columns;
    assert_eq!((columns["prompt"].as_str(), columns["response"].as_str()), ("question", "answer"));
    harness.get_by_label("Presets").click();
    harness.run();
    press(&mut harness, "Title and text");
    let data = &harness.state().state().project.config.data;
    assert_eq!((data.format.as_str(), data.columns["prompt"].as_str()), ("completion", "# {{ title }}\n\n"));
    press(&mut harness, "Clear");
    assert!(harness.state().state().project.config.data.columns.is_empty());
}

#[test]
fn the_longest_row_is_set_by_the_keys_and_by_dragging() {
    let (mut harness, _) = open(Language::English);
    let slider = "Longest row · about 17 rows longer than 128";
    harness.get_by_label(slider).focus();
    harness.run();
    harness.key_press(egui::Key::ArrowRight);
    settle(&mut harness);
    assert_eq!(harness.state().state().project.config.data.max_length, 136);
    let plot = harness.get_by_label_contains("Longest row · ").rect();
    let (from, to) = (plot.center(), plot.center() + egui::vec2(60.0, 0.0));
    harness.drag_at(from);
    harness.run();
    harness.hover_at(to);
    harness.run();
    assert_eq!(harness.state().state().project.config.data.max_length, 136, "not before it is let go");
    harness.drop_at(to);
    settle(&mut harness);
    assert!(harness.state().state().project.config.data.max_length > 140);
}

#[test]
fn what_is_missing_is_said_with_a_button() {
    let window = Window::default();
    let engine = crate::support::silent();
    let mut harness = window.open(&engine, &FakeDesktop::default());
    harness.state().push(Action::Open(PANEL.panel_id()));
    harness.run();
    harness.get_by_label("Add the examples to learn from");
    harness.get_by_label("Add files…").click();
    harness.run();
    let mut config = harness.state().state().project.config.clone();
    config.data.train.push("a.jsonl".into());
    harness.state().push(Action::Edit(Box::new(config)));
    harness.run();
    harness.get_by_label("No model yet");
    press(&mut harness, "Choose a model");
    assert!(harness.query_by_label("No model yet").is_none());
}

#[test]
fn nothing_grows_from_frame_to_frame() {
    let (mut harness, _) = open(Language::English);
    for tool in ["Source", "Columns", "Template", "Row", "Hide"] {
        press(&mut harness, tool);
        let place = |harness: &Panel| harness.get_by_label("Next row").rect();
        let before = place(&harness);
        harness.run_steps(12);
        assert_eq!(place(&harness), before, "{tool}");
    }
}

#[test]
fn a_template_that_fails_is_mended_in_its_editor() {
    let (mut harness, _) = open(Language::English);
    let mut config = harness.state().state().project.config.clone();
    config.data.template = "{{ broken".into();
    harness.state().push(Action::Edit(Box::new(config)));
    settle(&mut harness);
    harness.get_by_label("unexpected end of expression");
    press(&mut harness, "Open the template");
    harness.get_by_label("Template text");
}

/// Turns the wheel, under the pointer.
fn scroll(harness: &mut Panel, by: f32) {
    harness.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: egui::vec2(0.0, by),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
        modifiers: egui::Modifiers::NONE,
    });
    harness.step();
}

#[test]
fn a_long_row_is_drawn_in_time() {
    let (mut harness, _) = Workshop { long: true, ..Workshop::default() }.open(&Window::default());
    assert!(harness.query_all_by_label_contains("32\u{2009}000 tokens").count() > 0);
    harness.state_mut().frame_times().clear();
    let view = harness.get_by_label_contains("Tokens of row 1: ").rect();
    harness.hover_at(view.center());
    for _ in 0..60 {
        scroll(&mut harness, -400.0);
    }
    let times = harness.state_mut().frame_times();
    // Debug builds are some ten times slower than what people run.
    assert!(times.count() >= 60 && times.quantile(0.5) < 60.0, "{} ms", times.quantile(0.5));
}

#[test]
fn an_error_of_the_preview_is_shown_with_its_mend() {
    let (mut harness, _) = Workshop { broken: true, ..Workshop::default() }
        .open(&Window { language: Language::Chinese, ..Window::default() });
    assert!(harness.query_all_by_label("文件无法读取").count() > 0);
    press(&mut harness, "使用格式 alpaca");
    assert_eq!(harness.state().state().project.config.data.format, "alpaca");
}

#[test]
fn a_fraction_for_validation_can_be_had_back() {
    let (mut harness, _) = open(Language::English);
    let mut config = harness.state().state().project.config.clone();
    config.data.validation = Validation::Files(vec!["held.jsonl".into()]);
    harness.state().push(Action::Edit(Box::new(config)));
    settle(&mut harness);
    harness.get_by_label("Remove held.jsonl");
    press(&mut harness, "Part of the rows");
    assert_eq!(harness.state().state().project.config.data.validation, Validation::Fraction(0.05));
}

/// Clicks a chip: in the first line of the tokens, so many points from the left.
fn click_chip(harness: &mut Panel, x: f32) {
    let view = harness.get_all_by_label_contains("Tokens of row").next().expect("tokens").rect();
    let at = view.min + egui::vec2(x, 10.0);
    harness.hover_at(at);
    harness.run();
    harness.drag_at(at);
    harness.run();
    harness.drop_at(at);
    harness.run();
}

#[test]
fn a_token_is_told_in_full_when_it_is_picked() {
    let (mut harness, _) = open(Language::English);
    click_chip(&mut harness, 20.0);
    let said = "#0   <|im_start|>   Id 300   3C 7C 69 6D 5F 73 74 61 72 74 7C 3E   template · no loss · written by the template";
    harness.get_by_label(said);
    harness.key_press_modifiers(egui::Modifiers::SHIFT, egui::Key::ArrowRight);
    harness.run();
    harness.get_by_label_contains("#1   system   ");
    // Another click lets it go.
    click_chip(&mut harness, 130.0);
    assert!(harness.query_by_label_contains("#1   ").is_none());
    harness.get_by_label("template");
}

#[test]
fn a_click_on_the_text_picks_its_token() {
    let (mut harness, _) = open(Language::English);
    press(&mut harness, "Row");
    let text = harness.get_by_label_contains("You are Ember, a careful assistant.").rect();
    let at = text.min + egui::vec2(30.0, 24.0);
    harness.drag_at(at);
    harness.run();
    harness.drop_at(at);
    harness.run();
    harness.get_by_label_contains("system · no loss · what is said to the model");
}

#[test]
fn a_check_under_way_shows_what_it_has_found() {
    let (mut harness, engine) = Workshop { slow: true, ..Workshop::default() }.open(&Window::default());
    assert!(harness.query_all_by_label_contains("checking rows").count() > 0);
    harness.get_by_label_contains("17 too long");
    let checks = commands(&engine, |command| match command {
        Command::Check { request, .. } => Some(*request),
        _ => None,
    });
    let request = *checks.last().unwrap();
    engine.tell(workshop::checked(request, harness.state().state()));
    harness.run();
    assert!(harness.query_by_label_contains("checking rows").is_none());
    press(&mut harness, "Check again");
    let again = commands(&engine, |command| matches!(command, Command::Check { .. }).then_some(()));
    assert_eq!(again.len(), checks.len() + 1);
}

/// Vocabularies write bytes and spaces with signs of their own, which are shown as they are.
#[test]
fn the_alphabets_of_vocabularies_can_be_drawn() {
    let egui = egui::Context::default();
    ui::theme::install_fonts(&egui);
    let mut output = egui.run_ui(egui::RawInput::default(), |_| {});
    output.textures_delta.clear();
    let bytes = (0xA1..=0xAC).chain(0xAE..0x144).filter_map(char::from_u32);
    let lacking: String = bytes
        .chain(['▁', '·', '…', '›'])
        .filter(|c| !egui.fonts_mut(|fonts| fonts.has_glyph(&egui::FontId::monospace(12.5), *c)))
        .collect();
    assert_eq!(lacking, "");
}
