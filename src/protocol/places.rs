//! Where a command looks for models and rows: each such path may name a repository of a hub instead of a folder.

use std::path::PathBuf;

use crate::{Command, ModelRef, RepoKind, RunCommand};

impl Command {
    /// Changes every path where a model, an adapter or rows are looked for.
    pub fn change_places(&mut self, change: &impl Fn(RepoKind, &mut PathBuf)) {
        match self {
            Self::Inspect { model, .. } | Self::RenderPrompt { model, .. } => model.change_places(change),
            Self::Preview { config, .. }
            | Self::Find { config, .. }
            | Self::Estimate { config, .. }
            | Self::Check { config, .. }
            | Self::WriteProject { config, .. }
            | Self::Run(RunCommand::Start { config, .. }) => config.change_places(change),
            Self::ScoreRow { config, model, .. } => {
                config.change_places(change);
                model.change_places(change);
            }
            Self::Score { score, .. } => score.model.change_places(change),
            Self::Generate { generate, .. } => generate.model.change_places(change),
            Self::Export { export, .. } | Self::ForecastExport { export, .. } => {
                export.model.change_places(change);
            }
            Self::ExtendVocabulary { model, .. } => change(RepoKind::Model, model),
            Self::Bench { bench, .. } => {
                bench.model.iter_mut().for_each(|model| model.change_places(change));
            }
            Self::PlanPredict { predict, .. } | Self::Predict { predict, .. } => {
                predict.model.change_places(change);
            }
            Self::Evaluate { evaluate, .. } => {
                evaluate.model.change_places(change);
                change(RepoKind::Dataset, &mut evaluate.data);
            }
            Self::Analyze { analysis, .. } => {
                analysis.config.change_places(change);
                analysis.checks.contamination.iter_mut().for_each(|set| change(RepoKind::Dataset, set));
            }
            Self::PreviewConversion { convert, .. } | Self::Convert { convert, .. } => {
                convert.config.change_places(change);
            }
            Self::HandOff { handoff, .. } => handoff.config.change_places(change),
            Self::ImportRun { model, .. } => {
                model.iter_mut().for_each(|model| change(RepoKind::Model, model));
            }
            Self::Run(RunCommand::Resume { .. })
            | Self::ListEvaluations { .. }
            | Self::WriteEvaluations { .. }
            | Self::ListRuns { .. }
            | Self::ReadRun { .. }
            | Self::DeleteRun { .. }
            | Self::ReadProject { .. }
            | Self::ListFolder { .. }
            | Self::Hub { .. }
            | Self::Shutdown => {}
        }
    }
}

impl ModelRef {
    fn change_places(&mut self, change: &impl Fn(RepoKind, &mut PathBuf)) {
        change(RepoKind::Model, &mut self.path);
        self.adapters.iter_mut().for_each(|adapter| change(RepoKind::Model, adapter));
    }
}
