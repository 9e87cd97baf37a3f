//! The whole app with a fake engine.

use std::path::PathBuf;

use egui_kittest::Harness;
use protocol::{
    Catalog, Command, DeviceKind, DeviceReport, DeviceStats, Estimate, Event, Finding, FindingKind,
    Histogram, Language, MemoryForecast, Remedy, RunConfig, RunEvent, RunId, RunSummary, Severity,
    StepMetrics, TargetReport, Text, Verdict,
};
use ui::persisted::{Persisted, Preferences, ThemeChoice};
use ui::testing::{FakeDesktop, FakeEngine};
use ui::{App, Services};

/// How a test wants the window.
pub struct Window {
    pub size: [f32; 2],
    pub scale: f32,
    pub dark: bool,
    pub language: Language,
}

impl Default for Window {
    fn default() -> Self {
        Self { size: [1280.0, 800.0], scale: 1.0, dark: true, language: Language::English }
    }
}

impl Window {
    /// The app on this engine, its clock at rest.
    pub fn open(&self, engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
        let persisted = Persisted {
            preferences: Preferences {
                language: Some(self.language),
                theme: if self.dark { ThemeChoice::Dark } else { ThemeChoice::Light },
                ..Preferences::default()
            },
            ..Persisted::default()
        };
        let services = Services {
            engine: Box::new(engine.clone()),
            desktop: Box::new(desktop.clone()),
            system_language: Language::English,
        };
        engine.tell(ready());
        Harness::builder()
            .with_size(self.size)
            .with_pixels_per_point(self.scale)
            .with_max_steps(40)
            .wgpu()
            .build_eframe(move |cc| {
                let mut app = App::new(&cc.egui_ctx, persisted, services);
                app.set_clock(0.0);
                app
            })
    }
}

pub fn ready() -> Event {
    Event::Ready {
        devices: Vec::new(),
        catalog: Box::new(Catalog::default()),
        device: DeviceReport {
            kind: DeviceKind::Cpu,
            index: 0,
            name: "CPU (2 cores)".into(),
            memory_bytes: 24 << 30,
            note: None,
        },
    }
}

/// An engine that answers nothing but the list of runs.
pub fn silent() -> FakeEngine {
    FakeEngine::new(|command| match command {
        Command::ListRuns { request, .. } => {
            vec![Event::Runs { request: *request, dir: PathBuf::from("/runs"), runs: Vec::new() }]
        }
        _ => Vec::new(),
    })
}

/// Settings of a run.
pub fn example() -> RunConfig {
    let mut config = RunConfig::default();
    config.model.path = "/models/qwen2.5-0.5b".into();
    config.data.train = vec!["/data/assistant.jsonl".into()];
    config
}

pub fn forecast() -> MemoryForecast {
    MemoryForecast {
        weights: 988 << 20,
        trainable: 8 << 20,
        gradients: 8 << 20,
        optimizer: 16 << 20,
        activations: 620 << 20,
        head: 310 << 20,
        total: 1950 << 20,
        available: 24 << 30,
        fits: true,
        inputs: 220 << 20,
        graphs: 400 << 20,
        ..MemoryForecast::default()
    }
}

pub fn verdict() -> Verdict {
    Verdict {
        sources: Vec::new(),
        template: Some("chatml".into()),
        template_reason: None,
        rows: 52_002,
        usable_rows: 51_985,
        validation_rows: 2_600,
        tokens: 9_120_400,
        learned_tokens: 4_380_120,
        longest: 1_410,
        max_length: 1_024,
        lengths: Histogram { edges: vec![0, 256, 512, 1024, 1536], counts: vec![30_000, 18_000, 3_985, 17] },
        findings: vec![Finding {
            kind: FindingKind::TooLong,
            severity: Severity::Warning,
            count: 17,
            rows: (1..=17).map(|n| n * 31).collect(),
            text: Text::fixed(
                "17 rows are longer than 1024 tokens and are cut",
                "17 行超过 1024 个词元，将被截断",
            ),
            mend: None,
            remedies: vec![
                Remedy {
                    label: Text::fixed("Raise to 1536 (+0.4 GB)", "提高到 1536（+0.4 GB）"),
                    changes: vec![("data.max_length".into(), 1536.into())],
                },
                Remedy {
                    label: Text::fixed("Drop 17 rows", "丢弃 17 行"),
                    changes: vec![("data.on_too_long".into(), "drop".into())],
                },
            ],
        }],
        forecast: Some(forecast()),
        steps: 1_140,
        padding: None,
        ok: true,
    }
}

/// An engine that knows the example's data and model.
pub fn learned() -> FakeEngine {
    FakeEngine::new(|command| match command {
        Command::ListRuns { request, .. } => {
            vec![Event::Runs { request: *request, dir: PathBuf::from("/runs"), runs: Vec::new() }]
        }
        Command::Check { request, .. } => {
            vec![Event::Checked { request: *request, verdict: Box::new(verdict()) }]
        }
        Command::Estimate { request, .. } => {
            let target = TargetReport {
                path: "model.layers.0.self_attn.q_proj".into(),
                rank: 8,
                alpha: 16.0,
                parameters: 14_336,
            };
            let estimate = Estimate {
                parameters: 494_032_768,
                trainable: 2_097_152,
                adapter_bytes: 8 << 20,
                forecast: forecast(),
                targets: vec![target],
                steps: 1_140,
                learning_rates: vec![0.0, 2e-4, 1e-4, 0.0],
                problems: Vec::new(),
            };
            vec![Event::Estimated { request: *request, estimate: Box::new(estimate) }]
        }
        _ => Vec::new(),
    })
}

/// The same, with a run under way.
pub fn busy() -> FakeEngine {
    let engine = learned();
    let run = |update| Event::Run {
        request: protocol::RequestId(900),
        run: RunId("my-assistant-3".into()),
        update,
    };
    let summary = RunSummary {
        first_step: 1,
        total_steps: 1_140,
        train_rows: 49_385,
        validation_rows: 2_600,
        trainable_parameters: 2_097_152,
        parameters: 494_032_768,
        forecast: forecast(),
        device: "CPU".into(),
        dtype: "f32".into(),
        padding: None,
    };
    engine.tell(run(RunEvent::Planned { dir: "/runs/my-assistant-3".into(), summary: Box::new(summary) }));
    let steps = (1..=214).map(step).collect();
    engine.tell(run(RunEvent::Stepped { steps, seconds_left: Some(372.0) }));
    let stats = DeviceStats { memory_used: 9 << 30, memory_total: 24 << 30, ..DeviceStats::default() };
    engine.tell(Event::Device { stats });
    engine
}

/// A made-up step of a run that learns.
pub fn step(step: u64) -> StepMetrics {
    let at = step as f64;
    StepMetrics {
        step,
        epoch: at / 380.0,
        tokens: 812,
        loss: 1.2 + 2.6 * (-at / 60.0).exp() + 0.08 * (at * 1.7).sin(),
        lr: 2e-4 * (1.0 - at / 1140.0),
        grad_norm: 0.8 + 0.2 * (at * 0.9).cos(),
        loss_scale: None,
        tokens_per_s: 11_830.0 + 300.0 * (at * 0.3).sin(),
        mem_bytes: 9_600 << 20,
        seconds: at * 0.4,
        phases: None,
        skipped: false,
    }
}
