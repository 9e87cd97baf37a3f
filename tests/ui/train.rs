//! Watching and steering a run.

use std::path::PathBuf;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use protocol::{
    DeviceStats, EvalMetrics, Event, Language, MemoryForecast, Outcome, Phases, RequestId, RunEvent, RunId,
    RunSummary, SampleMetrics, StepMetrics, StopReason,
};
use ui::App;
use ui::action::Action;
use ui::testing::{FakeDesktop, FakeEngine};

use crate::support::{Window, silent};

pub fn step(step: u64) -> StepMetrics {
    let hash = (step.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / (1u64 << 24) as f64;
    let trend = 1.1 + 1.9 * (-(step as f64) / 160.0).exp();
    StepMetrics {
        step,
        epoch: step as f64 / 380.0,
        tokens: 812 + step % 90,
        loss: trend * (0.85 + 0.3 * hash),
        lr: 2e-4 * (step as f64 / 34.0).min(1.0) * (0.5 + 0.5 * (step as f64 / 1140.0 * 3.14).cos()),
        grad_norm: 0.6 + 0.5 * hash + 2.0 * (-(step as f64) / 40.0).exp(),
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
        summary: RunSummary {
            first_step: 1,
            total_steps: 1140,
            train_rows: 1520,
            validation_rows: 80,
            trainable_parameters: 2_097_152,
            parameters: 494_032_768,
            forecast: MemoryForecast::default(),
            device: "RTX 4090".into(),
            dtype: "bf16".into(),
        },
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

#[test]
#[ignore = "for looking at"]
fn look() {
    for (dark, language, scale, name) in [
        (true, Language::English, 1.0, "dark-en"),
        (false, Language::Chinese, 1.0, "light-zh"),
        (true, Language::Chinese, 2.0, "dark-zh-2x"),
    ] {
        let window = Window { dark, language, scale, ..Window::default() };
        let (engine, desktop) = (silent(), FakeDesktop::default());
        let mut harness = open(&window, &engine, &desktop);
        harness.render().unwrap().save(format!("/tmp/train-empty-{name}.png")).unwrap();
        under_way(&engine);
        pulse(&mut harness, &engine);
        harness.run_steps(3);
        harness.render().unwrap().save(format!("/tmp/train-{name}.png")).unwrap();
        harness.hover_at(egui::pos2(420.0, 330.0));
        harness.run_steps(4);
        harness.render().unwrap().save(format!("/tmp/train-hover-{name}.png")).unwrap();
        engine.tell(run(RunEvent::Ended {
            outcome: Outcome::Finished {
                reason: StopReason::Completed,
                step: 1140,
                result: PathBuf::from("/runs/assistant-4/adapter"),
                eval_loss: Some(1.2876),
                seconds: 371.0,
            },
        }));
        harness.hover_at(egui::pos2(5.0, 790.0));
        harness.run_steps(4);
        harness.render().unwrap().save(format!("/tmp/train-ended-{name}.png")).unwrap();
    }
}
