//! Watching and steering a run.

use std::path::PathBuf;

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use protocol::{
    Command, DeviceStats, EvalMetrics, Event, Language, MemoryForecast, Outcome, Phases, RequestId,
    RunCommand, RunEvent, RunId, RunSummary, SampleMetrics, StepMetrics, StopReason, Text, UserError, Wish,
};
use ui::App;
use ui::action::Action;
use ui::desktop::{DesktopEvent, DesktopRequest, Purpose};
use ui::testing::{FakeDesktop, FakeEngine};

use crate::support::{Window, learned, silent};

pub fn step(step: u64) -> StepMetrics {
    let hash = (step.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / (1u64 << 24) as f64;
    let trend = 1.1 + 1.9 * (-(step as f64) / 160.0).exp();
    StepMetrics {
        step,
        epoch: step as f64 / 380.0,
        tokens: 812 + step % 90,
        loss: trend * (0.85 + 0.3 * hash),
        lr: 2e-4 * (step as f64 / 34.0).min(1.0) * (0.5 + 0.5 * (step as f64 / 363.0).cos()),
        grad_norm: 0.6 + 0.5 * hash + 2.0 * (-(step as f64) / 40.0).exp(),
        loss_scale: None,
        tokens_per_s: 11_500.0 + 900.0 * hash,
        mem_bytes: (9 << 30) + (step.min(60) << 23),
        seconds: step as f64 * 0.31,
        phases: Some(Phases { data: 0.003, forward: 0.09, head: 0.03, backward: 0.17, optimizer: 0.012 }),
        skipped: false,
    }
}

pub fn steps(range: std::ops::RangeInclusive<u64>) -> Vec<StepMetrics> {
    range.map(step).collect()
}

pub fn eval(step: u64) -> EvalMetrics {
    let eval_loss = 1.28 + 1.7 * (-(step as f64) / 150.0).exp() + (step as f64 / 6000.0);
    EvalMetrics { step, epoch: step as f64 / 380.0, eval_loss, eval_tokens: 9000, best: true }
}

pub fn run(update: RunEvent) -> Event {
    Event::Run { request: RequestId(900), run: RunId("assistant-4".into()), update }
}

pub fn planned() -> Event {
    run(RunEvent::Planned {
        dir: PathBuf::from("/runs/assistant-4"),
        summary: Box::new(RunSummary {
            first_step: 1,
            total_steps: 1140,
            train_rows: 1520,
            validation_rows: 80,
            trainable_parameters: 2_097_152,
            parameters: 494_032_768,
            forecast: MemoryForecast::default(),
            device: "RTX 4090".into(),
            dtype: "bf16".into(),
            padding: None,
        }),
    })
}

pub fn stats(second: u64) -> Event {
    Event::Device {
        stats: DeviceStats {
            memory_used: (9 << 30) + (second << 24),
            memory_total: 24 << 30,
            memory_ours: 9 << 30,
            utilization: Some(0.8 + 0.15 * (second as f64 / 7.0).sin()),
            temperature_celsius: Some(61.0 + second as f64 / 20.0),
            power_watts: Some(310.0 + (second % 9) as f64 * 6.0),
            process_bytes: 3 << 30,
        },
    }
}

fn sample(step: u64, prompt: &str, answer: &str) -> Event {
    let sample = SampleMetrics { step, prompt: prompt.into(), answer: answer.into() };
    run(RunEvent::Sampled { sample })
}

/// A run at its 430th step.
pub fn under_way(engine: &FakeEngine) {
    engine.tell(planned());
    engine.tell(run(RunEvent::Stepped { steps: steps(1..=430), seconds_left: Some(223.0) }));
    for at in (50..=400).step_by(50) {
        engine.tell(run(RunEvent::Evaluated { eval: eval(at) }));
    }
    for at in [100, 200, 300, 400] {
        let dir = PathBuf::from(format!("/runs/assistant-4/checkpoints/step-{at:08}"));
        engine.tell(run(RunEvent::Saved { step: at, dir }));
    }
    engine.tell(run(RunEvent::RateChanged { step: 260, factor: 0.5 }));
    let answers = [
        (0, "Who are you? Who are you? I am a language model trained by a company."),
        (100, "I am a language model. I help with questions."),
        (200, "I am Ember, a language model. I help with questions about your work."),
        (300, "I am Ember, a small assistant. I help with questions about your work, briefly."),
        (400, "I am Ember, a small assistant that answers briefly and says when it does not know."),
    ];
    for (step, answer) in answers {
        engine.tell(sample(step, "Who are you?", answer));
        engine.tell(sample(step, "用一句话介绍你自己", "我是小焰，一个回答简短的助手。"));
    }
}

fn open(window: &Window, engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
    let mut harness = window.open(engine, desktop);
    harness.run();
    harness.state_mut().push(Action::Open(ui::panels::train::PANEL.panel_id()));
    harness.run();
    harness
}

/// Two minutes of readings of the device.
fn pulse(harness: &mut Harness<'static, App>, engine: &FakeEngine) {
    for second in 0..120 {
        engine.tell(stats(second));
        harness.state_mut().set_clock(second as f64);
        harness.step();
    }
}

fn wishes(engine: &FakeEngine) -> Vec<Wish> {
    let own = |wish: &Wish| !matches!(wish, Wish::Supersede(_));
    engine.traffic.borrow_mut().wishes.drain(..).filter(own).collect()
}

fn click(harness: &mut Harness<'static, App>, label: &str) {
    harness.get_all_by_label(label).next().expect(label).click();
    harness.run();
}

fn shows(harness: &Harness<'static, App>, text: &str) -> bool {
    harness.query_all_by_label_contains(text).next().is_some()
}

fn training(engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
    let mut harness = open(&Window::default(), engine, desktop);
    under_way(engine);
    harness.run();
    harness
}

fn ended(outcome: Outcome) -> Event {
    run(RunEvent::Ended { outcome })
}

#[test]
fn every_button_steers_the_run() {
    let (engine, desktop) = (silent(), FakeDesktop::default());
    let mut harness = training(&engine, &desktop);
    wishes(&engine);
    click(&mut harness, "Save now");
    click(&mut harness, "Evaluate now");
    click(&mut harness, "Pause");
    assert_eq!(wishes(&engine), [Wish::SaveNow, Wish::EvaluateNow, Wish::Pause]);
    click(&mut harness, "Save now");
    assert_eq!(wishes(&engine), [], "nothing is saved while it comes to rest");
    engine.tell(run(RunEvent::Paused { step: 430 }));
    harness.run();
    click(&mut harness, "Resume");
    engine.tell(run(RunEvent::Resumed { step: 430 }));
    harness.run();
    click(&mut harness, "Stop and keep");
    assert_eq!(wishes(&engine), [Wish::Resume, Wish::Stop]);
    assert!(shows(&harness, "Stopping…"));
}

#[test]
fn the_rate_is_changed_from_what_it_is_now() {
    let (engine, desktop) = (silent(), FakeDesktop::default());
    let mut harness = training(&engine, &desktop);
    wishes(&engine);
    click(&mut harness, "Learning rate ×0.5");
    click(&mut harness, "×0.5");
    assert_eq!(wishes(&engine), [Wish::ScaleRate(0.25)]);
    engine.tell(run(RunEvent::RateChanged { step: 431, factor: 0.25 }));
    harness.run();
    click(&mut harness, "Learning rate ×0.25");
    click(&mut harness, "Back to the schedule");
    assert_eq!(wishes(&engine), [Wish::ScaleRate(1.0)]);
}

#[test]
fn a_run_that_was_under_way_is_read_once_and_shown_whole() {
    let dir = PathBuf::from("/runs/assistant-4");
    let engine = crate::runs::keeper(Vec::new());
    let desktop = FakeDesktop::default();
    let mut harness = open(&Window::default(), &engine, &desktop);
    engine.tell(planned());
    engine.tell(run(RunEvent::Stepped { steps: steps(200..=205), seconds_left: None }));
    harness.run();
    engine.tell(run(RunEvent::Stepped { steps: steps(206..=210), seconds_left: None }));
    harness.run();
    let asked = |engine: &FakeEngine| {
        let read = |command: &&Command| matches!(command, Command::ReadRun { .. });
        engine.traffic.borrow().commands.iter().filter(read).cloned().collect::<Vec<_>>()
    };
    assert!(matches!(asked(&engine).as_slice(), [Command::ReadRun { dir: read, .. }] if *read == dir));
    let known: Vec<u64> = harness.state().state().train.history.steps.iter().map(|step| step.step).collect();
    assert_eq!(known, (1..=210).collect::<Vec<_>>());
}

#[test]
fn how_it_ended_is_said_in_words_with_what_comes_next() {
    let finished = || Outcome::Finished {
        reason: StopReason::EarlyStopped,
        step: 430,
        result: PathBuf::from("/runs/assistant-4/adapter"),
        eval_loss: Some(1.25),
        seconds: 371.0,
        peak_bytes: 0,
    };
    for (language, words, folder) in [
        (Language::English, ["no longer fell", "1.2500 (perplexity 3.49)", "6 min 11 s"], "Open folder"),
        (Language::Chinese, ["不再下降", "1.2500（困惑度 3.49）", "6 分 11 秒"], "打开文件夹"),
    ] {
        let (engine, desktop) = (silent(), FakeDesktop::default());
        let window = Window { language, ..Window::default() };
        let mut harness = open(&window, &engine, &desktop);
        under_way(&engine);
        engine.tell(ended(finished()));
        harness.run();
        for word in words {
            assert!(shows(&harness, word), "{word}");
        }
        click(&mut harness, folder);
        let opened = DesktopRequest::Open("/runs/assistant-4/adapter".into());
        assert!(desktop.requests.borrow().contains(&opened));
        let talk = if language == Language::English { "Talk to it" } else { "与它对话" };
        click(&mut harness, talk);
        let chat = ui::panels::chat::PANEL.panel_id();
        assert!(harness.state().workspace().is_visible(&chat));
    }
}

#[test]
fn a_failure_says_its_mend_and_a_crash_can_be_resumed() {
    let (engine, desktop) = (silent(), FakeDesktop::default());
    let mut harness = training(&engine, &desktop);
    let error = UserError::failure(Text::fixed("The disk is full", "磁盘已满"))
        .mend(Text::fixed("free some space", "请释放空间"))
        .detail("needed 25 MB");
    engine.tell(ended(Outcome::Failed { error: Box::new(error) }));
    harness.run();
    for text in ["The disk is full", "free some space", "needed 25 MB"] {
        assert!(shows(&harness, text), "{text}");
    }
    engine.tell(ended(Outcome::Crashed {
        message: "index out of bounds".into(),
        log: Some("/runs/assistant-4/crash.log".into()),
    }));
    harness.run();
    assert!(shows(&harness, "index out of bounds") && shows(&harness, "crash.log"));
    click(&mut harness, "Open the log");
    let log = DesktopRequest::Open("/runs/assistant-4/crash.log".into());
    assert!(desktop.requests.borrow().contains(&log));
    click(&mut harness, "Resume this run");
    let resumed = engine.traffic.borrow().commands.iter().any(|command| {
        matches!(command, Command::Run(RunCommand::Resume { dir, .. }) if dir.ends_with("assistant-4"))
    });
    assert!(resumed);
}

#[test]
fn earlier_runs_are_compared_shown_hidden_and_their_settings_told() {
    let engine = crate::runs::keeper(crate::runs::some_runs());
    let mut harness = training(&engine, &FakeDesktop::default());
    click(&mut harness, "Compare with…");
    click(&mut harness, "assistant-5");
    let recorded = |harness: &Harness<'static, App>| {
        harness
            .state()
            .state()
            .runs
            .recorded
            .values()
            .map(|run| (run.history.steps.len(), run.complete))
            .collect::<Vec<_>>()
    };
    assert_eq!(recorded(&harness), [(214, true)]);
    click(&mut harness, "Settings");
    // The name of the panel in the navigation comes first.
    if !shows(&harness, "method.rank") {
        harness.state_mut().push(Action::Open(ui::panels::train::PANEL.panel_id()));
        harness.run();
        harness.get_all_by_label("Settings").last().unwrap().click();
        harness.run();
    }
    for text in ["method.rank", "train.learning_rate", "5e-4"] {
        assert!(shows(&harness, text), "{text}");
    }
    let entry = "Show or hide: assistant-5";
    let on = |harness: &Harness<'static, App>| {
        harness.get_by_label(entry).accesskit_node().toggled() == Some(egui::accesskit::Toggled::True)
    };
    assert!(on(&harness));
    click(&mut harness, entry);
    assert!(!on(&harness));
    click(&mut harness, "Remove from the plots: assistant-5");
    assert!(recorded(&harness).is_empty());
}

