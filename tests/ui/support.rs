//! The whole app with a fake engine.

use std::path::PathBuf;

use egui_kittest::Harness;
use protocol::{Catalog, Command, DeviceKind, DeviceReport, Event, Language};
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
