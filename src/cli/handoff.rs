//! `handoff RUN.toml`: a folder with which the run is trained on other machines.

use std::path::PathBuf;

use clap::Args;
use protocol::{Command, Event, HandoffReport, HandoffRequest, Result, Text, text};

use super::client::{Client, View};
use super::flags::absolute;
use super::screen::Screen;
use super::{format, run_file};

#[derive(Debug, Args)]
pub struct Flags {
    /// Run file, or - for stdin
    #[arg(value_name = "RUN.toml")]
    pub run: PathBuf,
    /// What trains there: accelerate-fsdp, accelerate-deepspeed or torchrun
    #[arg(long, value_name = "ENGINE")]
    pub engine: String,
    /// Folder to write; must not hold anything yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Machines it will run on
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub nodes: u64,
    /// Cards of each machine
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub cards: u64,
    /// Where the base model is there: a folder, or its name on the hub (default: a folder of its own name, beside the script)
    #[arg(long = "model", value_name = "REF", default_value = "")]
    pub there: String,
    /// Copy the base model into the folder
    #[arg(long, conflicts_with = "there")]
    pub copy_model: bool,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let run = run_file::load(&flags.run)?;
    let handoff = Box::new(HandoffRequest {
        config: run.config,
        base: run.base,
        name: run.name,
        engine: flags.engine,
        out: absolute(&flags.out)?,
        nodes: flags.nodes,
        cards: flags.cards,
        model: flags.there,
        copy_model: flags.copy_model,
    });
    client.request(&mut Report, screen, |request| Command::HandOff { request, handoff })
}

struct Report;

impl View for Report {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        let Event::HandedOff { report, .. } = event else { return };
        screen.line(&report.dir.display().to_string());
        let words = screen.pick(&written(report));
        screen.say(&words);
        for launch in &report.launches {
            let line = format!("{}: {}", screen.pick(&launch.name), launch.line);
            screen.line(&line);
        }
        for note in &report.notes {
            screen.tell(note);
        }
    }
}

fn written(report: &HandoffReport) -> Text {
    let (files, bytes) = (report.files.len(), format::bytes(report.bytes));
    let (train, validation) = (format::count(report.train_rows), format::count(report.validation_rows));
    let (tokens, steps) = (format::count(report.tokens), format::count(report.steps));
    text!(
        "{files} files, {bytes}: {train} rows to train on ({tokens} tokens), {validation} to validate, {steps} steps",
        "{files} 个文件，{bytes}：训练 {train} 行（{tokens} 个词元），验证 {validation} 行，共 {steps} 步"
    )
}
