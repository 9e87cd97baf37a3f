//! Where the engine runs: in the window, beside it, or on another machine.

use egui::{RichText, Ui};
use protocol::Text;

use super::part;
use crate::action::Action;
use crate::client::LinkState;
use crate::hosting::{HostKind, Hosting, PROGRAM};
use crate::panels::PanelCtx;
use crate::state::question::{Choice, Question};
use crate::theme::UiTokens;
use crate::widgets::{Icon, fact, field, hint, input, notice, primary_button};
use crate::words::hosting as words;

/// Each kind with an honest line.
static KINDS: [(HostKind, &Text, &Text); 3] = [
    (HostKind::Process, &words::PROCESS, &words::PROCESS_HELP),
    (HostKind::Ssh, &words::SSH, &words::SSH_HELP),
    (HostKind::Thread, &words::THREAD, &words::THREAD_HELP),
];

/// `draft`: what was chosen and is not used yet.
pub fn hosting(ui: &mut Ui, ctx: &PanelCtx<'_>, draft: &mut Option<Hosting>) {
    part(ui, ctx.t(&words::ENGINE), |ui| {
        ui.spacing_mut().item_spacing.y = 5.0;
        let used = &ctx.state.preferences.hosting;
        let mut wanted = draft.clone().unwrap_or_else(|| used.clone());
        for (kind, name, help) in KINDS {
            if ui.radio(wanted.kind == kind, ctx.t(name)).clicked() {
                wanted.kind = kind;
            }
            ui.indent(&*name.en, |ui| hint(ui, ctx.t(help)));
        }
        if wanted.kind == HostKind::Ssh {
            machine(ui, ctx, &mut wanted);
        }
        state(ui, ctx);
        *draft = (wanted != *used).then(|| wanted.clone());
        if let Some(wanted) = draft.clone() {
            let problem = wanted.problem();
            if let Some(problem) = &problem {
                notice(ui, ctx, problem);
            }
            if primary_button(ui, Some(Icon::Check), ctx.t(&words::GO_OVER), problem.is_none()).clicked() {
                *draft = None;
                go_over(ctx, wanted);
            }
        }
    });
}

fn machine(ui: &mut Ui, ctx: &PanelCtx<'_>, wanted: &mut Hosting) {
    let width = |ui: &Ui| ui.available_width() - 8.0;
    field(ui, ctx.t(&words::HOST), ctx.t(&words::HOST_HELP), |ui| {
        let width = width(ui);
        input::text(ui, "host", &mut wanted.host, ctx.t(&words::HOST_HINT), width)
    });
    hint(ui, ctx.t(&words::HOST_HELP));
    field(ui, ctx.t(&words::PROGRAM), ctx.t(&words::PROGRAM_HELP), |ui| {
        let width = width(ui);
        input::text(ui, "far-program", &mut wanted.program, PROGRAM, width)
    });
    hint(ui, ctx.t(&words::PROGRAM_HELP));
    for typed in [&mut wanted.host, &mut wanted.program] {
        if typed.trim() != typed.as_str() {
            *typed = typed.trim().to_owned();
        }
    }
}

/// How the line to the engine in use is.
fn state(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let tokens = ui.tokens();
    let engine = &ctx.state.engine;
    let told = engine.link_words();
    let shown = match (&told, ctx.state.other_machine()) {
        (Some(told), _) => ctx.t(told).to_owned(),
        (None, Some(host)) => format!("{} · {host}", ctx.t(&words::ATTACHED)),
        (None, None) => ctx.t(&words::ATTACHED).to_owned(),
    };
    match &engine.link {
        LinkState::Lost { .. } | LinkState::Silent { .. } | LinkState::Ended => {
            ui.label(RichText::new(shown).color(tokens.warning));
        }
        LinkState::Connecting { .. } | LinkState::Attached => {
            fact(ui, ctx.t(&words::STATE), &shown);
        }
    }
}

/// During a run the user says what becomes of it.
fn go_over(ctx: &PanelCtx<'_>, hosting: Hosting) {
    let then = |keep_running| vec![Action::Host { hosting: hosting.clone(), keep_running }];
    if !ctx.state.train.is_active() {
        return then(true).into_iter().for_each(|action| ctx.push(action));
    }
    let choice = |label: &Text, keep| Choice { label: label.clone(), danger: false, then: then(keep) };
    let stop = choice(&words::SAVE_AND_STOP, false);
    let in_window = ctx.state.preferences.hosting.kind == HostKind::Thread;
    let (body, choices) = match in_window {
        true => (&words::ASK_THREAD, vec![stop]),
        false => (&words::ASK_PROCESS, vec![choice(&words::KEEP, true), stop]),
    };
    ctx.push(Action::Ask(Box::new(Question { title: words::ASK.clone(), body: body.clone(), choices })));
}
