//! `train RUN.toml`: trains and prints the run folder.

use std::path::{Path, PathBuf};

use clap::Args;
use protocol::{Command, Result, RunCommand, Text, UserError};

use super::client::Client;
use super::flags::absolute;
use super::folders;
use super::run_file::{self, RunFile};
use super::screen::Screen;
use super::train_view::Progress;

#[derive(Debug, Args)]
pub struct Flags {
    /// Run file, or - for stdin; not needed with --resume
    #[arg(value_name = "RUN.toml", required_unless_present = "resume")]
    pub run: Option<PathBuf>,
    /// The run folder itself (default: named after the run file, among your runs)
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Continue in this run folder from its newest sound checkpoint
    #[arg(long, value_name = "DIR")]
    pub resume: Option<PathBuf>,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let run = flags.run.as_deref().map(run_file::load).transpose()?;
    let out = flags.out.as_deref().map(absolute).transpose()?;
    let start: Start = match (flags.resume, run) {
        (Some(dir), run) => {
            let dir = absolute(&dir)?;
            refuse_another_folder(out.as_deref(), &dir)?;
            if let Some(run) = run {
                warn_of_changes(&run, &dir, screen);
            }
            Start::Resume(dir)
        }
        (None, Some(run)) => {
            let out = match out {
                Some(out) => out,
                None => absolute(&folders::free_run(&folders::runs(), &run.name))?,
            };
            Start::New(run, out)
        }
        (None, None) => return Err(no_run_file()),
    };
    client.request(&mut Progress::default(), screen, |request| {
        Command::Run(match start {
            Start::Resume(dir) => RunCommand::Resume { request, dir },
            Start::New(run, out) => {
                RunCommand::Start { request, config: run.config, base: run.base, source: run.source, out }
            }
        })
    })
}

enum Start {
    New(RunFile, PathBuf),
    Resume(PathBuf),
}

fn refuse_another_folder(out: Option<&Path>, resumed: &Path) -> Result<()> {
    match out {
        Some(out) if out != resumed => Err(UserError::bad_input(Text::fixed(
            "A run goes on in its own folder; --out names another one",
            "恢复的训练只能在其原文件夹中继续；--out 指定了另一个文件夹",
        ))
        .in_file(out)
        .mend(Text::fixed("leave --out away", "请去掉 --out"))),
        _ => Ok(()),
    }
}

/// A resumed run is the run that was begun: changes to its file since then have no effect, which must be said.
fn warn_of_changes(run: &RunFile, dir: &Path, screen: &Screen) {
    if run_file::load(&dir.join("run.toml")).is_ok_and(|kept| kept.config != run.config) {
        screen.tell(&Text::fixed(
            "The run goes on as it was begun: the changes in the run file are not used.",
            "训练将按最初的设置继续：运行文件中的改动不会生效。",
        ));
    }
}

fn no_run_file() -> UserError {
    UserError::bad_input(Text::fixed("No run file was given", "未指定运行文件"))
}