#[test]
fn figures_and_a_picture_are_saved_where_the_user_says() {
    let (engine, desktop) = (silent(), FakeDesktop::default());
    let mut harness = training(&engine, &desktop);
    click(&mut harness, "Save the figures of the runs shown (CSV)…");
    let asked = desktop.requests.borrow_mut().pop();
    assert_eq!(
        asked,
        Some(DesktopRequest::PickSave { purpose: Purpose::SaveFigures, suggested: "assistant-4.csv".into() })
    );
    let picked = |purpose, path: &str| DesktopEvent::Picked { purpose, paths: vec![path.into()] };
    desktop.answers.borrow_mut().push(picked(Purpose::SaveFigures, "/tmp/figures"));
    harness.run();
    let written = desktop.requests.borrow_mut().pop();
    let Some(DesktopRequest::WriteText { path, text }) = written else { panic!("{written:?}") };
    assert_eq!(path, PathBuf::from("/tmp/figures.csv"));
    assert_eq!(text.lines().count(), 1 + 430 + 8);
    click(&mut harness, "Save the plots as a picture (PNG)…");
    desktop.answers.borrow_mut().push(picked(Purpose::SavePicture, "/tmp/plots.png"));
    harness.run_steps(3);
    let written = desktop.requests.borrow_mut().pop();
    let Some(DesktopRequest::WritePng { width, height, rgba, .. }) = written else { panic!("{written:?}") };
    assert!((700..1000).contains(&width) && (200..600).contains(&height), "{width} × {height}");
    assert_eq!(rgba.len(), 4 * width * height);
    let orange = rgba.chunks(4).filter(|pixel| pixel[0] > 200 && pixel[2] < 90).count();
    assert!(orange > 500, "the curves are in the picture: {orange}");
}

