//! What a run left, as conversations and exports take it.

use std::path::{Path, PathBuf};

use protocol::{Event, ModelRef, Outcome, RunEvent, RunReport, Text, text};

use super::AppState;
use super::mix::Mix;

/// The method that trains the model itself: its result is a model folder of its own, its checkpoints are not.
const FULL: &str = "full";
/// The folder's name of such a result in a run folder.
const MODEL_FOLDER: &str = "model";
/// Where a checkpoint keeps its adapter.
const CHECKPOINT_ADAPTER: &str = "adapter";

/// A model that was tuned, and what it was tuned from.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    pub label: Text,
    /// Its run folder, where there is one.
    pub run: Option<PathBuf>,
    pub kind: TunedKind,
    /// None: the project's model.
    pub origin: Option<Origin>,
    /// Other adapters that act with it.
    pub mix: Mix,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunedKind {
    /// The run under way, with what it has learned so far.
    Live,
    /// On the base it was trained on.
    Adapter(PathBuf),
    /// A model folder that needs no other.
    Model(PathBuf),
}

/// The model a run began with, and the template it was taught with.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    pub model: ModelRef,
    /// As `data.template` of a run file, with the path of a file made absolute.
    pub template: String,
}

impl Tuned {
    pub fn live() -> Self {
        let label = Text::fixed("The model as it trains", "训练中的模型");
        Self { label, run: None, kind: TunedKind::Live, origin: None, mix: Mix::default() }
    }

    /// The project's model as it was before training; None while there is none.
    pub fn base(state: &AppState) -> Option<Self> {
        let model = Origin::of_project(state).model.path;
        let named = !state.project.config.model.path.as_os_str().is_empty();
        let label = plain(name(&model));
        let kind = TunedKind::Model(model);
        named.then(|| Self { label, run: None, kind, origin: None, mix: Mix::default() })
    }

    /// An adapter folder from anywhere, on the project's model.
    pub fn folder(dir: PathBuf) -> Self {
        let label = match run_around(&dir) {
            Some(run) => plain(name(run)),
            None => plain(name(&dir)),
        };
        Self { label, run: None, kind: TunedKind::Adapter(dir), origin: None, mix: Mix::default() }
    }

    /// A run's result, or one of its checkpoints. None where there is nothing that can be loaded: no result yet, or
    /// the checkpoint of a full fine-tune, which is no model folder.
    pub fn of_run(run: &RunReport, checkpoint: Option<&Path>) -> Option<Self> {
        let origin = Some(Origin::of_run(run));
        let (label, kind) = match checkpoint {
            Some(_) if trains_whole_model(run) => return None,
            Some(dir) => {
                let (name, step) = (&run.name, step_of(run, dir));
                let label = text!("{name} · step {step}", "{name} · 第 {step} 步");
                (label, TunedKind::Adapter(dir.join(CHECKPOINT_ADAPTER)))
            }
            None => (plain(run.name.clone()), kind_of_result(run.result.as_ref()?)),
        };
        Some(Self { label, run: Some(run.dir.clone()), kind, origin, mix: Mix::default() })
    }

    /// What a run that just ended wrote; its origin is filled in when the list of runs tells it.
    pub fn of_result(name: &str, result: &Path) -> Self {
        let run = result.parent().map(Path::to_path_buf);
        Self {
            label: plain(name.to_owned()),
            run,
            kind: kind_of_result(result),
            origin: None,
            mix: Mix::default(),
        }
    }

    /// The newest checkpoint of a run that is paused.
    pub fn of_checkpoint(run: &Path, step: u64, dir: &Path) -> Self {
        let name = name(run);
        let label = text!("{name} · step {step}", "{name} · 第 {step} 步");
        let kind = TunedKind::Adapter(dir.join(CHECKPOINT_ADAPTER));
        Self { label, run: Some(run.to_path_buf()), kind, origin: None, mix: Mix::default() }
    }

    /// What is meant where nobody was chosen: who speaks in Chat, else the newest result, else the model as it was.
    pub fn or_newest(chosen: Option<&Self>, state: &AppState) -> Option<Self> {
        let able = |tuned: &&Self| tuned.kind != TunedKind::Live;
        let chosen = chosen.or(state.chat.tuned.as_ref()).filter(able).cloned();
        let newest = || state.runs.runs.iter().find_map(|run| Self::of_run(run, None));
        chosen.or_else(newest).or_else(|| Self::base(state))
    }

    /// A run that ends well is what is chosen from then on; true when it was. What was chosen learns of its run.
    pub fn follow(chosen: &mut Option<Self>, event: &Event) -> bool {
        match event {
            Event::Run {
                run, update: RunEvent::Ended { outcome: Outcome::Finished { result, .. } }, ..
            } => {
                *chosen = Some(Self::of_result(&run.0, result));
                return true;
            }
            Event::Runs { runs, .. } => chosen.iter_mut().for_each(|chosen| chosen.learn(runs)),
            _ => {}
        }
        false
    }

    /// Takes up what the list of runs knows of its run.
    pub fn learn(&mut self, runs: &[RunReport]) {
        if let (None, Some(dir)) = (&self.origin, &self.run)
            && let Some(run) = runs.iter().find(|run| run.dir == *dir)
        {
            self.origin = Some(Origin::of_run(run));
        }
        self.mix.others.iter_mut().for_each(|other| other.tuned.learn(runs));
    }

    /// The folder of the adapter or the model; None while it trains.
    pub fn path(&self) -> Option<&Path> {
        match &self.kind {
            TunedKind::Live => None,
            TunedKind::Adapter(dir) | TunedKind::Model(dir) => Some(dir),
        }
    }

