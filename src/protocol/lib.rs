//! What the window, the command line and the worker say to each other.
//!
//! Everything here is plain data: serde, `Send + 'static`, no tensor, no widget, no file handle. A
//! client sends [`Command`]s, the worker answers with [`Event`]s, and [`Control`] carries the three
//! wishes that must be heard inside a step (stop, pause, save now).

mod analysis;
mod catalog;
mod command;
pub mod config;
mod control;
mod conversion;
mod dataset;
mod device;
mod error;
mod estimate;
mod event;
mod folder;
mod handoff;
mod hub;
mod ids;
mod metrics;
mod model;
pub mod number;
mod places;
mod predict;
mod request;
mod run;
mod secret;
mod suite;
mod text;

pub use analysis::{
    Analysis, AnalysisChecks, AnalysisRequest, FilterReport, FilterRequest, Frequent, IfdPrompt, IfdReport,
    IfdScore, LanguageShare, NearDuplicates, Overlap, RoleLengths, TokenLosses,
};
pub use catalog::{Catalog, Descriptor, ParamKind, ParamSpec, Preset};
pub use command::{
    BenchRequest, BenchShape, ChatMessage, Command, ExportRequest, ExportTarget, GenerateRequest, MergeInto,
    ModelRef, Prompt, RunCommand, Sampling, ScoreRequest,
};
pub use config::RunConfig;
pub use control::{Control, Wish};
pub use conversion::{ConvertReport, ConvertRequest, ConvertedRow};
pub use dataset::{
    Finding, FindingKind, Histogram, Padding, PreviewRow, PreviewSource, Severity, SourceReport, TokenRole,
    Verdict,
};
pub use device::DeviceStats;
pub use error::{ErrorKind, Place, Remedy, Result, UserError};
pub use estimate::{Estimate, TargetReport};
pub use event::{
    BenchReport, DeviceKind, DeviceReport, Event, ExportReport, GenerateStats, LogitDifference, MergeReport,
    Outcome, RunEvent, RunSummary, StopReason, Unit, VerifyReport,
};
pub use folder::{EntryKind, FolderEntry, FolderPlace, FolderReport};
pub use handoff::{HandoffReport, HandoffRequest, ImportReport, Launch, RunOrigin};
pub use hub::{
    DownloadReport, FileHash, HubAccount, HubCommand, HubEvent, HubFile, HubSettings, PushFile, PushPlan,
    PushReport, PushRequest, PushState, RepoCard, RepoHit, RepoKind, RepoRef, Support, TokenPlace,
};
pub use ids::{RequestId, RunId};
pub use metrics::{
    DeviceForecast, EvalMetrics, MemoryForecast, MetricsLine, Phases, SampleMetrics, StepMetrics,
};
pub use model::{LinearReport, ModelReport};
pub use predict::{
    Confusion, OutputColumn, PredictPlan, PredictPrompt, PredictReport, PredictRequest, PredictedRow, Score,
};
pub use request::Thread;
pub use run::{CheckpointReport, RunMemory, RunReport, RunState};
pub use secret::Secret;
pub use suite::{Measured, SuiteLevel, SuiteMetric, SuiteReport, SuiteRequest, SuiteRow};
pub use text::{Language, Text};
