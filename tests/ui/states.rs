//! A picture of what the panels look like at work: dark in English, light in Chinese.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --release -p ui --test ui states` renews them.

use egui_kittest::{Harness, SnapshotOptions, SnapshotResults};
use protocol::{Event, Language, Text};
use ui::App;
use ui::action::Action;
use ui::state::evaluate::EvaluateAction;
use ui::testing::FakeDesktop;

use crate::data::analysis;
use crate::data::workshop::Workshop;
use crate::support::{Window, learned};
use crate::{evaluate, hosting, predict};

type Picture = fn(&Window) -> Harness<'static, App>;

const PICTURES: [(&str, Picture); 12] = [
    ("predict-form", predict_form),
    ("predict-own", predict_own),
    ("predict-busy", predict_busy),
    ("predict-ended", predict_ended),
    ("evaluate-busy", evaluate_busy),
    ("evaluate-table", evaluate_table),
    ("evaluate-compare", evaluate_compare),
    ("data-analysis", data_analysis),
    ("data-heat", data_heat),
    ("settings-engine", settings_engine),
    ("settings-lost", settings_lost),
    ("browse", browse),
];

/// Lines of text differ by a pixel here and there from one version of Mesa to another.
const FAILED_PIXELS: usize = 400;

#[test]
fn panels_at_work() {
    let mut results = SnapshotResults::new();
    let options = SnapshotOptions::new()
        .output_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/ui/snapshots/states"))
        .max_failed_pixels(FAILED_PIXELS);
    for (name, picture) in PICTURES.into_iter().chain([("data-convert", data_convert as Picture)]) {
        for (dark, language, short) in [(true, Language::English, "en"), (false, Language::Chinese, "zh")] {
            let mut harness = picture(&Window { dark, language, ..Window::default() });
            harness.run_steps(4);
            results.add(harness.try_snapshot_options(format!("{name}-{short}"), &options));
        }
    }
}

fn settings_engine(window: &Window) -> Harness<'static, App> {
    hosting::chosen(window).0
}

fn settings_lost(window: &Window) -> Harness<'static, App> {
    let engine = learned();
    let mut harness = hosting::on_another_machine(window, &engine, &FakeDesktop::default());
    engine.traffic.borrow_mut().link = hosting::lost();
    harness.state().push(Action::Open(ui::panels::settings::PANEL.panel_id()));
    harness.run_steps(4);
    harness
}

fn browse(window: &Window) -> Harness<'static, App> {
    hosting::browsing(window).0
}

fn predict_form(window: &Window) -> Harness<'static, App> {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = predict::with_file(window, &engine, &desktop);
    predict::plan(&mut harness, &engine, 0);
    harness
}

fn predict_own(window: &Window) -> Harness<'static, App> {
    use ui::state::predict::PredictAction;
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = predict::with_file(window, &engine, &desktop);
    predict::plan(&mut harness, &engine, 0);
    let mut choices = harness.state().state().predict.choices.clone();
    choices.as_trained = false;
    choices.columns.insert("prompt".into(), "title:{{ title }}".into());
    choices.columns.insert("system".into(), "abstract".into());
    choices.choices = vec!["0".into(), "1".into()];
    choices.label = "label".into();
    harness.state().push(Action::Predict(PredictAction::Choose(Box::new(choices))));
    harness.run();
    predict::plan(&mut harness, &engine, 312);
    harness
}

fn predict_busy(window: &Window) -> Harness<'static, App> {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = predict::begun(window, &engine, &desktop);
    let request = harness.state().state().predict.work.request.unwrap();
    let stage = Text::fixed("answering rows", "生成回答");
    engine.tell(Event::Progress {
        request,
        stage,
        done: 640,
        total: 2_000,
        unit: protocol::Unit::Count,
        seconds_left: Some(94.0),
    });
    predict::answered(&engine, 1..=640);
    harness.run();
    harness
}

fn predict_ended(window: &Window) -> Harness<'static, App> {
    use egui_kittest::kittest::Queryable;
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = predict::begun(window, &engine, &desktop);
    predict::answered(&engine, 1..=2_000);
    predict::ended(&engine, 2_000, true);
    harness.run();
    let row = if window.language == Language::Chinese { "第 5 行" } else { "row 5" };
    harness.get_by_label(row).click();
    harness.run();
    harness
}

fn evaluate_busy(window: &Window) -> Harness<'static, App> {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = evaluate::with_data(window, &engine, &desktop);
    evaluate::push(&mut harness, EvaluateAction::Start);
    let (request, _) = evaluate::started(&engine).unwrap();
    let stage = Text::fixed("asking", "提问");
    engine.tell(Event::Progress {
        request,
        stage,
        done: 5_812,
        total: 28_084,
        unit: protocol::Unit::Count,
        seconds_left: Some(541.0),
    });
    let rows = evaluate::rows()[..4].to_vec();
    engine.tell(Event::Evaluating { request, rows, done: 5_812, total: 28_084 });
    harness.run();
    harness
}

fn evaluate_table(window: &Window) -> Harness<'static, App> {
    use egui_kittest::kittest::Queryable;
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = evaluate::with_data(window, &engine, &desktop);
    evaluate::push(&mut harness, EvaluateAction::Start);
    let (request, _) = evaluate::started(&engine).unwrap();
    let report = Box::new(evaluate::report("/runs/c", "my-assistant-2", 0.0));
    engine.tell(Event::Evaluated { request, report });
    harness.run();
    let fold = if window.language == Language::Chinese { "12 个科目" } else { "12 subjects" };
    harness.get_by_label(fold).click();
    harness.run();
    harness
}

fn evaluate_compare(window: &Window) -> Harness<'static, App> {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = evaluate::with_data(window, &engine, &desktop);
    for dir in ["/runs/a", "/runs/b"] {
        evaluate::push(&mut harness, EvaluateAction::Select { dir: dir.into(), on: true });
    }
    harness
}

fn data_analysis(window: &Window) -> Harness<'static, App> {
    analysis::found(window).0
}

fn data_heat(window: &Window) -> Harness<'static, App> {
    press(window, &ui::words::analysis::HEAT)
}

fn data_convert(window: &Window) -> Harness<'static, App> {
    press(window, &ui::words::convert::CONVERT)
}

/// The data panel after a click.
fn press(window: &Window, button: &Text) -> Harness<'static, App> {
    let (mut harness, _) = Workshop::default().open(window);
    crate::data::press(&mut harness, button.get(window.language));
    harness
}
