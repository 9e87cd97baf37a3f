//! What is asked of the engine because settings changed: nobody has to press "check".
//!
//! Cheap questions follow a change at once, the judgement of the whole dataset when the user has paused.

use std::path::PathBuf;

use protocol::config::{DataConfig, MethodConfig, ModelConfig, VocabularyConfig};
use protocol::{Command, ModelRef, RepoKind, RunConfig, Wish};

use crate::apply::Apply;
use crate::state::hub::named;

/// Seconds without a change before the estimate and the preview are asked for.
const SETTLE: f64 = 0.12;
/// Seconds without a change before the whole dataset is judged.
const SETTLE_CHECK: f64 = 0.7;
/// The method that trains everything.
const FULL: &str = "full";
/// Rows of the first page.
const FIRST_ROWS: u64 = 50;

/// What was asked last.
#[derive(Default)]
pub struct Follow {
    seen: Option<Seen>,
    changed_at: f64,
    inspected: Option<(ModelConfig, PathBuf)>,
    previewed: Option<Shown>,
    estimated: Option<(Seen, Option<u64>, Option<u64>)>,
    compared: Option<(Seen, Option<u64>)>,
    checked: Option<Seen>,
    named: Option<(RepoKind, String)>,
    runs_asked: Option<Option<PathBuf>>,
    /// The run under way when the list was read last.
    run_listed: Option<PathBuf>,
}

#[derive(Clone, PartialEq)]
struct Seen {
    config: RunConfig,
    base: PathBuf,
}

/// What a preview depends on.
#[derive(Clone, PartialEq)]
struct Shown {
    model: PathBuf,
    vocabulary: VocabularyConfig,
    /// An adapter that training goes on from brings its tokens.
    init_from: PathBuf,
    data: DataConfig,
    base: PathBuf,
}

impl Follow {
    /// Everything is asked again: the engine is a new one.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Asks what the change of settings asks for. Returns the seconds until it wants to be called again.
    pub fn follow(&mut self, apply: &mut Apply<'_>) -> Option<f64> {
        if !apply.state.engine.is_ready() {
            return None;
        }
        self.runs(apply);
        apply.chat_follow();
        apply.export_follow();
        apply.hub_follow();
        apply.predict_follow();
        apply.evaluate_follow();
        apply.convert_follow();
        apply.attach();
        apply.write_picture();
        let look = apply.handoff_follow();
        let seen =
            Seen { config: apply.state.project.config.clone(), base: apply.state.project.base.clone() };
        if self.seen.as_ref() != Some(&seen) {
            self.changed_at = if self.seen.is_none() { f64::MIN } else { apply.state.now };
            self.seen = Some(seen.clone());
        }
        let rest = apply.state.now - self.changed_at;
        if rest < SETTLE {
            return Some(SETTLE - rest);
        }
        if self.named(apply, &seen) {
            return look;
        }
        self.inspect(apply, &seen);
        self.preview(apply, &seen);
        self.estimate(apply, &seen);
        self.compare(apply, &seen);
        if self.checked.as_ref() == Some(&seen) || !has_both(&seen.config) {
            return look;
        }
        if rest < SETTLE_CHECK {
            return Some(SETTLE_CHECK - rest);
        }
        self.checked = Some(seen);
        apply.check();
        look
    }

    fn runs(&mut self, apply: &mut Apply<'_>) {
        let dir = apply.state.runs_dir();
        let train = &apply.state.train;
        let run = train.summary.as_ref().and(train.dir.clone());
        if self.runs_asked.as_ref() != Some(&dir) || self.run_listed != run {
            self.runs_asked = Some(dir);
            self.run_listed = run;
            apply.list_runs();
        }
    }

    /// Whether a model or dataset is named by its place on a hub: it is shown there, once, and nothing else is asked
    /// before it is here.
    fn named(&mut self, apply: &mut Apply<'_>, seen: &Seen) -> bool {
        let named = named(&seen.config);
        if named.is_some() && self.named != named {
            apply.state.model.clear();
            apply.state.estimate.clear();
            // What was known of another model is asked again when this one is here.
            (self.inspected, self.estimated, self.checked) = (None, None, None);
        }
        if let Some((kind, word)) = named.clone().filter(|_| self.named != named) {
            apply.look_up(kind, word);
        }
        self.named = named;
        self.named.is_some()
    }