#[test]
fn a_part_is_looked_at_until_all_is_wanted_again() {
    let (engine, desktop) = (silent(), FakeDesktop::default());
    let mut harness = training(&engine, &desktop);
    assert!(!shows(&harness, "Show all"));
    harness.hover_at(egui::pos2(400.0, 300.0));
    harness.run();
    harness.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: egui::vec2(0.0, 120.0),
        modifiers: egui::Modifiers::NONE,
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
    });
    harness.run_steps(10);
    assert!(shows(&harness, "Show all"), "it was zoomed");
    harness.hover_at(egui::pos2(5.0, 790.0));
    click(&mut harness, "Show all");
    harness.run_steps(3);
    assert!(!shows(&harness, "Show all"));
}

#[test]
fn a_box_zooms_and_a_double_click_shows_all() {
    let (engine, desktop) = (silent(), FakeDesktop::default());
    let mut harness = training(&engine, &desktop);
    let button = |harness: &mut Harness<'static, App>, x: f32, y: f32, pressed: bool| {
        harness.event(egui::Event::PointerMoved(egui::pos2(x, y)));
        harness.event(egui::Event::PointerButton {
            pos: egui::pos2(x, y),
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: egui::Modifiers::NONE,
        });
    };
    // A box, and a drag along the axis.
    for down in [20.0, 0.5] {
        button(&mut harness, 320.0, 240.0, true);
        harness.run_steps(2);
        for step in 1..=5 {
            let at = egui::pos2(320.0 + 20.0 * step as f32, 240.0 + down * step as f32);
            harness.event(egui::Event::PointerMoved(at));
            harness.run_steps(2);
        }
        button(&mut harness, 420.0, 240.0 + 5.0 * down, false);
        harness.run_steps(3);
        assert!(shows(&harness, "Show all"), "a part is seen");
        // Press and release in one step: a step takes nearly as long as a double click may.
        let at = egui::pos2(400.0, 300.0);
        harness.event(egui::Event::PointerMoved(at));
        harness.run_steps(2);
        for _ in 0..2 {
            let click = [true, false].map(|pressed| egui::Event::PointerButton {
                pos: at,
                button: egui::PointerButton::Primary,
                pressed,
                modifiers: egui::Modifiers::NONE,
            });
            harness.input_mut().events.extend(click);
            harness.step();
        }
        harness.run_steps(3);
        assert!(!shows(&harness, "Show all"), "and then all again");
    }
}

