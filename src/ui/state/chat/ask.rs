//! Who speaks now, and how they are asked: it depends on whether a run is under way.

use protocol::{ChatMessage, GenerateRequest, Prompt, Text};

use super::Side;
use crate::state::AppState;
use crate::state::train::RunPhase;
use crate::state::tuned::{Origin, Tuned, TunedKind};

/// Whose memory the device's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// Nobody's: any model can be loaded.
    Free,
    /// A run's: its model alone can speak, between two steps.
    Training,
    /// A run holds and has left the device: any model but its live one can be loaded.
    Paused,
}

impl Floor {
    pub fn of(phase: RunPhase) -> Self {
        match phase {
            RunPhase::None | RunPhase::Ended => Self::Free,
            RunPhase::Paused => Self::Paused,
            RunPhase::Starting | RunPhase::Training | RunPhase::Pausing | RunPhase::Stopping => {
                Self::Training
            }
        }
    }
}

/// Who speaks at the right now: while a run trains its model, while it is paused its newest checkpoint in place of
/// that, else whoever was chosen.
pub fn right(state: &AppState) -> Option<Tuned> {
    let chosen = || state.chat.tuned.clone();
    match Floor::of(state.train.phase) {
        Floor::Training => Some(Tuned::live()),
        Floor::Paused => {
            chosen().filter(|tuned| tuned.kind != TunedKind::Live).or_else(|| state.chat.newest_checkpoint())
        }
        Floor::Free => chosen().filter(|tuned| tuned.kind != TunedKind::Live),
    }
}

/// A request, and who speaks in it.
#[derive(Debug)]
pub struct Asked {
    pub by: Text,
    pub generate: GenerateRequest,
}

/// The request for one side's answer to a turn. None when nobody can speak there.
pub fn asked(state: &AppState, turn: usize, side: Side) -> Option<Asked> {
    let right = right(state);
    let by = match side {
        Side::Base => Text::fixed("Base", "原始模型"),
        Side::Tuned => right.as_ref()?.name(),
    };
    let origin = match &right {
        Some(tuned) => tuned.origin(state).into_owned(),
        None => Origin::of_project(state),
    };
    if origin.model.path.as_os_str().is_empty() {
        return None;
    }
    let chat = &state.chat;
    let messages = chat.conversation.messages(&chat.system, turn, side);
    let live = (Floor::of(state.train.phase) == Floor::Training).then_some(side == Side::Tuned);
    let prompt = prompt(state, &origin, messages);
    // Both sides name the same base, which then stays loaded. Adapters with weights act together, whichever is named.
    let speaker = right.as_ref().filter(|_| side == Side::Tuned);
    let model = speaker.map_or(origin.model.clone(), |tuned| tuned.on(origin.model));
    let adapter = (!model.adapters.is_empty()).then_some(0);
    let generate = GenerateRequest { model, adapter, live, prompt, sampling: chat.sampling.clone() };
    Some(Asked { by, generate })
}

/// Whether there is no template for conversations: the model goes on with the plain text.
pub fn is_plain(state: &AppState, origin: &Origin) -> bool {
    let report = state.model.value.as_ref().filter(|report| report.path == origin.model.path);
    origin.own_template() && report.is_some_and(|report| report.template.is_none())
}

