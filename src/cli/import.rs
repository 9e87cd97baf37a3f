//! `import DIR`: a run folder of what a handed-off run wrote.

use std::path::PathBuf;

use clap::Args;
use protocol::{Command, Event, ImportReport, Result, RunOrigin, Text, text};

use super::client::{Client, View};
use super::flags::absolute;
use super::folders;
use super::format;
use super::run_file;
use super::screen::Screen;

#[derive(Debug, Args)]
pub struct Flags {
    /// Folder that `handoff` wrote and other machines filled, or the folder `run` in it
    #[arg(value_name = "DIR")]
    pub handed: PathBuf,
    /// The run file that was handed over, if the run is to go on here: it says where data and model are
    #[arg(long = "run", value_name = "RUN.toml")]
    pub origin: Option<PathBuf>,
    /// The base model on this machine (default: that of the run file, or its copy in the folder)
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Run folder to write (default: named after the folder, among your runs)
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let dir = absolute(&flags.handed)?;
    let model = flags.model.as_deref().map(absolute).transpose()?;
    let origin = flags.origin.as_deref().map(run_file::load).transpose()?;
    let origin = origin.map(|run| RunOrigin { config: run.config, base: run.base, guessed: false });
    let out = match &flags.out {
        Some(out) => absolute(out)?,
        None => {
            let name =
                dir.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned());
            absolute(&folders::free_run(&folders::runs(), &name))?
        }
    };
    client.request(&mut Report, screen, |request| Command::ImportRun { request, dir, model, origin, out })
}

struct Report;

impl View for Report {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        let Event::RunImported { report, .. } = event else { return };
        screen.line(&report.dir.display().to_string());
        let words = screen.pick(&imported(report));
        screen.say(&words);
        for note in &report.notes {
            screen.tell(note);
        }
    }
}

fn imported(report: &ImportReport) -> Text {
    let (step, total) = (format::count(report.step), format::count(report.total_steps));
    let evaluations = report.evaluations;
    let what = match (&report.result, report.checkpoint) {
        (Some(_), Some(_)) => Text::fixed("the adapter and the newest checkpoint", "适配器和最新的检查点"),
        (Some(_), None) => Text::fixed("the adapter", "适配器"),
        (None, _) => Text::fixed("the newest checkpoint", "最新的检查点"),
    };
    let Text { en, zh } = what;
    text!(
        "{step} of {total} steps, {evaluations} evaluations, {en}",
        "{step} / {total} 步，{evaluations} 次评估，{zh}"
    )
}
