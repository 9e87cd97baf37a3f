//! Which request a message belongs to, who works on it, and when it is over.

use crate::{Command, Event, HubEvent, RequestId, RunCommand, RunEvent};

/// The engine's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thread {
    /// The model and the device.
    Work,
    /// Rows, verdicts, forecasts.
    Data,
    /// Passes over all rows that may take minutes, which no look at rows waits for.
    Passes,
    /// Run folders and run files: short, and never behind a long check.
    Files,
    /// The network.
    Hub,
}

/// The request of a command behind a reference of either kind.
macro_rules! request_of_command {
    ($command:expr) => {
        match $command {
            Self::Inspect { request, .. }
            | Self::Preview { request, .. }
            | Self::Find { request, .. }
            | Self::Estimate { request, .. }
            | Self::Check { request, .. }
            | Self::Run(RunCommand::Start { request, .. } | RunCommand::Resume { request, .. })
            | Self::Score { request, .. }
            | Self::Generate { request, .. }
            | Self::Export { request, .. }
            | Self::ForecastExport { request, .. }
            | Self::RenderPrompt { request, .. }
            | Self::ExtendVocabulary { request, .. }
            | Self::Bench { request, .. }
            | Self::PlanPredict { request, .. }
            | Self::Predict { request, .. }
            | Self::Evaluate { request, .. }
            | Self::ListEvaluations { request, .. }
            | Self::WriteEvaluations { request, .. }
            | Self::Analyze { request, .. }
            | Self::ScoreRow { request, .. }
            | Self::PreviewConversion { request, .. }
            | Self::Convert { request, .. }
            | Self::ListRuns { request, .. }
            | Self::ReadRun { request, .. }
            | Self::DeleteRun { request, .. }
            | Self::ReadProject { request, .. }
            | Self::ListFolder { request, .. }
            | Self::WriteProject { request, .. }
            | Self::HandOff { request, .. }
            | Self::ImportRun { request, .. }
            | Self::Hub { request, .. } => Some(request),
            Self::Shutdown => None,
        }
    };
}

/// The same of an event; `$as` makes an option of references.
macro_rules! request_of_event {
    ($event:expr, $as:ident) => {
        match $event {
            Self::Ready { .. } | Self::Device { .. } | Self::Stopped => None,
            Self::Failed { request, .. } => request.$as(),
            Self::Progress { request, .. }
            | Self::Inspected { request, .. }
            | Self::Preview { request, .. }
            | Self::Found { request, .. }
            | Self::Estimated { request, .. }
            | Self::Checking { request, .. }
            | Self::Checked { request, .. }
            | Self::Run { request, .. }
            | Self::Scored { request, .. }
            | Self::Delta { request, .. }
            | Self::Generated { request, .. }
            | Self::Exported { request, .. }
            | Self::ExportForecast { request, .. }
            | Self::Rendered { request, .. }
            | Self::VocabularyExtended { request, .. }
            | Self::Benched { request, .. }
            | Self::PredictPlanned { request, .. }
            | Self::Predicted { request, .. }
            | Self::PredictionEnded { request, .. }
            | Self::Evaluating { request, .. }
            | Self::Evaluated { request, .. }
            | Self::Evaluations { request, .. }
            | Self::EvaluationsWritten { request, .. }
            | Self::Analyzed { request, .. }
            | Self::RowScored { request, .. }
            | Self::Conversion { request, .. }
            | Self::Converted { request, .. }
            | Self::Runs { request, .. }
            | Self::RunRead { request, .. }
            | Self::Deleted { request, .. }
            | Self::ProjectRead { request, .. }
            | Self::ProjectWritten { request, .. }
            | Self::Folder { request, .. }
            | Self::HandedOff { request, .. }
            | Self::RunImported { request, .. }
            | Self::Hub { request, .. }
            | Self::Superseded { request } => Some(request),
        }
    };
}

impl Command {
    /// The request's name; `Shutdown` has none.
    pub fn request(&self) -> Option<RequestId> {
        request_of_command!(self).copied()
    }

    /// The same, to be changed.
    pub fn request_mut(&mut self) -> Option<&mut RequestId> {
        request_of_command!(self)
    }

    /// Who works on it. `Shutdown` ends all threads.
    pub fn thread(&self) -> Thread {
        match self {
            Self::Preview { .. }
            | Self::Find { .. }
            | Self::Check { .. }
            | Self::Estimate { .. }
            | Self::Inspect { .. }
            | Self::ForecastExport { .. }
            | Self::PlanPredict { .. }
            | Self::PreviewConversion { .. }
            | Self::RenderPrompt { .. } => Thread::Data,
            Self::ExtendVocabulary { .. } | Self::Convert { .. } => Thread::Passes,
            Self::Analyze { analysis, .. } if !analysis.checks.ask_the_model() => Thread::Passes,
            Self::ListRuns { .. }
            | Self::ReadRun { .. }
            | Self::DeleteRun { .. }
            | Self::ListEvaluations { .. }
            | Self::WriteEvaluations { .. }
            | Self::ReadProject { .. }
            | Self::ListFolder { .. }
            | Self::WriteProject { .. } => Thread::Files,
            Self::Hub { .. } => Thread::Hub,
            Self::Run(_)
            | Self::Score { .. }
            | Self::Generate { .. }
            | Self::Export { .. }
            | Self::Predict { .. }
            | Self::Evaluate { .. }
            | Self::Analyze { .. }
            | Self::ScoreRow { .. }
            | Self::Bench { .. }
            | Self::HandOff { .. }
            | Self::ImportRun { .. }
            | Self::Shutdown => Thread::Work,
        }
    }
}

impl Event {
    /// The request this answers; none for what concerns everybody.
    pub fn request(&self) -> Option<RequestId> {
        request_of_event!(self, as_ref).copied()
    }

    /// The same, to be changed.
    pub fn request_mut(&mut self) -> Option<&mut RequestId> {
        request_of_event!(self, as_mut)
    }

    /// Whether its request is over with it. A preview may come once more, with the total.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Ready { .. }
            | Self::Device { .. }
            | Self::Stopped
            | Self::Progress { .. }
            | Self::Checking { .. }
            | Self::Delta { .. }
            | Self::Predicted { .. }
            | Self::Evaluating { .. } => false,
            Self::Run { update, .. } => matches!(update, RunEvent::Ended { .. }),
            Self::RunRead { report, .. } => report.is_some(),
            Self::Hub { update, .. } => !matches!(update, HubEvent::Waiting { .. }),
            Self::Failed { request, .. } => request.is_some(),
            Self::Inspected { .. }
            | Self::Preview { .. }
            | Self::Found { .. }
            | Self::Estimated { .. }
            | Self::Checked { .. }
            | Self::Scored { .. }
            | Self::Generated { .. }
            | Self::Exported { .. }
            | Self::ExportForecast { .. }
            | Self::Rendered { .. }
            | Self::VocabularyExtended { .. }
            | Self::Benched { .. }
            | Self::PredictPlanned { .. }
            | Self::PredictionEnded { .. }
            | Self::Evaluated { .. }
            | Self::Evaluations { .. }
            | Self::EvaluationsWritten { .. }
            | Self::Analyzed { .. }
            | Self::RowScored { .. }
            | Self::Conversion { .. }
            | Self::Converted { .. }
            | Self::Runs { .. }
            | Self::Deleted { .. }
            | Self::ProjectRead { .. }
            | Self::ProjectWritten { .. }
            | Self::Folder { .. }
            | Self::HandedOff { .. }
            | Self::RunImported { .. }
            | Self::Superseded { .. } => true,
        }
    }
}