fn prompt(state: &AppState, origin: &Origin, messages: Vec<ChatMessage>) -> Prompt {
    if is_plain(state, origin) {
        let texts: Vec<_> = messages.into_iter().map(|message| message.content).collect();
        return Prompt::Text(texts.join("\n"));
    }
    if origin.own_template() {
        return Prompt::Messages(messages);
    }
    Prompt::Templated { messages, template: origin.template.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tuned::tests::run;

    fn state() -> AppState {
        let mut state = AppState::default();
        state.project.base = "/projects".into();
        state.project.config.model.path = "models/tiny".into();
        state.chat.conversation.say("hello".into(), &Side::BOTH);
        state
    }

    #[test]
    fn both_sides_load_one_model_and_share_the_seed() {
        let mut state = state();
        state.chat.tuned = Tuned::of_run(&run(), None);
        let [base, tuned] = Side::BOTH.map(|side| asked(&state, 0, side).unwrap().generate);
        assert_eq!(base.model.path, tuned.model.path);
        assert_eq!((base.adapter, tuned.adapter), (None, Some(0)));
        assert_eq!(base.sampling, tuned.sampling);
        assert_eq!((base.live, tuned.live), (None, None));
        let Prompt::Templated { template, .. } = &base.prompt else { panic!("{:?}", base.prompt) };
        assert_eq!(template, "/projects/templates/mine.jinja", "the template the run was taught with");
    }

    #[test]
    fn a_full_fine_tune_is_loaded_in_its_place() {
        let mut state = state();
        let mut report = run();
        report.result = Some("/runs/story-2/model".into());
        state.chat.tuned = Tuned::of_run(&report, None);
        let tuned = asked(&state, 0, Side::Tuned).unwrap().generate;
        assert_eq!((tuned.model.path.to_str().unwrap(), tuned.adapter), ("/runs/story-2/model", None));
    }

    #[test]
    fn while_a_run_trains_its_model_speaks_and_while_it_is_paused_its_checkpoint() {
        let mut state = state();
        state.train.phase = RunPhase::Training;
        let live = Side::BOTH.map(|side| asked(&state, 0, side).unwrap().generate.live);
        assert_eq!(live, [Some(false), Some(true)]);
        state.train.phase = RunPhase::Paused;
        state.chat.tuned = Some(Tuned::live());
        assert!(asked(&state, 0, Side::Tuned).is_none(), "no checkpoint is known");
        let run = |update| protocol::Event::Run {
            request: protocol::RequestId(1),
            run: protocol::RunId("r".into()),
            update,
        };
        let summary = protocol::RunSummary {
            first_step: 1,
            total_steps: 9,
            train_rows: 1,
            validation_rows: 0,
            trainable_parameters: 1,
            parameters: 1,
            forecast: protocol::MemoryForecast::default(),
            device: "CPU".into(),
            dtype: "f32".into(),
            padding: None,
        };
        state
            .chat
            .reduce(&run(protocol::RunEvent::Planned { dir: "/runs/r".into(), summary: Box::new(summary) }));
        state
            .chat
            .reduce(&run(protocol::RunEvent::Saved { step: 7, dir: "/runs/r/checkpoints/step-7".into() }));
        let paused = asked(&state, 0, Side::Tuned).unwrap();
        assert_eq!(paused.generate.live, None);
        assert_eq!(paused.generate.model.adapters[0].to_str().unwrap(), "/runs/r/checkpoints/step-7/adapter");
        assert_eq!(paused.by.en, "r · step 7");
    }

    #[test]
    fn without_a_template_the_text_is_continued() {
        let mut state = state();
        let report = protocol::ModelReport {
            path: "/projects/models/tiny".into(),
            family: "gpt2".into(),
            class: String::new(),
            variant: None,
            parameters: 1,
            file_bytes: 1,
            dtypes: std::collections::BTreeMap::new(),
            layers: 1,
            hidden_size: 1,
            vocab_size: 1,
            context_length: 1,
            tied_head: false,
            linears: Vec::new(),
            default_targets: Vec::new(),
            tokenizer: None,
            template: None,
            template_reason: None,
            licence_files: Vec::new(),
            notes: Vec::new(),
        };
        state.model.value = Some(Box::new(report));
        let prompt = asked(&state, 0, Side::Base).unwrap().generate.prompt;
        assert_eq!(prompt, Prompt::Text("hello".into()));
        state.project.config.data.template = "chatml".into();
        assert!(matches!(asked(&state, 0, Side::Base).unwrap().generate.prompt, Prompt::Templated { .. }));
    }

    #[test]
    fn without_a_model_nobody_speaks() {
        let mut state = state();
        state.project.config.model.path = "".into();
        state.project.base = "".into();
        assert!(asked(&state, 0, Side::Base).is_none());
    }
}
