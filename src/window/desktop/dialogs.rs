//! File dialogs of the system, one at a time.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use protocol::{Text, UserError};
use rfd::FileDialog;
use ui::{DesktopEvent, DesktopRequest, Purpose};

use super::Answers;

/// Nobody dismisses a dialog that fast: there was none.
const FASTEST: Duration = Duration::from_millis(150);

pub struct Dialogs {
    answers: Answers,
    open: Arc<AtomicBool>,
}

impl Dialogs {
    pub fn new(answers: Answers) -> Self {
        Self { answers, open: Arc::default() }
    }

    /// Shows a dialog in a thread of its own. While one is open a second one is dismissed unseen.
    pub fn open(&self, request: DesktopRequest) {
        let (DesktopRequest::PickFolder { purpose, .. }
        | DesktopRequest::PickFiles { purpose, .. }
        | DesktopRequest::PickSave { purpose, .. }) = &request
        else {
            return;
        };
        let purpose = purpose.clone();
        if self.open.swap(true, Ordering::AcqRel) {
            return self.answers.tell(DesktopEvent::Picked { purpose, paths: Vec::new() });
        }
        let (answers, open) = (self.answers.clone(), self.open.clone());
        self.answers.spawn("dialog", move || {
            let began = Instant::now();
            let picked = show(request);
            open.store(false, Ordering::Release);
            if picked.is_none() && cfg!(target_os = "linux") && began.elapsed() < FASTEST {
                answers.failed(no_dialog());
            }
            answers.tell(DesktopEvent::Picked { purpose, paths: picked.unwrap_or_default() });
        });
    }
}

fn show(request: DesktopRequest) -> Option<Vec<PathBuf>> {
    let one = |path: PathBuf| vec![path];
    match request {
        DesktopRequest::PickFolder { start, .. } => {
            let dialog = FileDialog::new();
            let start = start.filter(|start| start.is_dir());
            match start {
                Some(start) => dialog.set_directory(start),
                None => dialog,
            }
            .pick_folder()
            .map(one)
        }
        DesktopRequest::PickFiles { purpose, extensions, many } => {
            let mut dialog = FileDialog::new();
            if !extensions.is_empty() {
                let name =
                    extensions.iter().map(|extension| format!("*.{extension}")).collect::<Vec<_>>().join(" ");
                dialog = dialog.add_filter(name, &extensions);
            }
            tracing::debug!("a dialog for {purpose:?}");
            if many { dialog.pick_files() } else { dialog.pick_file().map(one) }
        }
        DesktopRequest::PickSave { purpose, suggested } => {
            let picked = FileDialog::new().set_file_name(&suggested).save_file()?;
            Some(one(with_extension(picked, &purpose, &suggested)))
        }
        _ => None,
    }
}

/// Dialogs of some systems leave the suggested extension away when the user types another name.
fn with_extension(picked: PathBuf, purpose: &Purpose, suggested: &str) -> PathBuf {
    let Some((_, extension)) = suggested.rsplit_once('.') else { return picked };
    let files = matches!(
        purpose,
        Purpose::SaveProject
            | Purpose::SaveRecipe
            | Purpose::SaveFigures
            | Purpose::SavePicture
            | Purpose::PredictOutput
            | Purpose::EvaluationTable
            | Purpose::FilteredFile
            | Purpose::ConvertedFile
    );
    if files && picked.extension().is_none() { picked.with_extension(extension) } else { picked }
}

fn no_dialog() -> UserError {
    UserError::failure(Text::fixed("The system showed no file dialog", "系统未能显示文件对话框")).mend(
        Text::fixed(
            "type or drop the path instead; file dialogs need xdg-desktop-portal or zenity",
            "请直接输入或拖入路径；文件对话框需要 xdg-desktop-portal 或 zenity",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_extension_gets_the_suggested_one() {
        let saved = |name: &str| with_extension(name.into(), &Purpose::SaveFigures, "loss.csv");
        assert_eq!(saved("/a/b"), PathBuf::from("/a/b.csv"));
        assert_eq!(saved("/a/b.txt"), PathBuf::from("/a/b.txt"));
        let folder = with_extension("/a/b".into(), &Purpose::ExportFolder, "model.v2");
        assert_eq!(folder, PathBuf::from("/a/b"));
    }
}
