//! Base and tuned model in conversation.

pub mod ask;
mod conversation;

use std::path::PathBuf;

use protocol::{Event, Outcome, RequestId, RunEvent, RunReport, Sampling, UserError};

pub use conversation::{Answer, AnswerState, Conversation, Side, Turn};

use super::tuned::Tuned;
use super::{Progress, Requested};

/// What the Chat panel wants.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatAction {
    Send(String),
    /// Other words at a turn; later turns are dropped.
    Edit {
        turn: usize,
        text: String,
    },
    /// The last answers anew.
    Regenerate(Vec<Side>),
    Stop,
    Clear,
    System(String),
    Sampling(Box<Sampling>),
    Show(Columns),
    /// Which side answers first.
    TunedFirst(bool),
    /// Speak to a run's result, or to one of its checkpoints.
    UseRun {
        run: Box<RunReport>,
        checkpoint: Option<PathBuf>,
    },
    /// Speak to an adapter folder.
    UseFolder(PathBuf),
    /// Speak to these.
    Use(Box<Tuned>),
    /// Speak to the model as it trains.
    UseLive,
    /// The prompt of an answer as the model gets it.
    Render {
        turn: usize,
        side: Side,
    },
    CloseRendered,
}

/// Which columns are shown, and asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Columns {
    #[default]
    Both,
    Base,
    Tuned,
}

/// A prompt as the model gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    pub text: String,
    pub ids: Vec<u32>,
    pub tokens: Vec<String>,
}

#[derive(Debug, Default)]
pub struct ChatState {
    pub conversation: Conversation,
    /// Who speaks at the right; None until there is somebody.
    pub tuned: Option<Tuned>,
    pub system: String,
    pub sampling: Sampling,
    pub columns: Columns,
    pub tuned_first: bool,
    /// The newest checkpoint of the run under way: who speaks while it is paused.
    checkpoint: Option<(PathBuf, u64, PathBuf)>,
    run_dir: Option<PathBuf>,
    /// The prompt that is looked at, and whose it is.
    pub rendered: Requested<Rendered>,
    pub looked_at: Option<(usize, Side)>,
    /// An answer of the tuned model was seen.
    pub tuned_was_asked: bool,
}

impl ChatState {
    pub fn reduce(&mut self, event: &Event) {
        match event {
            Event::Progress { request, .. } => {
                if let Some(progress) = Progress::of(event, *request) {
                    self.conversation.progress(*request, progress);
                }
            }
            Event::Delta { request, text, .. } => self.conversation.delta(*request, text),
            Event::Generated { request, text, stats, .. } => {
                let by_tuned =
                    |(current, _, side): (RequestId, usize, Side)| current == *request && side == Side::Tuned;
                self.tuned_was_asked |= self.conversation.current().is_some_and(by_tuned);
                self.conversation.done(*request, text, stats);
            }
            Event::Run { run, update, .. } => self.reduce_run(&run.0, update),
            Event::Runs { runs, .. } => {
                if let Some(tuned) = &mut self.tuned {
                    tuned.learn(runs);
                }
            }
            Event::Rendered { request, text, ids, tokens } => {
                let rendered = Rendered { text: text.clone(), ids: ids.clone(), tokens: tokens.clone() };
                self.rendered.answer(*request, rendered);
            }
            Event::Superseded { request } => self.rendered.supersede(*request),
            Event::Ready { .. } | Event::Stopped => self.conversation.broken_off(),
            _ => {}
        }
    }

    fn reduce_run(&mut self, name: &str, update: &RunEvent) {
        match update {
            RunEvent::Planned { dir, .. } => {
                self.run_dir = Some(dir.clone());
                self.checkpoint = None;
            }
            RunEvent::Saved { step, dir } => {
                if let Some(run) = &self.run_dir {
                    self.checkpoint = Some((run.clone(), *step, dir.clone()));
                }
            }
            RunEvent::Ended { outcome } => {
                self.run_dir = None;
                self.checkpoint = None;
                if let Outcome::Finished { result, .. } = outcome {
                    self.tuned = Some(Tuned::of_result(name, result));
                    self.tuned_was_asked = false;
                }
            }
            _ => {}
        }
    }

    /// The newest checkpoint of the run under way.
    pub fn newest_checkpoint(&self) -> Option<Tuned> {
        let (run, step, dir) = self.checkpoint.as_ref()?;
        Some(Tuned::of_checkpoint(run, *step, dir))
    }

    /// Who is asked, in which order. `has_tuned`: whether there is somebody for the right side.
    pub fn asked(&self, has_tuned: bool) -> Vec<Side> {
        let mut sides = match self.columns {
            Columns::Both => Side::BOTH.to_vec(),
            Columns::Base => vec![Side::Base],
            Columns::Tuned => vec![Side::Tuned],
        };
        sides.retain(|side| *side == Side::Base || has_tuned);
        if self.tuned_first {
            sides.reverse();
        }
        sides
    }

    /// Whether the failed request was one of these.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        let looked = self.rendered.awaits(request);
        self.rendered.fail(request, error);
        self.conversation.fail(request, error) || looked
    }
}
