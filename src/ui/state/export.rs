//! What is written for others.

use std::path::{Path, PathBuf};

use protocol::{
    Event, ExportReport, ExportRequest, ExportTarget, MergeInto, ModelRef, ParamKind, ParamSpec, RequestId,
    RunReport, Text, UserError,
};

use super::tuned::{Tuned, TunedKind};
use super::{AppState, Requested};

/// The target that takes an adapter alone.
pub const ADAPTER: &str = "adapter";
/// The target that writes a whole model.
pub const MERGED: &str = "merged";
/// The target for llama.cpp and Ollama.
pub const GGUF: &str = "gguf";
const GIB: u64 = 1 << 30;

/// What the Export panel wants.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportAction {
    /// Export a run's result, or one of its checkpoints.
    UseRun {
        run: Box<RunReport>,
        checkpoint: Option<PathBuf>,
    },
    /// Export these.
    Use(Box<Tuned>),
    Choose(Box<ExportChoices>),
    Start,
    Stop,
    /// Put the last export's report or error away.
    Dismiss,
}

/// What is chosen besides the source.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportChoices {
    /// Id of a target of the catalog.
    pub target: String,
    /// One of [`dtypes`].
    pub dtype: String,
    pub merge_into: MergeInto,
    pub verify: bool,
    /// The largest file, in GiB.
    pub shard_gib: u64,
    /// Where the new folder goes; None: beside the run.
    pub parent: Option<PathBuf>,
    /// Its name; None: as suggested.
    pub name: Option<String>,
}

impl Default for ExportChoices {
    fn default() -> Self {
        Self {
            target: MERGED.into(),
            dtype: "keep".into(),
            merge_into: MergeInto::Original,
            verify: true,
            shard_gib: 5,
            parent: None,
            name: None,
        }
    }
}

/// What an export would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    pub bytes: u64,
    /// 0: unknown.
    pub free_bytes: u64,
}

impl Forecast {
    pub fn fits(self) -> bool {
        self.free_bytes == 0 || self.bytes <= self.free_bytes
    }
}

#[derive(Debug, Default)]
pub struct ExportState {
    pub source: Option<Tuned>,
    pub choices: ExportChoices,
    pub forecast: Requested<Forecast>,
    /// What the forecast was asked for; the folder's name aside.
    asked: Option<ExportRequest>,
    pub export: Requested<ExportReport>,
    /// What the export under way or the last one was to write.
    pub wanted: Option<ExportRequest>,
    /// The user wants it to stop.
    pub stopping: bool,
    /// It was stopped, and nothing was written.
    pub stopped: bool,
    /// Folders written since the window opened: their names are taken.
    written: Vec<PathBuf>,
}

impl ExportState {
    pub fn is_busy(&self) -> bool {
        self.export.is_pending()
    }

    pub fn reduce(&mut self, event: &Event) {
        if Tuned::follow(&mut self.source, event) {
            self.choices.name = None;
        }
        match event {
            Event::Exported { request, report } if self.export.awaits(*request) => {
                self.written.push(report.dir.clone());
                self.export.answer(*request, report.clone());
                self.stopping = false;
            }
            Event::ExportForecast { request, bytes, free_bytes } => {
                let forecast = Forecast { bytes: *bytes, free_bytes: *free_bytes };
                self.forecast.answer(*request, forecast);
            }
            Event::Progress { .. } => self.export.tell_progress(event),
            Event::Superseded { request } if self.forecast.awaits(*request) => {
                self.forecast.supersede(*request);
                self.asked = None;
            }
            Event::Ready { .. } | Event::Stopped => self.engine_gone(),
            _ => {}
        }
    }

    fn engine_gone(&mut self) {
        if let Some(request) = self.export.request {
            let error = UserError::failure(Text::fixed(
                "The engine ended before the export was done; nothing was written",
                "引擎在导出完成前退出；未写入任何文件",
            ));
            self.export.fail(request, &error);
        }
        self.stopping = false;
        self.asked = None;
        self.forecast.clear();
    }

