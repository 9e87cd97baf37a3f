//! A run for other machines: where it goes, and what was written.

use std::path::PathBuf;

use protocol::{Event, HandoffReport, HandoffRequest, RequestId, Text, UserError, text};

use super::{AppState, Requested};

/// The run folder in what is handed over.
pub const RUN: &str = "run";

/// What the dialog wants.
#[derive(Clone, Debug, PartialEq)]
pub enum HandoffAction {
    Open,
    Close,
    Choose(Box<Choices>),
    /// Asks for the folder to write into.
    PickFolder,
    Write,
}

/// Where the run goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// Empty: the first that the engine offers.
    pub engine: String,
    pub nodes: u64,
    pub cards: u64,
    /// Where the base model is there; empty: a folder of its own name.
    pub model: String,
    pub copy_model: bool,
    /// In which the folder is made.
    pub parent: Option<PathBuf>,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            engine: String::new(),
            nodes: 1,
            cards: 4,
            model: String::new(),
            copy_model: false,
            parent: None,
        }
    }
}

#[derive(Debug, Default)]
pub struct HandoffState {
    pub open: bool,
    pub choices: Choices,
    pub work: Requested<Box<HandoffReport>>,
    /// The folder whose run was added to the list.
    pub listed: Option<PathBuf>,
}

impl HandoffState {
    pub fn reduce(&mut self, event: &Event) {
        match event {
            Event::HandedOff { request, report } => self.work.answer(*request, report.clone()),
            Event::Progress { .. } => self.work.tell_progress(event),
            Event::Ready { .. } | Event::Stopped => self.work.clear(),
            _ => {}
        }
    }

    /// Whether the failed request was this one.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        let ours = self.work.awaits(request);
        self.work.fail(request, error);
        ours
    }

    /// The run folder that was written and is not in the list yet.
    pub fn unlisted(&mut self) -> Option<PathBuf> {
        let dir = self.work.value.as_ref().map(|report| report.dir.clone())?;
        (self.listed.as_ref() != Some(&dir)).then(|| {
            self.listed = Some(dir.clone());
            dir.join(RUN)
        })
    }
}

/// The chosen engine.
pub fn engine(state: &AppState) -> Option<&str> {
    let known = &state.engine.catalog.engines;
    let chosen = known.iter().find(|engine| engine.id == state.handoff.choices.engine);
    chosen.or(known.first()).map(|engine| engine.id.as_str())
}

/// Where it would be written; None until a folder is chosen.
pub fn out(state: &AppState) -> Option<PathBuf> {
    let parent = state.handoff.choices.parent.as_ref()?;
    let kept = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name: String = state.project.name.chars().take(60).map(kept).collect();
    let name = if name.trim_matches('-').is_empty() { "run".to_owned() } else { name };
    Some(parent.join(format!("{name}-{}", engine(state)?)))
}

/// The hand-off as it is set.
pub fn request(state: &AppState) -> Option<HandoffRequest> {
    let Choices { nodes, cards, model, copy_model, .. } = state.handoff.choices.clone();
    Some(HandoffRequest {
        config: Box::new(state.project.config.clone()),
        base: state.project.base.clone(),
        name: state.project.name.clone(),
        engine: engine(state)?.to_owned(),
        out: out(state)?,
        nodes,
        cards,
        model,
        copy_model,
    })
}

/// Why the method cannot be handed over, if so.
pub fn method_obstacle(state: &AppState) -> Option<Text> {
    let able = &state.engine.catalog.handed_methods;
    let kind = &state.project.config.method.kind;
    if able.is_empty() || able.contains(kind) {
        return None;
    }
    let known = able.join(", ");
    Some(text!(
        "Only {known} can be handed over: PEFT has nothing that trains like {kind}",
        "只能移交 {known}：PEFT 没有与 {kind} 训练方式相同的方法"
    ))
}

#[cfg(test)]
mod tests {
    use protocol::Descriptor;

    use super::*;

    fn state() -> AppState {
        let mut state = AppState::default();
        let engine = |id: &str| Descriptor {
            id: id.into(),
            name: Text::fixed("a", "b"),
            help: Text::fixed("a", "b"),
            params: Vec::new(),
        };
        state.engine.catalog.engines = ["accelerate-fsdp", "torchrun"].map(engine).to_vec();
        state.engine.catalog.handed_methods = vec!["lora".into()];
        state.project.config.method.kind = "lora".into();
        state
    }

    #[test]
    fn a_request_needs_a_folder_and_names_an_engine() {
        let mut state = state();
        assert_eq!(request(&state), None);
        state.handoff.choices.parent = Some("/out".into());
        state.project.name = "my run".into();
        assert_eq!(request(&state).unwrap().out, PathBuf::from("/out/my-run-accelerate-fsdp"));
        state.handoff.choices.engine = "torchrun".into();
        assert_eq!(request(&state).unwrap().engine, "torchrun");
        state.handoff.choices.engine = "gone".into();
        assert_eq!(request(&state).unwrap().engine, "accelerate-fsdp");
    }

    #[test]
    fn methods_that_nobody_else_has_stay_here() {
        let mut state = state();
        assert_eq!(method_obstacle(&state), None);
        state.project.config.method.kind = "bitfit".into();
        assert!(method_obstacle(&state).unwrap().en.contains("bitfit"));
    }

    #[test]
    fn what_was_written_is_listed_once() {
        let mut state = HandoffState::default();
        assert_eq!(state.unlisted(), None);
        state.work.ask(RequestId(1));
        let report = Box::new(HandoffReport { dir: "/out/a".into(), ..HandoffReport::default() });
        state.reduce(&Event::HandedOff { request: RequestId(1), report });
        assert_eq!(state.unlisted(), Some("/out/a/run".into()));
        assert_eq!(state.unlisted(), None);
    }
}
