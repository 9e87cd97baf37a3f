//! What the window asks of the desktop: dialogs, notifications, files. Each is done off the window's thread.

use std::path::PathBuf;
use std::sync::Arc;

use protocol::UserError;

/// What a chosen path is for; comes back with the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    Model,
    TrainFiles,
    ValidationFiles,
    TemplateFile,
    OpenProject,
    SaveProject,
    AdapterFolder,
    ExportFolder,
    /// In which a run for other machines is written.
    HandoffFolder,
    SaveRecipe,
    ImportRun,
    /// The adapter that training starts from.
    InitFrom,
    /// A list of new tokens, texts to learn them from, and a tokenizer that has them already.
    VocabularyFile,
    VocabularyTexts,
    VocabularyFolder,
    /// Whose rows are answered, the file of the answers, and the adapter that answers.
    PredictInput,
    PredictOutput,
    PredictAdapter,
    /// Questions, the adapter that is asked, and a table of evaluations.
    EvaluationFolder,
    EvaluationFile,
    EvaluationAdapter,
    EvaluationTable,
    /// Sets that the training rows are compared with, and the rows that are kept.
    AnalysisSets,
    FilteredFile,
    /// The adapter that tokens are judged by.
    HeatAdapter,
    ConvertedFile,
    /// An adapter that joins the one in Chat.
    JoinFolder,
    /// Where runs are kept.
    RunsFolder,
    /// A table of figures (CSV) or a picture (PNG) that the panel holds ready.
    SaveFigures,
    SavePicture,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DesktopRequest {
    PickFolder {
        purpose: Purpose,
        start: Option<PathBuf>,
    },
    /// `extensions` without dots; empty: any file.
    PickFiles {
        purpose: Purpose,
        extensions: Vec<String>,
        many: bool,
    },
    PickSave {
        purpose: Purpose,
        suggested: String,
    },
    /// Shows a folder in the file manager, or a page in the browser.
    Open(String),
    Notify {
        title: String,
        body: String,
    },
    /// No sleep while training.
    KeepAwake(bool),
    WriteText {
        path: PathBuf,
        text: String,
    },
    /// RGBA, 8 bits, row by row.
    WritePng {
        path: PathBuf,
        width: usize,
        height: usize,
        rgba: Arc<[u8]>,
    },
    /// Which of these paths are folders and which are files: for things dropped on the window.
    Classify(Vec<PathBuf>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum DesktopEvent {
    /// Empty when the dialog was dismissed.
    Picked {
        purpose: Purpose,
        paths: Vec<PathBuf>,
    },
    Written(PathBuf),
    Classified(Vec<DroppedPath>),
    /// The starter project lies ready.
    Starter {
        project: PathBuf,
        project_zh: PathBuf,
    },
    Failed(Box<UserError>),
}

/// A path that was dropped on the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedPath {
    pub path: PathBuf,
    pub kind: DroppedKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DroppedKind {
    /// A folder with config.json.
    ModelFolder,
    /// A folder with adapter_config.json.
    AdapterFolder,
    RunFolder,
    /// A run file (toml).
    Project,
    /// csv, tsv, json, jsonl or txt.
    Data,
    Template,
    Other,
}

pub trait Desktop {
    fn request(&mut self, request: DesktopRequest);

    /// Appends the answers that have come.
    fn drain(&mut self, events: &mut Vec<DesktopEvent>);
}
