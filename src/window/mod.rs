//! The window: puts the app of `ui` together with the engine's process and the desktop, and opens it.

mod desktop;
pub mod starter;

use std::sync::Arc;
use std::time::Duration;

use eframe::egui::{Context, IconData, ViewportBuilder};
use engine::Waker;
use protocol::{Language, Result, Text, UserError};
use ui::{App, Services};

use crate::cli::folders;
use crate::server::{HostedEngine, RemoteOptions, Sockets};

use desktop::RealDesktop;

/// Points. What the sketches are drawn for.
const SIZE: [f32; 2] = [1280.0, 800.0];
const SMALLEST: [f32; 2] = [960.0, 600.0];
/// While events come, the window is drawn at most this often.
const REPAINT: Duration = Duration::from_millis(33);

/// Opens the window and returns when it is closed.
///
/// # Errors
/// When there is no display to open it on.
pub fn open(device: &str, language: Language) -> Result<()> {
    let device = device.to_owned();
    let created = eframe::run_native(
        "emberwright",
        options(),
        Box::new(move |cc| {
            let persisted = App::read_persisted(cc.storage);
            let waker = waker(&cc.egui_ctx);
            let hosting = &persisted.preferences.hosting;
            let engine = HostedEngine::new(remote_options(device)?, hosting, waker.clone());
            let desktop = RealDesktop::new(waker, folders::data());
            let services =
                Services { engine: Box::new(engine), desktop: Box::new(desktop), system_language: language };
            Ok(Box::new(App::new(&cc.egui_ctx, persisted, services)))
        }),
    );
    created.map_err(|err| no_window(&err))
}

fn options() -> eframe::NativeOptions {
    let viewport = ViewportBuilder::default()
        .with_title("Emberwright")
        .with_app_id("emberwright")
        .with_inner_size(SIZE)
        .with_min_inner_size(SMALLEST)
        .with_drag_and_drop(true);
    let viewport = match icon() {
        Some(icon) => viewport.with_icon(icon),
        None => viewport,
    };
    eframe::NativeOptions {
        viewport,
        renderer: eframe::Renderer::Glow,
        persist_window: true,
        persistence_path: Some(folders::state().join("window.ron")),
        ..eframe::NativeOptions::default()
    }
}

fn icon() -> Option<IconData> {
    eframe::icon_data::from_png_bytes(include_bytes!("../../packaging/icons/emberwright-64.png")).ok()
}

/// Wakes the window soon, and once for many events.
fn waker(egui: &Context) -> Waker {
    let egui = egui.clone();
    Arc::new(move || egui.request_repaint_after(REPAINT))
}

fn remote_options(device: String) -> std::io::Result<RemoteOptions> {
    Ok(RemoteOptions {
        program: std::env::current_exe()?,
        sockets: Sockets::default(),
        device,
        runs_dir: folders::runs(),
        log_dir: folders::logs(),
    })
}

fn no_window(err: &eframe::Error) -> UserError {
    UserError::failure(Text::fixed("The window cannot be opened", "无法打开窗口"))
        .detail(err.to_string())
        .mend(Text::fixed(
            "run it on a desktop with OpenGL, or use the command line: emberwright --help",
            "请在支持 OpenGL 的桌面环境中运行，或使用命令行：emberwright --help",
        ))
}
