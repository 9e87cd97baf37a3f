//! The command line: one file a sub-command, each turning flags into a command for the engine and the
//! engine's events into something to read.
//!
//! What a command was asked for goes to stdout, everything said about it goes to stderr. With `--json`
//! stdout carries the engine's events as JSON lines. Exit codes: 0 done, 2 bad input, 1 failure.

mod analyze;
mod bench;
mod chat;
mod check;
mod client;
mod compare;
mod convert;
mod engine_process;
mod eval;
mod export;
mod failure;
mod flags;
pub mod folders;
mod format;
mod generate;
mod handoff;
mod help;
mod hub;
mod import;
mod inspect;
mod interrupt;
mod language;
mod log;
mod predict;
mod preview;
mod run_file;
mod score;
mod screen;
mod status;
mod train;
mod train_view;
mod values;
mod vocabulary;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use protocol::{Language, Result};

use client::Client;
use flags::Common;
use screen::Screen;
use status::StatusLine;

/// Fine-tune language models on your own workstation
#[derive(Debug, Parser)]
#[command(name = "emberwright", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Task>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Show what a model folder holds: family, parameters, linear layers, what is missing or odd
    Inspect(inspect::Flags),
    /// Show rows of a dataset as the model will see them, token by token
    Preview(preview::Flags),
    /// Judge the whole dataset and forecast the memory; trains nothing
    Check(check::Flags),
    /// Show what is in a dataset: languages, near-duplicates, leaks; and write the rows worth keeping
    Analyze(analyze::Flags),
    /// Train, and print the run folder
    Train(train::Flags),
    /// Train the same task by several methods and show what each reached and cost
    Compare(compare::Flags),
    /// Write the log-probability of every token of a file's rows
    Score(score::Flags),
    /// Continue a prompt
    Generate(generate::Flags),
    /// Talk to a model, with and without its adapters
    Chat(chat::Flags),
    /// Answer every row of a file
    Predict(predict::Flags),
    /// Hold a model against a set of questions, and show earlier results
    Eval(eval::Flags),
    /// Write a folder that other programs load
    Export(export::Flags),
    /// Prepare a run for other machines: data, adapter, script and settings in one folder
    Handoff(handoff::Flags),
    /// Bring a run back that was trained elsewhere
    Import(import::Flags),
    /// Write a dataset in another format, as JSON lines
    Convert(convert::Flags),
    /// Give a tokenizer new tokens, and tell what they gain
    Vocabulary(vocabulary::Flags),
    /// Models and datasets of a hub: search, look, download, publish
    Hub(hub::Flags),
    /// Measure training speed and memory
    Bench(bench::Flags),
    /// Serve the window; started by it
    #[command(hide = true)]
    Engine(engine_process::Flags),
}

/// Reads the arguments, does what they say and returns the exit code of the contract.
pub fn main() -> ExitCode {
    let language = language::detect(std::env::args_os(), |name| std::env::var(name).ok());
    let parsed = help::localised(Cli::command(), language)
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => start(cli, language),
        Err(err) => {
            // Help and version are "errors" too; nothing can be done when even this cannot be printed.
            err.print().ok();
            ExitCode::from(u8::try_from(err.exit_code()).unwrap_or(2))
        }
    }
}

fn start(cli: Cli, language: Language) -> ExitCode {
    let status = StatusLine::new();
    log::init(status.clone());
    // What stdout carries is frames then, and nothing else.
    let json = cli.common.json && !matches!(&cli.command, Some(Task::Engine(_)));
    let mut screen = Screen::new(status, language, json);
    let code = match cli.command {
        None => crate::window::open(&cli.common.device, language).map(|()| 0),
        Some(task) => {
            let mut client = Client::new(&cli.common);
            let code = perform(task, &mut client, &mut screen);
            client.finish();
            code
        }
    };
    let code = code.and_then(|code| screen.close().map(|()| code));
    ExitCode::from(code.unwrap_or_else(|error| failure::report(&error, &mut screen)))
}

fn perform(task: Task, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    match task {
        Task::Inspect(flags) => inspect::run(flags, client, screen),
        Task::Preview(flags) => preview::run(flags, client, screen),
        Task::Check(flags) => check::run(flags, client, screen),
        Task::Analyze(flags) => analyze::run(flags, client, screen),
        Task::Train(flags) => train::run(flags, client, screen),
        Task::Compare(flags) => compare::run(flags, client, screen),
        Task::Score(flags) => score::run(flags, client, screen),
        Task::Generate(flags) => generate::run(flags, client, screen),
        Task::Chat(flags) => chat::run(flags, client, screen),
        Task::Predict(flags) => predict::run(flags, client, screen),
        Task::Eval(flags) => eval::run(flags, client, screen),
        Task::Export(flags) => export::run(flags, client, screen),
        Task::Handoff(flags) => handoff::run(flags, client, screen),
        Task::Import(flags) => import::run(flags, client, screen),
        Task::Convert(flags) => convert::run(flags, client, screen),
        Task::Vocabulary(flags) => vocabulary::run(flags, client, screen),
        Task::Hub(flags) => hub::run(flags, client, screen),
        Task::Bench(flags) => bench::run(flags, client, screen),
        Task::Engine(flags) => engine_process::run(flags, client.device()),
    }
}
