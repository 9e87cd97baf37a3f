//! What a run will need, part by part, and what it took.

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use protocol::{
    Command, Event, Language, MemoryForecast, Outcome, RequestId, RunEvent, RunId, RunSummary, StopReason,
};
use ui::App;
use ui::action::Action;
use ui::testing::{FakeDesktop, FakeEngine};

use crate::runs::some_runs;
use crate::support::{Window, example, verdict};

/// Every part is there.
fn forecast() -> MemoryForecast {
    MemoryForecast {
        head: 301 << 20,
        kv_cache: 11 << 20,
        evaluation: 512 << 20,
        streamed: 7 << 30,
        graphs: 402 << 20,
        ..crate::support::forecast()
    }
}

fn engine() -> FakeEngine {
    FakeEngine::new(|command| match command {
        Command::ListRuns { request, .. } => {
            vec![Event::Runs { request: *request, dir: "/runs".into(), runs: some_runs() }]
        }
        Command::Check { request, .. } => {
            let verdict = protocol::Verdict { forecast: Some(forecast()), ..verdict() };
            vec![Event::Checked { request: *request, verdict: Box::new(verdict) }]
        }
        _ => Vec::new(),
    })
}

fn open(language: Language, engine: &FakeEngine) -> Harness<'static, App> {
    let window = Window { language, size: [1280.0, 1000.0], ..Window::default() };
    let mut harness = window.open(engine, &FakeDesktop::default());
    harness.run();
    harness.state().push(Action::Edit(Box::new(example())));
    harness.run();
    harness.state_mut().set_clock(9.0);
    harness.run();
    harness.run();
    harness
}

fn shows(harness: &Harness<'static, App>, text: &str) -> bool {
    harness.query_all_by_label_contains(text).next().is_some()
}

#[test]
fn what_takes_turns_is_told_to_those_who_ask() {
    for (language, ask, hidden, shown) in [
        (
            Language::English,
            "what takes turns",
            ["block graphs", "output head", "key-value cache", "evaluation"],
            "weights left in the files",
        ),
        (
            Language::Chinese,
            "轮流占用的部分",
            ["模块计算图", "输出层", "键值缓存", "评估"],
            "留在文件中的权重",
        ),
    ] {
        let mut harness = open(language, &engine());
        assert!(harness.query_by_label(shown).is_some() && harness.query_by_label("7.00 GB").is_some());
        // A panel may be called as a part of the forecast is.
        let count = |harness: &Harness<'static, App>, name| harness.query_all_by_label(name).count();
        let before = hidden.map(|name| count(&harness, name));
        assert!(before.iter().sum::<usize>() <= 1, "{before:?}");
        harness.get_by_label(ask).click();
        harness.run();
        for (name, before) in hidden.into_iter().zip(before) {
            assert_eq!(count(&harness, name), before + 1, "{name}");
        }
        for bytes in ["402.0 MB", "301.0 MB", "11.0 MB", "512.0 MB"] {
            assert!(harness.query_by_label(bytes).is_some(), "{bytes}");
        }
        harness.get_by_label(ask).click();
        harness.run();
        assert!(harness.query_by_label(hidden[1]).is_none());
    }
}

/// Clicks a run's name in the list; the bar at the bottom tells the name of the last run, too.
fn choose(harness: &mut Harness<'static, App>, name: &str) {
    let listed = harness.get_all_by_label(name).find(|node| node.rect().bottom() < 900.0);
    listed.unwrap().click();
    harness.run();
}

/// A run of the list ends with this peak.
fn ends(engine: &FakeEngine, peak_bytes: u64) {
    let run = |update| Event::Run { request: RequestId(900), run: RunId("assistant-5".into()), update };
    let summary = RunSummary {
        first_step: 1,
        total_steps: 3,
        train_rows: 4,
        validation_rows: 0,
        trainable_parameters: 1,
        parameters: 2,
        forecast: forecast(),
        device: "CPU".into(),
        dtype: "f32".into(),
        padding: None,
    };
    let dir = some_runs().into_iter().find(|run| run.name == "assistant-5").map(|run| run.dir).unwrap();
    engine.tell(run(RunEvent::Planned { dir: dir.clone(), summary: Box::new(summary) }));
    let outcome = Outcome::Finished {
        reason: StopReason::Completed,
        step: 3,
        result: dir.join("adapter"),
        eval_loss: None,
        seconds: 2.0,
        peak_bytes,
    };
    engine.tell(run(RunEvent::Ended { outcome }));
}

#[test]
fn the_peak_stands_beside_the_forecast_on_every_panel_that_tells_of_the_run() {
    let engine = engine();
    let mut harness = open(Language::English, &engine);
    let told = "1.87 GB at most, 1.90 GB forecast (−2.1 %)";
    // 1 950 MB were forecast.
    ends(&engine, 1_910 << 20);
    harness.run();
    assert!(shows(&harness, "last run (−2.1 %)"), "in the summary");
    harness.state().push(Action::Open(ui::panels::train::PANEL.panel_id()));
    harness.run();
    assert!(shows(&harness, told), "on the Train panel: {told}");
    harness.state().push(Action::Open(ui::panels::runs::PANEL.panel_id()));
    harness.run();
    assert!(!shows(&harness, told), "no run is chosen");
    choose(&mut harness, "assistant-5");
    assert!(shows(&harness, "915.5 MB at most, 953.7 MB forecast (−4.0 %)"), "what its folder tells");
    choose(&mut harness, "assistant-4");
    assert!(!shows(&harness, "at most, "), "it has not ended");
}

#[test]
fn a_peak_that_nobody_measured_is_not_told() {
    let engine = engine();
    let mut harness = open(Language::English, &engine);
    ends(&engine, 0);
    harness.state().push(Action::Open(ui::panels::train::PANEL.panel_id()));
    harness.run();
    assert!(!shows(&harness, "last run") && !shows(&harness, "at most, "));
}