    fn inspect(&mut self, apply: &mut Apply<'_>, seen: &Seen) {
        let wanted = (seen.config.model.clone(), seen.base.clone());
        if self.inspected.as_ref() == Some(&wanted) {
            return;
        }
        let other_model = self.inspected.as_ref().is_none_or(|(before, _)| before.path != wanted.0.path);
        if other_model {
            apply.state.model.clear();
        }
        self.inspected = Some(wanted);
        if seen.config.model.path.as_os_str().is_empty() {
            return;
        }
        let request = apply.state.next_request();
        let model = ModelRef {
            path: seen.base.join(&seen.config.model.path),
            dtype: seen.config.model.dtype.clone(),
            quantization: seen.config.model.quantization.clone(),
            overrides: seen.config.model.overrides.clone(),
            ..ModelRef::default()
        };
        apply.state.model.ask(request);
        apply.engine.send(Command::Inspect { request, model });
    }

    fn preview(&mut self, apply: &mut Apply<'_>, seen: &Seen) {
        let shown = Shown {
            model: seen.config.model.path.clone(),
            vocabulary: seen.config.vocabulary.clone(),
            init_from: seen.config.method.init_from.clone(),
            data: seen.config.data.clone(),
            base: seen.base.clone(),
        };
        if self.previewed.as_ref() == Some(&shown) {
            return;
        }
        let other_files = self.previewed.as_ref().is_none_or(|before| before.data.train != shown.data.train);
        self.previewed = Some(shown);
        if other_files {
            apply.state.data.page.clear();
            apply.state.data.found.clear();
            apply.state.data.first = 0;
        }
        if !has_both(&seen.config) {
            return;
        }
        // A check of older settings is void, and would stand in the way.
        let newest = apply.state.next_request();
        apply.engine.wish(Wish::Supersede(newest));
        apply.state.data.count = apply.state.data.count.max(FIRST_ROWS);
        apply.preview();
    }

    fn estimate(&mut self, apply: &mut Apply<'_>, seen: &Seen) {
        let (steps, longest) = found(apply);
        let wanted = (seen.clone(), steps, longest);
        if self.estimated.as_ref() == Some(&wanted) || seen.config.model.path.as_os_str().is_empty() {
            return;
        }
        self.estimated = Some(wanted);
        apply.state.estimated_method = Some(seen.config.method.clone());
        let request = apply.state.next_request();
        apply.state.estimate.ask(request);
        apply.engine.send(Command::Estimate {
            request,
            config: Box::new(seen.config.clone()),
            base: seen.base.clone(),
            steps,
            longest,
        });
    }

    /// What the run would cost with every parameter trained: a method is judged beside it.
    fn compare(&mut self, apply: &mut Apply<'_>, seen: &Seen) {
        let known = apply.state.engine.catalog.methods.iter().any(|method| method.id == FULL);
        if !known || seen.config.method.kind == FULL || seen.config.model.path.as_os_str().is_empty() {
            return;
        }
        let mut full = seen.clone();
        full.config.method = MethodConfig { kind: FULL.into(), ..MethodConfig::default() };
        let (_, longest) = found(apply);
        if self.compared.as_ref() == Some(&(full.clone(), longest)) {
            return;
        }
        let request = apply.state.next_request();
        apply.state.full_cost.ask(request);
        let command = Command::Estimate {
            request,
            config: Box::new(full.config.clone()),
            base: full.base.clone(),
            steps: None,
            longest,
        };
        self.compared = Some((full, longest));
        apply.engine.send(command);
    }
}

/// What the last check found: optimizer steps, and the longest row in tokens.
fn found(apply: &Apply<'_>) -> (Option<u64>, Option<u64>) {
    let verdict = apply.state.data.verdict.value.as_ref();
    let positive = |value: Option<u64>| value.filter(|value| *value > 0);
    (positive(verdict.map(|verdict| verdict.steps)), positive(verdict.map(|verdict| verdict.longest)))
}

fn has_both(config: &RunConfig) -> bool {
    !config.model.path.as_os_str().is_empty() && !config.data.train.is_empty()
}
