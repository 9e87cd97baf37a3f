//! `compare ARMS.toml`: the same task by several methods, one after the other, and a table of what each of them
//! reached and cost.

mod arms;
mod child;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use protocol::{Event, Outcome, Result, RunEvent, UserError, text};
use serde::{Deserialize, Serialize};

use self::arms::Arm;
use super::client::{Client, View};
use super::flags::absolute;
use super::screen::Screen;
use super::train_view::Progress;
use super::{folders, format};

/// What is known of the arms so far, in the comparison's folder.
const RESULTS: &str = "compare.json";

#[derive(Debug, Args)]
pub struct Flags {
    /// Comparison: a run file and what each arm changes in it
    #[arg(value_name = "ARMS.toml")]
    pub arms: PathBuf,
    /// Folder of the runs and the results; arms that ended there are not run again (default: named after the file,
    /// among your runs)
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What one arm reached and cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Measured {
    name: String,
    /// The run file it was measured with.
    source: String,
    trained: u64,
    /// Bytes of what came out.
    bytes: u64,
    /// Largest memory of the process or device at any step.
    memory: u64,
    seconds: f64,
    /// Mean cross-entropy on the validation rows at the end.
    loss: Option<f64>,
    /// Why there is nothing, where the arm failed.
    error: Option<String>,
}

pub fn run(flags: Flags, client: &Client, screen: &mut Screen) -> Result<u8> {
    let arms = arms::load(&flags.arms)?;
    let out = match flags.out {
        Some(out) => absolute(&out)?,
        None => {
            let name = flags.arms.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            absolute(&folders::runs().join(name.unwrap_or_else(|| "compare".into())))?
        }
    };
    std::fs::create_dir_all(&out)
        .map_err(|err| UserError::io(protocol::Text::fixed("make the folder", "创建文件夹"), &out, &err))?;
    let mut known = read(&out);
    let mut measured = Vec::new();
    for (index, arm) in arms.iter().enumerate() {
        let (number, total, name) = (index + 1, arms.len(), &arm.name);
        screen.tell(&text!("[{number}/{total}] {name}", "[{number}/{total}] {name}"));
        let earlier = known.iter().find(|it| it.source == arm.source && it.error.is_none()).cloned();
        let one = match earlier {
            Some(earlier) => Measured { name: arm.name.clone(), ..earlier },
            None => measure(arm, &out, client.device(), screen)?,
        };
        known.retain(|it| it.source != one.source);
        known.push(one.clone());
        write(&out, &known)?;
        measured.push(one);
    }
    show(&measured, screen);
    Ok(u8::from(measured.iter().any(|it| it.error.is_some())))
}

/// What a comparison that was broken off has measured; a file that cannot be read is measured anew.
fn read(out: &Path) -> Vec<Measured> {
    let bytes = std::fs::read(out.join(RESULTS)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn write(out: &Path, measured: &[Measured]) -> Result<()> {
    let json = serde_json::to_vec_pretty(measured)
        .map_err(|err| UserError::failure(protocol::Text::new(err.to_string(), err.to_string())))?;
    engine::files::AtomicFile::write(&out.join(RESULTS), &json)
}

/// One arm. Only what concerns all arms is an error here: an arm that fails is a line of the table.
fn measure(arm: &Arm, out: &Path, device: &str, screen: &mut Screen) -> Result<Measured> {
    let dir = out.join(&arm.folder);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(|err| {
            UserError::io(
                protocol::Text::fixed("remove what is left of an arm", "删除残留的运行"),
                &dir,
                &err,
            )
        })?;
    }
    let mut watch = Watch { progress: Progress::among_others(), measured: Measured::default() };
    let ended = child::run(arm, &dir, device, &mut watch, screen);
    let mut measured = watch.measured;
    (measured.name, measured.source) = (arm.name.clone(), arm.source.clone());
    if let Err(err) = ended {
        screen.say(&err.to_string());
        measured.error = Some(err.to_string());
    }
    Ok(measured)
}

/// A run's events, drawn and counted.
struct Watch {
    progress: Progress,
    measured: Measured,
}

impl View for Watch {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        self.count(event);
        self.progress.draw(event, screen);
    }

    fn print(&mut self, event: &Event, screen: &mut Screen) {
        self.count(event);
        screen.json(event);
    }

    fn outlives_stdout(&self) -> bool {
        true
    }
}

impl Watch {
    fn count(&mut self, event: &Event) {
        let Event::Run { update, .. } = event else { return };
        let measured = &mut self.measured;
        match update {
            RunEvent::Planned { summary, .. } => measured.trained = summary.trainable_parameters,
            RunEvent::Stepped { steps, .. } => {
                let largest = steps.iter().map(|step| step.mem_bytes).max().unwrap_or(0);
                measured.memory = measured.memory.max(largest);
            }
            RunEvent::Ended { outcome: Outcome::Finished { result, eval_loss, seconds, .. } } => {
                measured.bytes = size_of(result);
                measured.loss = *eval_loss;
                measured.seconds = *seconds;
            }
            _ => {}
        }
    }
}

/// Bytes of the files of a folder, those of its folders left out.
fn size_of(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).filter(std::fs::Metadata::is_file).map(|it| it.len()).sum()
}

/// A table in Markdown: readable as it stands, and ready for a document.
fn show(measured: &[Measured], screen: &mut Screen) {
    if screen.is_json() {
        measured.iter().for_each(|one| screen.json(one));
        return;
    }
    let head = text!(
        "| method | trained | size | memory | time | validation loss |",
        "| 方法 | 训练参数 | 大小 | 内存 | 用时 | 验证损失 |"
    );
    let head = screen.pick(&head);
    screen.line(&head);
    screen.line("|---|--:|--:|--:|--:|--:|");
    for one in measured {
        let line = match (&one.error, one.loss) {
            (Some(error), _) => format!("| {} | – | – | – | – | {} |", one.name, error.replace('\n', " ")),
            (None, loss) => format!(
                "| {} | {} | {} | {} | {} | {} |",
                one.name,
                format::parameters(one.trained),
                format::bytes(one.bytes),
                format::bytes(one.memory),
                seconds(one.seconds),
                loss.map_or_else(|| "–".into(), |loss| format!("{loss:.3}")),
            ),
        };
        screen.line(&line);
    }
}

fn seconds(seconds: f64) -> String {
    let whole = Duration::from_secs_f64(seconds.max(0.0)).as_secs();
    if whole < 120 { format!("{seconds:.0} s") } else { format!("{} min", whole.div_ceil(60)) }
}