    /// The model it was tuned from: the run's, else the project's.
    pub fn origin<'a>(&'a self, state: &'a AppState) -> std::borrow::Cow<'a, Origin> {
        match &self.origin {
            Some(origin) => std::borrow::Cow::Borrowed(origin),
            None => std::borrow::Cow::Owned(Origin::of_project(state)),
        }
    }
}

impl Origin {
    pub fn of_run(run: &RunReport) -> Self {
        Self::new(&run.config, &run.base)
    }

    pub fn of_project(state: &AppState) -> Self {
        Self::new(&state.project.config, &state.project.base)
    }

    fn new(config: &protocol::RunConfig, base: &Path) -> Self {
        let model = ModelRef {
            path: base.join(&config.model.path),
            dtype: config.model.dtype.clone(),
            quantization: config.model.quantization.clone(),
            overrides: config.model.overrides.clone(),
            ..ModelRef::default()
        };
        Self { model, template: absolute_template(&config.data.template, base) }
    }

    /// Whether the model's own template is the one that counts.
    pub fn own_template(&self) -> bool {
        self.template.is_empty() || self.template == "auto"
    }
}

/// A template given as a relative file becomes absolute; names and texts stay.
fn absolute_template(template: &str, base: &Path) -> String {
    let is_text = template.contains("{{") || template.contains("{%");
    let path = Path::new(template);
    let is_file = !is_text && (path.extension().is_some() || path.components().count() > 1);
    if is_file && path.is_relative() { base.join(path).display().to_string() } else { template.to_owned() }
}

/// Whether a run changes the model itself instead of an adapter on it.
pub fn trains_whole_model(run: &RunReport) -> bool {
    match &run.result {
        Some(result) => matches!(kind_of_result(result), TunedKind::Model(_)),
        None => run.config.method.kind == FULL,
    }
}

fn kind_of_result(result: &Path) -> TunedKind {
    if result.file_name().is_some_and(|name| name == MODEL_FOLDER) {
        TunedKind::Model(result.to_path_buf())
    } else {
        TunedKind::Adapter(result.to_path_buf())
    }
}

fn step_of(run: &RunReport, checkpoint: &Path) -> u64 {
    let known = run.checkpoints.iter().find(|known| known.dir == checkpoint);
    known.map_or(run.step, |known| known.step)
}

/// The run folder that an adapter called `adapter` lies in, whose name says more.
fn run_around(dir: &Path) -> Option<&Path> {
    dir.file_name().filter(|name| *name == CHECKPOINT_ADAPTER)?;
    dir.parent()
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn plain(text: String) -> Text {
    Text::new(text.clone(), text)
}

#[cfg(test)]
pub(crate) mod tests {
    use protocol::{CheckpointReport, RunConfig, RunState};

    use super::*;

    /// A finished LoRA run with one checkpoint.
    pub fn run() -> RunReport {
        let mut config = RunConfig::default();
        config.model.path = "models/tiny".into();
        config.data.template = "templates/mine.jinja".into();
        let dir = PathBuf::from("/runs/story-2");
        RunReport {
            dir: dir.clone(),
            name: "story-2".into(),
            state: RunState::Finished,
            started: None,
            seconds: 60.0,
            step: 120,
            total_steps: 120,
            last_loss: Some(1.2),
            last_eval_loss: None,
            best_eval_loss: None,
            config: Box::new(config),
            base: "/projects".into(),
            curve: Vec::new(),
            checkpoints: vec![CheckpointReport {
                step: 100,
                dir: dir.join("checkpoints/step-00000100"),
                bytes: 1,
                eval_loss: None,
                best: false,
            }],
            result: Some(dir.join("adapter")),
            bytes: 1,
            memory: None,
        }
    }

    #[test]
    fn a_run_gives_its_adapter_on_its_own_base_and_template() {
        let tuned = Tuned::of_run(&run(), None).unwrap();
        assert_eq!(tuned.kind, TunedKind::Adapter("/runs/story-2/adapter".into()));
        let origin = tuned.origin.unwrap();
        assert_eq!(origin.model.path, PathBuf::from("/projects/models/tiny"));
        assert_eq!(origin.template, "/projects/templates/mine.jinja");
        assert!(!origin.own_template());
    }

    #[test]
    fn a_checkpoint_keeps_its_adapter_below_it() {
        let run = run();
        let tuned = Tuned::of_run(&run, Some(&run.checkpoints[0].dir)).unwrap();
        assert_eq!(tuned.path().unwrap(), Path::new("/runs/story-2/checkpoints/step-00000100/adapter"));
        assert_eq!(tuned.label.en, "story-2 · step 100");
    }

    #[test]
    fn a_full_fine_tune_is_a_model_and_its_checkpoints_are_not() {
        let mut run = run();
        run.config.method.kind = FULL.into();
        run.result = Some("/runs/story-2/model".into());
        let tuned = Tuned::of_run(&run, None).unwrap();
        assert_eq!(tuned.kind, TunedKind::Model("/runs/story-2/model".into()));
        assert_eq!(Tuned::of_run(&run, Some(&run.checkpoints[0].dir)), None);
        run.result = None;
        assert_eq!(Tuned::of_run(&run, None), None);
        assert_eq!(Tuned::of_run(&run, Some(&run.checkpoints[0].dir)), None);
    }

    #[test]
    fn templates_by_name_or_text_stay_as_they_are() {
        for template in ["auto", "chatml", "{% for m in messages %}{{ m.content }}{% endfor %}", "/a/b.jinja"]
        {
            assert_eq!(absolute_template(template, Path::new("/base")), template);
        }
    }
}