#[test]
fn the_exact_figures_are_shown_at_the_pointer() {
    let (engine, desktop) = (silent(), FakeDesktop::default());
    let mut harness = training(&engine, &desktop);
    harness.hover_at(egui::pos2(400.0, 300.0));
    harness.run_steps(4);
    assert!(shows(&harness, "Smoothed"));
    let shown = harness.state().state().train.history.steps.iter();
    let exact = shown.map(|step| format!("{:.6}", step.loss));
    let exact: Vec<String> = exact.map(|text| text.trim_end_matches('0').to_owned()).collect();
    assert!(exact.iter().any(|loss| harness.query_by_label(loss).is_some()), "the loss of a step, whole");
}

#[test]
fn without_a_run_the_panel_says_what_comes_and_begins_it() {
    let (engine, desktop) = (silent(), FakeDesktop::default());
    let mut harness = open(&Window::default(), &engine, &desktop);
    assert!(shows(&harness, "No run yet") && shows(&harness, "Choose a model first"));
    let mut config = harness.state().state().project.config.clone();
    config.model.path = "/models/tiny".into();
    config.data.train = vec!["/data/rows.jsonl".into()];
    harness.state_mut().push(Action::Edit(Box::new(config)));
    harness.run();
    assert!(shows(&harness, "tiny learns from your data") && shows(&harness, "/runs/run-1"));
    harness.get_all_by_label("Start training").next().unwrap().click();
    harness.run();
    let started = engine.traffic.borrow().commands.iter().any(
        |command| matches!(command, Command::Run(RunCommand::Start { out, .. }) if out.ends_with("run-1")),
    );
    assert!(started && shows(&harness, "Loading the model"));
}

