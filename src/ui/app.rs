//! The app: a frame drains, draws, and applies.

use std::time::{Duration, Instant};

use egui::{CentralPanel, Context, Frame, Margin, Panel as SidePanel, Ui, ViewportCommand};
use protocol::{Event, Language, Text};

use crate::action::{Action, Actions};
use crate::apply::Apply;
use crate::client::{EngineClient, LinkState};
use crate::command::{COMMANDS, UiCommand};
use crate::desktop::{Desktop, DesktopEvent, DesktopRequest};
use crate::follow::Follow;
use crate::frame;
use crate::hosting::HostKind;
use crate::layout::Workspace;
use crate::panels::{PANELS, PanelCtx};
use crate::persisted::{Persisted, SavedProject, ThemeChoice, VERSION};
use crate::state::AppState;
use crate::state::project::Project;
use crate::state::question::{Choice, Question};
use crate::state::recovery::Verdict;
use crate::state::toasts::{Level, Toast};
use crate::state::train::{RunPhase, TrainAction};
use crate::theme::{self, UiTokens};
use crate::words::hosting as words;

/// Where the app's file keeps it.
const STORAGE_KEY: &str = "emberwright";
/// Longest time one frame spends on events; the rest waits for the next.
const DRAIN_EVENTS: usize = 4096;

/// What the program gives the window.
pub struct Services {
    pub engine: Box<dyn EngineClient>,
    pub desktop: Box<dyn Desktop>,
    pub system_language: Language,
}

pub struct App {
    state: AppState,
    workspace: Workspace,
    actions: Actions,
    follow: Follow,
    services: Services,
    events: Vec<Event>,
    answers: Vec<DesktopEvent>,
    frame_times: FrameTimes,
    /// The user has answered what becomes of the run.
    may_close: bool,
    awake: bool,
    started: Instant,
    /// Tests set the clock themselves.
    clock: Option<f64>,
}

/// Milliseconds of the window's own work, newest last.
#[derive(Default)]
pub struct FrameTimes {
    millis: std::collections::VecDeque<f32>,
}

/// How many frames are remembered.
const FRAMES: usize = 600;

impl FrameTimes {
    fn push(&mut self, time: Duration) {
        if self.millis.len() == FRAMES {
            self.millis.pop_front();
        }
        self.millis.push_back(time.as_secs_f32() * 1e3);
    }

    /// Milliseconds below which this part (0 to 1) of the frames lie.
    pub fn quantile(&self, part: f32) -> f32 {
        let mut sorted: Vec<f32> = self.millis.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        let index = ((sorted.len().saturating_sub(1)) as f32 * part).round() as usize;
        sorted.get(index).copied().unwrap_or(0.0)
    }

    pub fn count(&self) -> usize {
        self.millis.len()
    }

    pub fn clear(&mut self) {
        self.millis.clear();
    }
}

impl App {
    /// Sets fonts and looks, and takes up what was left.
    pub fn new(egui: &Context, persisted: Persisted, services: Services) -> Self {
        theme::install_fonts(egui);
        theme::apply(egui);
        egui_extras::install_image_loaders(egui);
        egui.options_mut(|options| options.zoom_with_keyboard = false);
        let workspace = Workspace::new(persisted.layout, &persisted.panels);
        let mut state = AppState::default();
        state.preferences = persisted.preferences;
        state.system_language = services.system_language;
        // What differs between base and tuned model is then the training, and nothing else.
        state.chat.sampling.temperature = 0.0;
        if let Some(saved) = persisted.project {
            state.project = Project::restored(saved);
        }
        Self {
            state,
            workspace,
            actions: Actions::default(),
            follow: Follow::default(),
            services,
            events: Vec::new(),
            answers: Vec::new(),
            frame_times: FrameTimes::default(),
            may_close: false,
            awake: false,
            started: Instant::now(),
            clock: None,
        }
    }

    /// Reads what the window kept; anything unreadable is as if it were not there.
    pub fn read_persisted(storage: Option<&dyn eframe::Storage>) -> Persisted {
        let text = storage.and_then(|storage| storage.get_string(STORAGE_KEY));
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    pub fn state(&self) -> &AppState {
        &self.state
    }

    /// Whether a panel is in front somewhere.
    pub fn is_open(&self, info: &crate::panels::PanelInfo) -> bool {
        self.workspace.is_visible(&info.panel_id())
    }

    /// Which panels are open, and where.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    pub fn frame_times(&mut self) -> &mut FrameTimes {
        &mut self.frame_times
    }

