//! `checkpoints/step-00000100/`: whole folders, verified before use, the old ones removed.

use std::fs;
use std::path::{Path, PathBuf};

use data::space::write_error;
use protocol::{Result, Text, UserError, text};

use super::atomic::{AtomicDir, MARK, remove_leftovers};
use super::manifest::{MANIFEST_NAME, Manifest};

const PREFIX: &str = "step-";

/// The checkpoints of one run. Only the holder of the run's lock may write.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    root: PathBuf,
    /// How many of the newest stay.
    keep: usize,
}

/// The newest checkpoint that is sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovered {
    pub path: PathBuf,
    pub manifest: Manifest,
}

impl CheckpointStore {
    /// `root` is the run's `checkpoints` folder; it need not exist yet. At least one checkpoint is kept.
    pub fn new(root: impl Into<PathBuf>, keep: usize) -> Self {
        Self { root: root.into(), keep: keep.max(1) }
    }

    /// The folder of a step.
    pub fn path_of(&self, step: u64) -> PathBuf {
        self.root.join(format!("{PREFIX}{step:08}"))
    }

    /// Writes the checkpoint of a step: `write` fills a hidden folder, its files are hashed, synced, and the
    /// folder gets its name. A sound checkpoint of the same step is the same state and stays; a damaged one
    /// is replaced. Does not prune.
    ///
    /// # Errors
    /// What `write` returns, or a failing disk. Earlier checkpoints are untouched then, and nothing is left
    /// of this one.
    pub fn save(
        &self,
        step: u64,
        extra: serde_json::Value,
        write: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let path = self.path_of(step);
        if path.exists() {
            if Manifest::verify(&path).is_ok() {
                return Ok(path);
            }
            self.remove(&path)?;
        }
        let folder = AtomicDir::create(&path)?;
        write(folder.path())?;
        let manifest = Manifest::describe(folder.path(), step, extra)?.to_json()?;
        let file = folder.path().join(MANIFEST_NAME);
        fs::write(&file, &manifest).map_err(|err| write_error(&file, manifest.len() as u64, &err))?;
        folder.commit()
    }

    /// Steps that have a folder, sound or not, from the oldest to the newest.
    ///
    /// # Errors
    /// The folder cannot be listed. A folder that does not exist has no checkpoints.
    pub fn list(&self) -> Result<Vec<(u64, PathBuf)>> {
        let mut steps: Vec<(u64, PathBuf)> = self
            .entries()?
            .into_iter()
            .filter_map(|(name, path)| Some((name.strip_prefix(PREFIX)?.parse().ok()?, path)))
            .collect();
        steps.sort();
        Ok(steps)
    }

    /// The newest checkpoint whose files all are as their manifest says, and a notice for every newer one
    /// that is damaged.
    ///
    /// # Errors
    /// The folder cannot be listed, or there are checkpoints and all are damaged.
    pub fn newest_sound(&self) -> Result<(Option<Recovered>, Vec<Text>)> {
        let mut notices = Vec::new();
        let mut damage = Vec::new();
        for (step, path) in self.list()?.into_iter().rev() {
            let verified = Manifest::verify(&path).and_then(|manifest| same_step(&path, step, manifest));
            match verified {
                Ok(manifest) => return Ok((Some(Recovered { path, manifest }), notices)),
                Err(error) => {
                    let shown = path.display();
                    let reason = reason(&error);
                    notices.push(text!(
                        "The checkpoint {shown} is damaged and not used ({reason})",
                        "检查点 {shown} 已损坏，不予使用（{reason}）"
                    ));
                    damage.push(format!("{shown}: {reason}"));
                }
            }
        }
        if damage.is_empty() {
            return Ok((None, notices));
        }
        let what = Text::fixed("All checkpoints are damaged", "所有检查点都已损坏");
        Err(UserError::bad_input(what)
            .in_file(&self.root)
            .details(damage)
            .mend(Text::fixed("start the run again in another folder", "请在另一个文件夹中重新开始训练")))
    }

    /// Removes what killed writes and removals left. Only for the holder of the run's lock.
    ///
    /// # Errors
    /// A leftover cannot be removed.
    pub fn remove_leftovers(&self) -> Result<usize> {
        if self.root.exists() { remove_leftovers(&self.root, &format!(".{PREFIX}")) } else { Ok(0) }
    }

    /// Removes all but the newest checkpoints and that of the step `best`.
    ///
    /// # Errors
    /// A folder cannot be removed.
    pub fn prune(&self, best: Option<u64>) -> Result<()> {
        let steps = self.list()?;
        let old = steps.len().saturating_sub(self.keep);
        for (step, path) in &steps[..old] {
            if Some(*step) != best {
                self.remove(path)?;
            }
        }
        Ok(())
    }

    /// Hides the folder before emptying it, so that a kill in between leaves no half checkpoint.
    fn remove(&self, path: &Path) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let hidden = path.with_file_name(format!(".{name}{MARK}removed-{}", std::process::id()));
        if hidden.exists() {
            fs::remove_dir_all(&hidden).map_err(|err| removing(&hidden, &err))?;
        }
        fs::rename(path, &hidden).map_err(|err| removing(path, &err))?;
        fs::remove_dir_all(&hidden).map_err(|err| removing(&hidden, &err))
    }

    fn entries(&self) -> Result<Vec<(String, PathBuf)>> {
        let listing = |err| UserError::io(Text::fixed("list the folder", "列出文件夹"), &self.root, &err);
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(err) => return Err(listing(err)),
        };
        let entry = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.map_err(listing)?;
            Ok((entry.file_name().to_string_lossy().into_owned(), entry.path()))
        };
        entries.map(entry).collect()
    }
}

/// A folder that was renamed by hand must not pass for another step.
fn same_step(path: &Path, step: u64, manifest: Manifest) -> Result<Manifest> {
    if manifest.step == step {
        return Ok(manifest);
    }
    let found = manifest.step;
    let what = text!("its manifest is of step {found}", "其清单属于第 {found} 步");
    Err(UserError::bad_input(what).in_file(path))
}

/// The first detail says most; the rest is in the error itself.
fn reason(error: &UserError) -> String {
    error.details.first().cloned().unwrap_or_else(|| error.what.to_string())
}

fn removing(path: &Path, err: &std::io::Error) -> UserError {
    UserError::io(Text::fixed("remove the old checkpoint", "删除旧检查点"), path, err)
}
