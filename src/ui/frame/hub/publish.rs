//! Publishing: the form, then exactly what would be sent, then the yes.

use egui::{Align, Label, Layout, RichText, ScrollArea, Ui};
use protocol::{PushFile, PushPlan, PushReport, PushState};

use crate::action::Action;
use crate::desktop::DesktopRequest;
use crate::panels::PanelCtx;
use crate::state::hub::HubAction;
use crate::theme::{UiTokens, semibold};
use crate::widgets::number::bytes;
use crate::widgets::work::Work;
use crate::widgets::{
    Icon, button, card, error_box, fact, field, heading, hint, icon_button, input, notice, primary_button,
    toggle,
};
use crate::words::hub as words;

const FILES_HEIGHT: f32 = 200.0;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let hub = &ctx.state.hub;
    ui.horizontal_top(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
            if icon_button(ui, Icon::Close, ctx.t(&words::CLOSE)).clicked() {
                ctx.push(Action::Hub(HubAction::Close));
            }
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                heading(ui, ctx.t(&words::PUBLISH), &hub.draft.folder.display().to_string());
            });
        });
    });
    if let Some(report) = &hub.push.value {
        return done(ui, ctx, report);
    }
    if hub.push.is_pending() {
        return transfer(ui, ctx);
    }
    form(ui, ctx);
    for error in [&hub.plan.error, &hub.push.error].into_iter().flatten() {
        ui.add_space(6.0);
        error_box(ui, ctx, error);
    }
    if hub.plan.is_pending() {
        hint(ui, ctx.t(&words::PLANNING));
    }
    if let Some(plan) = &hub.plan.value {
        ui.add_space(6.0);
        planned(ui, ctx, plan);
    }
}

fn form(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let mut draft = ctx.state.hub.draft.clone();
    card(ui, |ui| {
        field(ui, ctx.t(&words::REPOSITORY), "", |ui| {
            input::text(ui, "hub-repo", &mut draft.repo, ctx.t(&words::REPOSITORY_HINT), ui.available_width())
        });
        toggle(ui, &mut draft.private, ctx.t(&words::PRIVATE));
        toggle(ui, &mut draft.create, ctx.t(&words::CREATE));
    });
    let ready = !draft.repo.trim().is_empty() && !ctx.state.hub.plan.is_pending();
    if draft != ctx.state.hub.draft {
        ctx.push(Action::Hub(HubAction::Draft(Box::new(draft))));
    }
    ui.add_space(4.0);
    let show = match ctx.state.hub.plan.value {
        Some(_) => button(ui, Some(Icon::Refresh), ctx.t(&words::SHOW_AGAIN)),
        None => primary_button(ui, Some(Icon::Search), ctx.t(&words::SHOW), ready),
    };
    if show.clicked() {
        ctx.push(Action::Hub(HubAction::Plan));
    }
}

fn planned(ui: &mut Ui, ctx: &PanelCtx<'_>, plan: &PushPlan) {
    card(ui, |ui| {
        fact(ui, ctx.t(&words::REPOSITORY), &plan.url);
        let state = if plan.exists { &words::EXISTS } else { &words::WILL_BE_MADE };
        fact(ui, ctx.t(&words::STATE), ctx.t(state));
        let seen = if plan.private { &words::SEEN_BY_OWNER } else { &words::SEEN_BY_ALL };
        fact(ui, ctx.t(&words::VISIBILITY), ctx.t(seen));
        fact(ui, ctx.t(&words::AS), &plan.user);
        ui.separator();
        files(ui, ctx, &plan.files);
    });
    for note in &plan.notes {
        notice(ui, ctx, note);
    }
    ui.add_space(4.0);
    let text = format!("{} ({})", ctx.t(&words::SEND), bytes(plan.send_bytes()));
    if primary_button(ui, Some(Icon::Upload), &text, plan.exists || ctx.state.hub.draft.create).clicked() {
        ctx.push(Action::Hub(HubAction::Push));
    }
    hint(ui, ctx.t(&words::NOTHING_SENT));
}

fn files(ui: &mut Ui, ctx: &PanelCtx<'_>, files: &[PushFile]) {
    ScrollArea::vertical().id_salt("push-files").max_height(FILES_HEIGHT).auto_shrink([false, true]).show(
        ui,
        |ui| {
            for file in files {
                let tokens = ui.tokens();
                ui.horizontal(|ui| {
                    ui.add(Label::new(RichText::new(&file.path).color(tokens.text)).truncate());
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        ui.label(RichText::new(bytes(file.bytes)).small().color(tokens.text_weak));
                        let (state, colour) = match file.state {
                            PushState::New => (&words::NEW, tokens.text_weak),
                            PushState::Changed => (&words::CHANGED, tokens.warning),
                            PushState::Same => (&words::SAME, tokens.text_faint),
                        };
                        ui.label(RichText::new(ctx.t(state)).small().color(colour))
                            .on_hover_text(&file.sha256);
                    });
                });
            }
        },
    );
}

fn transfer(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let hub = &ctx.state.hub;
    let work = Work {
        progress: hub.push.progress.as_ref(),
        about: &hub.draft.repo,
        waits: None,
        stop: &words::STOP,
        stopping: hub.stopping,
    };
    if work.ui(ui, ctx) {
        ctx.push(Action::Hub(HubAction::Stop));
    }
}

fn done(ui: &mut Ui, ctx: &PanelCtx<'_>, report: &PushReport) {
    card(ui, |ui| {
        ui.horizontal(|ui| {
            let tokens = ui.tokens();
            Icon::Check.ui(ui, 16.0, tokens.success);
            ui.label(RichText::new(ctx.t(&words::PUBLISHED)).family(semibold()).color(tokens.text_strong));
        });
        fact(ui, ctx.t(&words::REPOSITORY), &report.url);
        files(ui, ctx, &report.files);
    });
    ui.add_space(4.0);
    if button(ui, Some(Icon::ExternalLink), ctx.t(&words::OPEN_PAGE)).clicked() {
        ctx.push(Action::Desktop(DesktopRequest::Open(report.url.clone())));
    }
}