    /// Pushes an action from outside a panel: a test, or the program's arguments.
    pub fn push(&self, action: Action) {
        self.actions.push(action);
    }

    /// Fixes the clock (seconds), so that pictures do not change with the hour.
    pub fn set_clock(&mut self, now: f64) {
        self.clock = Some(now);
    }

    /// Takes what has come, and does what was pushed. Runs when the window is hidden, too.
    pub fn advance(&mut self, egui: &Context) {
        self.state.now = self.clock.unwrap_or_else(|| self.started.elapsed().as_secs_f64());
        self.drain();
        self.apply(egui);
        self.look_after(egui);
    }

    fn drain(&mut self) {
        self.state.linked(self.services.engine.link());
        self.services.engine.drain(&mut self.events);
        let taken = self.events.len().min(DRAIN_EVENTS);
        let events: Vec<Event> = self.events.drain(..taken).collect();
        for event in events {
            if matches!(event, Event::Ready { .. }) {
                self.follow.forget();
            }
            let was_active = self.state.train.is_active();
            self.go_on(&event);
            self.state.reduce(&event);
            if was_active && !self.state.train.is_active() {
                self.actions.push(Action::Runs(crate::state::runs::RunsAction::Refresh));
                if self.state.preferences.notify {
                    self.services.desktop.request(ended_notice(&self.state));
                }
            }
        }
        self.recover();
        self.services.desktop.drain(&mut self.answers);
    }

    /// What is done by itself when the engine died, and when there is one again. To be called before the event is
    /// folded in.
    fn go_on(&mut self, event: &Event) {
        let state = &mut self.state;
        match event {
            Event::Stopped if state.engine.is_ready() && state.engine.error.is_some() => {
                let run = state.train.dir.clone().filter(|_| state.train.is_active());
                state.recovery.died(run);
                // After a broken connection another engine may have been found already.
                if state.engine.link != LinkState::Ended {
                    return;
                }
                let may = state.recovery.may_restart(state.now);
                let (level, text) = match may {
                    true => (Level::Warning, &words::RESTARTED),
                    false => (Level::Error, &words::RESTARTED_OFTEN),
                };
                state.toasts.push(Toast::new(level, text.clone()), state.now);
                if may {
                    self.actions.push(Action::Command(UiCommand::RestartEngine));
                }
            }
            Event::Ready { .. } => {
                // The same engine again, after a broken connection: what it did meanwhile is in the run's folder.
                if state.train.is_active() {
                    state.train.history_asked = None;
                }
                if let Some(run) = state.recovery.take_run() {
                    self.actions.push(Action::Train(TrainAction::Recover(run)));
                }
            }
            _ => {}
        }
    }

    /// What the folder of a run says whose engine died.
    fn recover(&mut self) {
        match self.state.recovery.take_verdict() {
            Some(Verdict::Resume(dir, text)) => {
                self.state.toasts.push(Toast::new(Level::Info, text), self.state.now);
                self.actions.push(Action::Train(TrainAction::Resume(dir)));
            }
            Some(Verdict::Leave(text)) => {
                self.state.toasts.push(Toast::new(Level::Info, text), self.state.now);
            }
            None => {}
        }
    }

    fn apply(&mut self, egui: &Context) {
        let actions = self.actions.take();
        let answers = std::mem::take(&mut self.answers);
        let mut apply = Apply {
            state: &mut self.state,
            engine: self.services.engine.as_mut(),
            desktop: self.services.desktop.as_mut(),
            workspace: &mut self.workspace,
            egui,
        };
        for answer in answers {
            apply.desktop_event(answer);
        }
        apply.all(actions);
        if let Some(seconds) = self.follow.follow(&mut apply) {
            egui.request_repaint_after(Duration::from_secs_f64(seconds.max(0.01)));
        }
    }