    /// Whether the failed request was one of these.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        let ours = self.export.awaits(request) || self.forecast.awaits(request);
        if self.export.awaits(request) && self.stopping {
            self.export.clear();
            (self.stopping, self.stopped) = (false, true);
        }
        self.export.fail(request, error);
        self.forecast.fail(request, error);
        ours
    }

    /// An export begins.
    pub fn begin(&mut self, request: RequestId, wanted: ExportRequest) {
        self.export.clear();
        self.export.ask(request);
        self.wanted = Some(wanted);
        (self.stopping, self.stopped) = (false, false);
    }

    pub fn use_source(&mut self, source: Tuned) {
        if !has_adapter(&source) && self.choices.target == ADAPTER {
            self.choices.target = MERGED.into();
        }
        // Other weights are the same source still.
        let same = self.source.as_ref().is_some_and(|before| before.name() == source.name());
        if !same {
            self.choices.name = None;
        }
        self.source = Some(source);
    }

    /// Whether the forecast is one of these settings; asking for them makes it so.
    pub fn is_forecast_of(&mut self, wanted: &ExportRequest) -> bool {
        let mut wanted = wanted.clone();
        wanted.out.pop();
        wanted.verify = false;
        let same = self.asked.as_ref() == Some(&wanted);
        self.asked = Some(wanted);
        same
    }

    fn is_taken(&self, path: &Path) -> bool {
        self.written.iter().any(|written| written == path)
    }
}

/// Whether there is one adapter to write as it is: a whole model has none, and several are not one.
pub fn has_adapter(source: &Tuned) -> bool {
    source.takes_others() && source.mix.is_single()
}

/// The folder that will be made: chosen, or beside the run with a name that says what it is.
pub fn out(state: &AppState) -> Option<PathBuf> {
    let export = &state.export;
    let source = export.source.as_ref()?;
    let choices = &export.choices;
    let parent = choices.parent.clone().or_else(|| beside(state, source))?;
    if let Some(name) = choices.name.as_ref().filter(|name| !name.trim().is_empty()) {
        return Some(parent.join(name.trim()));
    }
    let suggested = parent.join(suggested_name(source, choices));
    let numbered = |n: u32| PathBuf::from(format!("{}-{n}", suggested.display()));
    let names = std::iter::once(suggested.clone()).chain((2..100).map(numbered));
    Some(names.into_iter().find(|name| !export.is_taken(name)).unwrap_or(suggested))
}

fn beside(state: &AppState, source: &Tuned) -> Option<PathBuf> {
    let run = source.run.as_deref().or_else(|| source.path().and_then(Path::parent));
    run.and_then(Path::parent).map(Path::to_path_buf).or_else(|| state.runs.dir.clone())
}

/// `story-2-merged-bf16`
fn suggested_name(source: &Tuned, choices: &ExportChoices) -> String {
    let kept = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' || c == '.' { c } else { '-' };
    let raw: String = source.name().en.chars().take(60).map(kept).collect();
    let mut name = raw.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    name += &format!("-{}", choices.target);
    if choices.target != ADAPTER && choices.dtype != "keep" {
        name += &format!("-{}", choices.dtype);
    }
    name
}

/// Words for how a target can store numbers, the default first; none where it has no choice. A target that says nothing
/// stores them as any model does.
pub fn dtypes(state: &AppState, target: &str) -> Vec<String> {
    if target == ADAPTER {
        return Vec::new();
    }
    let known = state.engine.catalog.targets.iter().find(|known| known.id == target);
    let param = known.and_then(|known| known.params.iter().find(|param| param.key == "dtype"));
    match param.map(|param| &param.kind) {
        Some(ParamKind::Choice { choices, .. }) => choices.clone(),
        _ => ["keep", "bf16", "f16", "f32"].map(String::from).to_vec(),
    }
}

/// What an adapter can be merged into, by the target's descriptor; None where there is no choice, because the adapter
/// was not trained on a quantised model, or is not merged.
pub fn merge_param(state: &AppState) -> Option<&ParamSpec> {
    let source = state.export.source.as_ref()?;
    let quantization = &source.origin(state).model.quantization;
    let quantised = !quantization.is_empty() && quantization != "none";
    let adapter = matches!(source.kind, TunedKind::Adapter(_));
    let target = &state.export.choices.target;
    let known = state.engine.catalog.targets.iter().find(|known| known.id == *target)?;
    known.params.iter().find(|param| param.key == MergeInto::KEY && quantised && adapter)
}

/// The export as it is set; None while nothing is chosen that could be exported.
pub fn request(state: &AppState) -> Option<ExportRequest> {
    let source = state.export.source.as_ref()?;
    let origin = source.origin(state).into_owned();
    if source.kind == TunedKind::Live {
        return None;
    }
    // What is written is merged in any case.
    let model = ModelRef { merged: false, ..source.on(origin.model) };
    let choices = &state.export.choices;
    let adapter = choices.target == ADAPTER;
    Some(ExportRequest {
        model,
        target: ExportTarget(choices.target.clone()),
        dtype: if adapter { "keep".into() } else { choices.dtype.clone() },
        out: out(state)?,
        merge_into: choices.merge_into,
        verify: choices.verify,
        rows: None,
        shard_bytes: choices.shard_gib.clamp(1, 1024).saturating_mul(GIB),
    })
}

#[cfg(test)]
mod tests {
    use protocol::{Outcome, RunEvent};

