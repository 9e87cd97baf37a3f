//! How hard each token of a row is for a model.

use std::path::PathBuf;

use protocol::{Command, Event, ModelRef, PreviewRow, RequestId, RunConfig, TokenLosses, UserError};

use super::tuned::{Tuned, TunedKind};
use super::{AppState, Requested};

/// What the token view wants.
#[derive(Clone, Debug, PartialEq)]
pub enum HeatAction {
    Show(bool),
    /// These are asked; None: the untuned model.
    Use(Option<Box<Tuned>>),
    /// How hard this row is (1-based, over all files).
    Ask(u64),
}

/// What a row was scored by.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    row: u64,
    config: Box<RunConfig>,
    base: PathBuf,
    model: ModelRef,
    live: bool,
}

#[derive(Debug, Default)]
pub struct HeatState {
    pub on: bool,
    /// Who is asked. None: the run under way while it trains, else the untuned model.
    pub source: Option<Tuned>,
    pub losses: Requested<Box<TokenLosses>>,
    asked: Option<Asked>,
}

impl HeatState {
    pub fn reduce(&mut self, event: &Event) {
        match event {
            Event::RowScored { request, losses } => self.losses.answer(*request, losses.clone()),
            Event::Runs { runs, .. } => self.source.iter_mut().for_each(|source| source.learn(runs)),
            Event::Superseded { request } => self.losses.supersede(*request),
            Event::Ready { .. } | Event::Stopped => {
                self.losses.clear();
                self.asked = None;
            }
            _ => {}
        }
    }

    /// Whether the failed request was this one.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        let ours = self.losses.awaits(request);
        self.losses.fail(request, error);
        ours
    }

    /// The losses of this row, if they are of its tokens.
    pub fn of(&self, row: &PreviewRow, index: u64) -> Option<&TokenLosses> {
        let losses = self.losses.value.as_deref().filter(|_| self.on && self.losses.error.is_none())?;
        (losses.row == index + 1 && losses.ids == row.ids).then_some(losses)
    }
}

/// Who is asked now.
pub fn source(state: &AppState) -> Option<Tuned> {
    let heat = &state.data.heat;
    let live = || Some(Tuned::live()).filter(|_| state.train.is_active());
    match &heat.source {
        // A run that has ended can no longer be asked as it trains.
        Some(source) if source.kind == TunedKind::Live => live().or_else(|| Tuned::base(state)),
        Some(source) => Some(source.clone()),
        None => live().or_else(|| Tuned::base(state)),
    }
}

fn wanted(state: &AppState, row: u64) -> Option<Asked> {
    let source = source(state)?;
    Some(Asked {
        row,
        config: Box::new(state.project.config.clone()),
        base: state.project.base.clone(),
        model: source.on(source.origin(state).into_owned().model),
        live: source.kind == TunedKind::Live,
    })
}

/// Whether the newest question was about this row, by the settings and the model of now.
pub fn is_asked(state: &AppState, row: u64) -> bool {
    let asked = state.data.heat.asked.as_ref().filter(|asked| asked.row == row);
    asked.is_some() && asked == wanted(state, row).as_ref()
}

/// The question about a row, unless it was asked just so before.
pub fn ask(state: &mut AppState, row: u64) -> Option<Command> {
    if is_asked(state, row) {
        return None;
    }
    let wanted = wanted(state, row)?;
    let request = state.next_request();
    state.data.heat.asked = Some(wanted.clone());
    state.data.heat.losses.error = None;
    state.data.heat.losses.ask(request);
    let Asked { row, config, base, model, live } = wanted;
    Some(Command::ScoreRow { request, config, base, row, model, live })
}

/// Mean cross-entropy of the tokens that bear loss, in nats; None where none does.
pub fn mean(losses: &TokenLosses) -> Option<f64> {
    let learned = losses.losses.iter().zip(&losses.loss_mask).filter(|(_, learned)| **learned);
    let known: Vec<f64> =
        learned.filter_map(|(loss, _)| loss.map(f64::from)).filter(|it| it.is_finite()).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

#[cfg(test)]
mod tests {
    use protocol::{Text, TokenRole};

    use super::*;

    fn state() -> AppState {
        let mut state = AppState::default();
        state.project.config.model.path = "/models/tiny".into();
        state.data.heat.on = true;
        state
    }

    fn losses(row: u64, ids: &[u32]) -> Box<TokenLosses> {
        let n = ids.len();
        Box::new(TokenLosses {
            row,
            ids: ids.to_vec(),
            tokens: vec!["x".into(); n],
            losses: (0..n).map(|at| (at > 0).then_some(at as f32)).collect(),
            best: vec![None; n],
            loss_mask: vec![true; n],
        })
    }

    #[test]
    fn a_row_is_asked_about_once_until_something_changes() {
        let mut state = state();
        let Some(Command::ScoreRow { request, row, model, live, .. }) = ask(&mut state, 4) else { panic!() };
        assert_eq!((row, model.path, live), (4, "/models/tiny".into(), false));
        assert!(is_asked(&state, 4) && !is_asked(&state, 5));
        assert_eq!(ask(&mut state, 4), None);
        // A failure is not asked again and again either.
        assert!(state.data.fail(request, &UserError::failure(Text::fixed("no", "不行"))));
        assert!(ask(&mut state, 4).is_none());
        state.data.heat.source = Some(Tuned::folder("/adapter".into()));
        assert!(!is_asked(&state, 4));
        let Some(Command::ScoreRow { model, .. }) = ask(&mut state, 4) else { panic!() };
        assert_eq!(model.adapters, [PathBuf::from("/adapter")]);
    }

    #[test]
    fn while_a_run_trains_its_model_is_asked() {
        let mut state = state();
        state.train.phase = crate::state::train::RunPhase::Training;
        let Some(Command::ScoreRow { live, .. }) = ask(&mut state, 1) else { panic!() };
        assert!(live);
        state.data.heat.source = Some(Tuned::live());
        state.train.phase = crate::state::train::RunPhase::Ended;
        let Some(Command::ScoreRow { live, .. }) = ask(&mut state, 1) else { panic!() };
        assert!(!live);
    }

    #[test]
    fn losses_of_other_tokens_are_not_shown() {
        let mut state = state();
        state.data.heat.losses.ask(RequestId(1));
        state.reduce(&Event::RowScored { request: RequestId(1), losses: losses(3, &[0, 1]) });
        let row = crate::testing_rows::row(&[("a", TokenRole::User, false), ("b", TokenRole::User, true)]);
        assert!(state.data.heat.of(&row, 2).is_some());
        assert!(state.data.heat.of(&row, 1).is_none(), "another row");
        let longer = crate::testing_rows::row(&[("a", TokenRole::User, true)]);
        assert!(state.data.heat.of(&longer, 2).is_none(), "other tokens");
        assert_eq!(mean(&losses(1, &[7, 8, 9])), Some(1.5));
        assert_eq!(mean(&losses(1, &[7])), None);
    }
}