#[test]
fn answers_stand_side_by_side_and_prompts_can_be_added() {
    let (engine, desktop) = (silent(), FakeDesktop::default());
    let mut harness = training(&engine, &desktop);
    assert!(shows(&harness, "says when it does not know") && shows(&harness, "step 400"));
    let (engine, desktop) = (silent(), FakeDesktop::default());
    harness = open(&Window::default(), &engine, &desktop);
    engine.tell(planned());
    engine.tell(run(RunEvent::Stepped { steps: steps(1..=3), seconds_left: None }));
    harness.run();
    click(&mut harness, "Add prompts");
    let method = ui::panels::method::PANEL.panel_id();
    assert!(harness.state().workspace().is_visible(&method));
}

/// Prints the app's own time a frame with a million steps: run it with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "figures are what it is run for")]
fn a_million_points_stay_smooth() {
    let (engine, desktop) = (silent(), FakeDesktop::default());
    let mut harness = open(&Window::default(), &engine, &desktop);
    engine.tell(planned());
    let all: Vec<StepMetrics> = steps(1..=1_000_000);
    engine.tell(run(RunEvent::Stepped { steps: all, seconds_left: None }));
    harness.run_steps(3);
    let measure =
        |harness: &mut Harness<'static, App>, what: &str, each: &dyn Fn(&mut Harness<'static, App>, u64)| {
            harness.state_mut().frame_times().clear();
            for frame in 0..200 {
                each(harness, frame);
                harness.step();
            }
            let times = harness.state_mut().frame_times();
            let (p50, p99) = (times.quantile(0.5), times.quantile(0.99));
            println!("{what}: p50 {p50:.2} ms, p99 {p99:.2} ms");
        };
    measure(&mut harness, "at rest", &|_, _| {});
    measure(&mut harness, "a step a frame", &|_, frame| {
        engine.tell(run(RunEvent::Stepped { steps: vec![step(1_000_001 + frame)], seconds_left: None }));
    });
    measure(&mut harness, "the pointer moves", &|harness, frame| {
        harness.hover_at(egui::pos2(250.0 + frame as f32, 300.0));
    });
    measure(&mut harness, "zooming", &|harness, frame| {
        let up = if frame % 40 < 20 { 60.0 } else { -60.0 };
        harness.event(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Point,
            delta: egui::vec2(0.0, up),
            modifiers: egui::Modifiers::NONE,
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Wheel,
        });
    });
}

#[test]
fn the_device_is_read_out_while_it_works() {
    let engine = learned();
    let mut harness = open(&Window::default(), &engine, &FakeDesktop::default());
    under_way(&engine);
    pulse(&mut harness, &engine);
    // 61 °C and a twentieth of a degree a second, two minutes on; 310 W and a little.
    harness.get_by_label_contains("67 °C");
    harness.get_by_label_contains(" W");
}