    use super::*;
    use crate::state::tuned::tests::run;

    fn state() -> AppState {
        let mut state = AppState::default();
        if let Some(source) = Tuned::of_run(&run(), None) {
            state.export.use_source(source);
        }
        state
    }

    fn report(dir: &Path) -> ExportReport {
        let files = vec!["model.safetensors".into()];
        ExportReport {
            dir: dir.into(),
            files,
            bytes: 7,
            seconds: 1.0,
            verify: None,
            merge: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn the_new_folder_lies_beside_the_run_and_says_what_it_is() {
        let mut state = state();
        let wanted = request(&state).unwrap();
        assert_eq!(wanted.out, Path::new("/runs/story-2-merged"));
        assert_eq!(wanted.model.path, Path::new("/projects/models/tiny"));
        assert_eq!(wanted.model.adapters, [PathBuf::from("/runs/story-2/adapter")]);
        state.export.choices.dtype = "bf16".into();
        assert_eq!(out(&state).unwrap(), Path::new("/runs/story-2-merged-bf16"));
        state.export.choices.target = ADAPTER.into();
        assert_eq!(out(&state).unwrap(), Path::new("/runs/story-2-adapter"));
        assert_eq!(request(&state).unwrap().dtype, "keep");
        state.export.choices.name = Some(" mine ".into());
        state.export.choices.parent = Some("/out".into());
        assert_eq!(out(&state).unwrap(), Path::new("/out/mine"));
    }

    #[test]
    fn a_name_that_was_written_is_taken() {
        let mut state = state();
        let wanted = request(&state).unwrap();
        state.export.begin(RequestId(4), wanted.clone());
        assert!(state.export.is_busy());
        state.export.reduce(&Event::Exported { request: RequestId(4), report: report(&wanted.out) });
        assert!(!state.export.is_busy());
        assert_eq!(out(&state).unwrap(), Path::new("/runs/story-2-merged-2"));
    }

    #[test]
    fn a_whole_model_has_no_adapter_to_export() {
        let mut state = state();
        state.export.choices.target = ADAPTER.into();
        let mut whole = run();
        whole.result = Some("/runs/story-2/model".into());
        state.export.use_source(Tuned::of_run(&whole, None).unwrap());
        let wanted = request(&state).unwrap();
        assert_eq!(wanted.target.0, MERGED);
        assert_eq!(wanted.model.path, Path::new("/runs/story-2/model"));
        assert!(wanted.model.adapters.is_empty());
    }

    #[test]
    fn stopping_is_no_error_and_failing_is_one() {
        let error = UserError::failure(Text::fixed("no", "no"));
        let mut state = state();
        let wanted = request(&state).unwrap();
        state.export.begin(RequestId(4), wanted.clone());
        state.export.stopping = true;
        assert!(state.export.fail(RequestId(4), &error));
        assert!(state.export.stopped && state.export.export.error.is_none());
        state.export.begin(RequestId(5), wanted);
        assert!(!state.export.stopped);
        assert!(state.export.fail(RequestId(5), &error));
        assert_eq!(state.export.export.error, Some(error));
    }

    #[test]
    fn a_run_that_ends_is_what_is_exported() {
        let mut state = AppState::default();
        let outcome = Outcome::Finished {
            reason: protocol::StopReason::Completed,
            step: 9,
            result: "/runs/story-2/adapter".into(),
            eval_loss: None,
            seconds: 1.0,
            peak_bytes: 0,
        };
        let (request_id, run_id) = (RequestId(1), protocol::RunId("story-2".into()));
        let update = RunEvent::Ended { outcome };
        state.reduce(&Event::Run { request: request_id, run: run_id, update });
        assert_eq!(state.export.source, state.chat.tuned);
        assert!(state.export.source.as_ref().unwrap().origin.is_none());
        let listed = Event::Runs { request: RequestId(2), dir: "/runs".into(), runs: vec![run()] };
        state.reduce(&listed);
        let source = state.export.source.clone().unwrap();
        assert_eq!(source.origin.unwrap().model.path, Path::new("/projects/models/tiny"));
    }

    #[test]
    fn the_forecast_is_asked_again_when_it_would_change() {
        let mut state = state();
        let mut wanted = request(&state).unwrap();
        assert!(!state.export.is_forecast_of(&wanted));
        wanted.out = "/runs/another-name".into();
        wanted.verify = false;
        assert!(state.export.is_forecast_of(&wanted));
        wanted.dtype = "f32".into();
        assert!(!state.export.is_forecast_of(&wanted));
        assert!(Forecast { bytes: 5, free_bytes: 0 }.fits());
        assert!(!Forecast { bytes: 5, free_bytes: 4 }.fits());
    }
}