    /// Theme, zoom, sleep, and the question before closing.
    fn look_after(&mut self, egui: &Context) {
        let preferences = &self.state.preferences;
        egui.set_theme(match preferences.theme {
            ThemeChoice::System => egui::ThemePreference::System,
            ThemeChoice::Dark => egui::ThemePreference::Dark,
            ThemeChoice::Light => egui::ThemePreference::Light,
        });
        if (egui.zoom_factor() - preferences.zoom).abs() > 1e-3 {
            egui.set_zoom_factor(preferences.zoom);
        }
        let awake = preferences.keep_awake && self.state.train.phase == RunPhase::Training;
        if awake != self.awake {
            self.awake = awake;
            self.services.desktop.request(DesktopRequest::KeepAwake(awake));
        }
        if egui.input(|input| input.viewport().close_requested()) {
            self.closing(egui);
        }
    }

    /// A run under way outlives the window, or not: the user says.
    fn closing(&mut self, egui: &Context) {
        if self.may_close || !self.state.train.is_active() {
            let (p50, p99) = (self.frame_times.quantile(0.5), self.frame_times.quantile(0.99));
            tracing::info!(
                "frame times of the last {} frames: p50 {p50:.2} ms, p99 {p99:.2} ms",
                self.frame_times.count()
            );
            self.services.engine.detach(self.may_close && self.state.closing_keeps_run);
            return;
        }
        egui.send_viewport_cmd(ViewportCommand::CancelClose);
        self.state.question = Some(closing_question(self.state.preferences.hosting.kind));
    }

    /// Draws everything.
    pub fn draw(&mut self, ui: &mut Ui) {
        let began = Instant::now();
        let egui = ui.ctx().clone();
        crate::dnd::collect(&egui, &self.actions);
        self.shortcuts(&egui);
        let ctx = PanelCtx { state: &self.state, language: self.state.language(), actions: &self.actions };
        let tokens = ui.tokens();
        let ground = |margin: Margin| Frame::new().fill(tokens.ground).inner_margin(margin);
        let bar = Margin::symmetric(14, 0);
        SidePanel::top("top")
            .exact_size(frame::top::HEIGHT)
            .show_separator_line(false)
            .frame(ground(bar))
            .show(ui, |ui| {
                frame::top::ui(ui, &ctx);
            });
        SidePanel::bottom("status")
            .exact_size(frame::status::HEIGHT)
            .show_separator_line(false)
            .frame(ground(bar))
            .show(ui, |ui| frame::status::ui(ui, &ctx, &mut self.workspace.show_notices));
        SidePanel::left("navigation")
            .exact_size(frame::navigation::WIDTH)
            .resizable(false)
            .show_separator_line(false)
            .frame(ground(Margin::ZERO))
            .show(ui, |ui| frame::navigation::ui(ui, &ctx, &self.workspace));
        if self.state.preferences.summary_folded {
            SidePanel::right("summary-folded")
                .exact_size(36.0)
                .resizable(false)
                .show_separator_line(false)
                .frame(ground(Margin::same(4)))
                .show(ui, |ui| {
                    let name = ctx.t(&crate::words::frame::UNFOLD);
                    if crate::widgets::icon_button(ui, crate::widgets::Icon::ChevronLeft, name).clicked() {
                        ctx.push(Action::Command(UiCommand::ToggleSummary));
                    }
                });
        } else {
            SidePanel::right("summary")
                .exact_size(frame::summary::WIDTH)
                .resizable(false)
                .show_separator_line(false)
                .frame(ground(Margin::symmetric(12, 0)))
                .show(ui, |ui| frame::summary::ui(ui, &ctx));
        }
        CentralPanel::default()
            .frame(Frame::new().fill(tokens.panel))
            .show(ui, |ui| self.workspace.ui(ui, &ctx));
        let mut palette = std::mem::take(&mut self.workspace.palette);
        palette.ui(&egui, &ctx);
        self.workspace.palette = palette;
        frame::browse::ui(&egui, &ctx);
        frame::hub::ui(&egui, &ctx);
        frame::modal::ui(&egui, &ctx);
        let right = if self.state.preferences.summary_folded { 36.0 } else { frame::summary::WIDTH };
        frame::toasts::ui(&egui, &ctx, right);
        frame::toasts::list(&egui, &ctx, &mut self.workspace.show_notices);
        crate::dnd::preview(&egui, &ctx);
        if self.workspace.show_frame_times {
            frame_time_window(&egui, &self.frame_times);
        }
        if self.frame_times.count() == 0 {
            tracing::info!("first frame");
        }
        self.frame_times.push(began.elapsed());
        // What was pushed while drawing is applied at once, so that a click is seen in the next frame.
        self.apply(&egui);
        if self.state.train.phase == RunPhase::Training {
            egui.request_repaint_after(Duration::from_millis(500));
        }
    }

