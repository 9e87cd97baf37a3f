//! Requests of the Runs panel.

use std::path::{Path, PathBuf};

use protocol::{Command, RunReport, Text};

use super::Apply;
use crate::action::Action;
use crate::desktop::Purpose;
use crate::persisted::SavedProject;
use crate::state::project::Project;
use crate::state::question::{Choice, Question};
use crate::state::runs::{MOST_COMPARED, Recorded, RunsAction};
use crate::state::toasts::Level;
use crate::widgets::number;

impl Apply<'_> {
    pub(super) fn runs(&mut self, action: RunsAction) {
        match action {
            RunsAction::Refresh => self.list_runs(),
            RunsAction::Compare(dir) => self.compare(dir),
            RunsAction::Uncompare(dir) => {
                self.state.runs.compared.retain(|known| *known != dir);
                self.state.runs.recorded.remove(&dir);
            }
            RunsAction::Import(dir) => self.runs_import(dir),
            RunsAction::BringBack(run) => self.bring_back(&run),
            RunsAction::Delete(run) => self.state.question = Some(delete_question(&run)),
            RunsAction::DeleteNow(dir) => {
                let request = self.state.next_request();
                self.state.runs.deleting.insert(request, dir.clone());
                self.engine.send(Command::DeleteRun { request, dir });
            }
            RunsAction::Duplicate(run) if self.state.project.is_changed() => {
                self.state.question = Some(duplicate_question(run));
            }
            RunsAction::Duplicate(run) | RunsAction::DuplicateNow(run) => self.duplicate(*run),
        }
    }

    /// Reads the list of runs.
    pub(crate) fn list_runs(&mut self) {
        let request = self.state.next_request();
        let dir = self.state.runs_dir();
        self.state.runs.list.ask(request);
        self.engine.send(Command::ListRuns { request, dir });
    }

    fn compare(&mut self, dir: PathBuf) {
        let runs = &mut self.state.runs;
        if runs.compared.contains(&dir) {
            return;
        }
        if runs.compared.len() >= MOST_COMPARED {
            let text = protocol::text!(
                "At most {MOST_COMPARED} runs can be compared at once",
                "最多同时比较 {MOST_COMPARED} 次训练"
            );
            return self.toast(Level::Info, text);
        }
        runs.compared.push(dir.clone());
        runs.recorded.insert(dir.clone(), Recorded::default());
        self.read_run(dir);
    }

    pub(super) fn read_run(&mut self, dir: PathBuf) {
        let request = self.state.next_request();
        self.state.runs.reading.insert(request, dir.clone());
        self.engine.send(Command::ReadRun { request, dir });
    }

    /// A run folder from elsewhere was chosen.
    pub(super) fn runs_import(&mut self, folder: PathBuf) {
        if self.state.runs.find(&folder).is_some() || self.state.runs.imported.contains(&folder) {
            return;
        }
        self.state.runs.imported.push(folder.clone());
        self.read_run(folder);
    }

    fn duplicate(&mut self, run: RunReport) {
        let RunReport { name, config, base, .. } = run;
        let saved = SavedProject { path: None, name, base, saved: (*config).clone(), config: *config };
        self.state.project = Project::restored(saved);
        let name = self.state.project.name.clone();
        self.toast(
            Level::Success,
            protocol::text!("The settings of {name} are the project now", "已将 {name} 的设置作为当前项目"),
        );
        self.workspace.open(&crate::panels::method::PANEL.panel_id());
    }

    /// A file was chosen for figures or a picture that wait to be written.
    pub(super) fn runs_save_picked(&mut self, purpose: Purpose, path: PathBuf) {
        match purpose {
            Purpose::SavePicture => self.picture_picked(path),
            _ => self.figures_picked(&path),
        }
    }
}

fn delete_question(run: &RunReport) -> Question {
    let name = run.name.clone();
    let size = number::bytes(run.bytes);
    let place = shown(&run.dir);
    let checkpoints = run.checkpoints.len();
    Question {
        title: protocol::text!("Delete {name}?", "删除 {name}？"),
        body: protocol::text!(
            "The folder {place} with its figures, {checkpoints} checkpoints and its result ({size}) is removed from the disk. This cannot be undone.",
            "将从磁盘删除文件夹 {place}，包括训练记录、{checkpoints} 个检查点和结果（{size}）。此操作无法撤销。"
        ),
        choices: vec![Choice {
            label: protocol::text!("Delete {name}", "删除 {name}"),
            danger: true,
            then: vec![Action::Runs(RunsAction::DeleteNow(run.dir.clone()))],
        }],
    }
}

fn duplicate_question(run: Box<RunReport>) -> Question {
    let name = run.name.clone();
    Question {
        title: Text::fixed("The project has changes that are not saved", "当前项目有未保存的更改"),
        body: protocol::text!("The settings of {name} take their place.", "这些更改将被 {name} 的设置取代。"),
        choices: vec![
            Choice {
                label: Text::fixed("Save the project first", "先保存项目"),
                danger: false,
                then: vec![Action::Command(crate::command::UiCommand::SaveProject)],
            },
            Choice {
                label: Text::fixed("Drop the changes", "放弃更改"),
                danger: true,
                then: vec![Action::Runs(RunsAction::DuplicateNow(run))],
            },
        ],
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
