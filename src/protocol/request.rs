//! Which request a message belongs to.

use crate::{Command, Event, RequestId, RunCommand};

impl Command {
    /// The request's name, to be read or changed; `Shutdown` has none.
    pub fn request_mut(&mut self) -> Option<&mut RequestId> {
        match self {
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
            | Self::ListRuns { request, .. }
            | Self::ReadRun { request, .. }
            | Self::DeleteRun { request, .. }
            | Self::ReadProject { request, .. }
            | Self::WriteProject { request, .. } => Some(request),
            Self::Shutdown => None,
        }
    }
}

impl Event {
    /// The request this answers, to be read or changed; none for what concerns everybody.
    pub fn request_mut(&mut self) -> Option<&mut RequestId> {
        match self {
            Self::Ready { .. } | Self::Device { .. } | Self::Stopped => None,
            Self::Failed { request, .. } => request.as_mut(),
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
            | Self::Runs { request, .. }
            | Self::RunRead { request, .. }
            | Self::Deleted { request, .. }
            | Self::ProjectRead { request, .. }
            | Self::ProjectWritten { request, .. }
            | Self::Superseded { request } => Some(request),
        }
    }
}