    fn shortcuts(&self, egui: &Context) {
        for info in PANELS {
            let shortcut = egui::KeyboardShortcut::new(egui::Modifiers::COMMAND, info.shortcut);
            if egui.input_mut(|input| input.consume_shortcut(&shortcut)) {
                self.actions.push(Action::Open(info.panel_id()));
            }
        }
        // Those with more modifiers first: Ctrl Shift S must not be taken for Ctrl S.
        let mut commands: Vec<_> =
            COMMANDS.iter().filter_map(|info| Some((info.command, info.shortcut?))).collect();
        commands.sort_by_key(|(_, shortcut)| std::cmp::Reverse(shortcut.modifiers.shift));
        for (command, shortcut) in commands {
            // A text field keeps its own undo.
            let in_text =
                matches!(command, UiCommand::Undo | UiCommand::Redo) && egui.egui_wants_keyboard_input();
            if !in_text && egui.input_mut(|input| input.consume_shortcut(&shortcut)) {
                self.actions.push(Action::Command(command));
            }
        }
    }

    pub fn persist(&self) -> Persisted {
        let project = &self.state.project;
        Persisted {
            version: VERSION,
            preferences: self.state.preferences.clone(),
            project: Some(SavedProject {
                path: project.path.clone(),
                name: project.name.clone(),
                base: project.base.clone(),
                config: project.config.clone(),
                saved: project.saved.clone(),
            })
            .filter(|_| !project.is_blank()),
            layout: Some(self.workspace.tree().clone()),
            panels: self.workspace.save_panels(),
        }
    }
}

fn frame_time_window(egui: &Context, times: &FrameTimes) {
    egui::Window::new("Frame times").resizable(false).show(egui, |ui| {
        let (p50, p99) = (times.quantile(0.5), times.quantile(0.99));
        ui.label(format!("p50 {p50:.2} ms   p99 {p99:.2} ms   {} frames", times.count()));
    });
}

fn ended_notice(state: &AppState) -> DesktopRequest {
    let language = state.language();
    let name = state.train.run.as_ref().map(|run| run.0.clone()).unwrap_or_default();
    let text = match &state.train.outcome {
        Some(protocol::Outcome::Finished { step, .. }) => {
            protocol::text!("Training ended at step {step}", "训练已在第 {step} 步结束")
        }
        _ => Text::fixed("Training ended with an error", "训练因错误结束"),
    };
    DesktopRequest::Notify { title: format!("Emberwright · {name}"), body: text.get(language).to_owned() }
}

fn closing_question(kind: HostKind) -> Question {
    let choice = |label: Text, danger, keep| Choice {
        label,
        danger,
        then: vec![Action::Close { keep_running: keep }],
    };
    let title = Text::fixed("A run is under way", "训练正在进行");
    let stop = choice(Text::fixed("Save and stop", "保存并停止"), false, false);
    if kind == HostKind::Thread {
        return Question { title, body: words::ASK_THREAD.clone(), choices: vec![stop] };
    }
    let body = Text::fixed(
        "It can go on without the window; opening Emberwright again shows it. Or it saves a checkpoint and stops, and can be resumed later.",
        "训练可以在后台继续，重新打开 Emberwright 即可查看；也可以保存检查点后停止，稍后再恢复。",
    );
    let keep = choice(Text::fixed("Keep training in the background", "在后台继续训练"), false, true);
    Question { title, body, choices: vec![keep, stop] }
}

impl App {
    /// Closes the window for good.
    pub(crate) fn close(&mut self, egui: &Context) {
        self.may_close = true;
        egui.send_viewport_cmd(ViewportCommand::Close);
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.advance(ctx);
        if self.state.closing && !self.may_close {
            self.close(ctx);
        }
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.draw(ui);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        match serde_json::to_string(&self.persist()) {
            Ok(text) => storage.set_string(STORAGE_KEY, text),
            Err(err) => tracing::warn!("the window's state could not be kept: {err}"),
        }
    }
}
