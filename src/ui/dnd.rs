//! Files and folders dropped on the window.

use egui::{Align2, Context, FontId, Id, LayerId, Order};

use crate::action::{Action, Actions};
use crate::desktop::DesktopRequest;
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::words::frame as words;

/// Asks what was dropped; the answer decides what is done with it.
pub fn collect(egui: &Context, actions: &Actions) {
    let paths: Vec<_> =
        egui.input(|input| input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect());
    if !paths.is_empty() {
        actions.push(Action::Desktop(DesktopRequest::Classify(paths)));
    }
}

/// Dims the window and names what will be opened while files hang over it.
pub fn preview(egui: &Context, ctx: &PanelCtx<'_>) {
    let names: Vec<String> = egui.input(|input| {
        let named = |file: &egui::HoveredFile| {
            file.path
                .as_ref()
                .and_then(|path| path.file_name())
                .map(|name| name.to_string_lossy().into_owned())
        };
        input.raw.hovered_files.iter().map(|file| named(file).unwrap_or_default()).collect()
    });
    if names.is_empty() {
        return;
    }
    let tokens = egui.tokens();
    let painter = egui.layer_painter(LayerId::new(Order::Foreground, Id::unique("drop")));
    let rect = egui.content_rect();
    painter.rect_filled(rect, 0.0, tokens.backdrop);
    let told = match ctx.state.other_machine() {
        Some(host) => protocol::text!(
            "{host} computes: it cannot use files of this machine",
            "计算在 {host} 上进行，无法使用本机文件"
        ),
        None => words::DROP_HERE.clone(),
    };
    let text = format!("{}\n\n{}", ctx.t(&told), names.join("\n"));
    painter.text(rect.center(), Align2::CENTER_CENTER, text, FontId::proportional(18.0), tokens.text_strong);
}
