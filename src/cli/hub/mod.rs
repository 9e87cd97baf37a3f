//! `hub`: models and datasets are searched, looked at, fetched and published.

mod account;
mod look;
mod named;
mod push;

use clap::{Args, Subcommand};
use protocol::{Command, HubCommand, HubSettings, RepoKind, RequestId, Result};

pub use named::fetch;

use super::client::{Client, View};
use super::screen::Screen;

#[derive(Debug, Args)]
pub struct Flags {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Find models or datasets by words
    Search(look::SearchFlags),
    /// Show what a repository holds: files, sizes, licence, and whether its family is supported
    Info(look::InfoFlags),
    /// Fetch a repository into the hub's cache, and print the folder
    Download(look::DownloadFlags),
    /// Publish a folder: shows what would be sent and asks first
    Push(push::Flags),
    /// Keep a token in the system's keyring
    Login(account::Flags),
    /// Forget the token
    Logout(account::Flags),
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    match flags.task {
        Task::Search(flags) => look::search(flags, client, screen),
        Task::Info(flags) => look::info(flags, client, screen),
        Task::Download(flags) => look::download(flags, client, screen),
        Task::Push(flags) => push::run(flags, client, screen),
        Task::Login(flags) => account::login(&flags, client, screen),
        Task::Logout(flags) => account::logout(&flags, client, screen),
    }
}

/// Which hub, and how it is reached.
#[derive(Clone, Debug, Args)]
pub struct Reach {
    /// Hub that is meant where a name does not say: hf (Hugging Face) or ms (ModelScope)
    #[arg(long = "hub", value_name = "HUB", default_value = "hf")]
    pub hub: String,
    /// Address in place of the hub's own, such as https://hf-mirror.com
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// Use the cache alone
    #[arg(long)]
    pub offline: bool,
}

impl Reach {
    fn settings(&self) -> HubSettings {
        let endpoints = self.endpoint.iter().map(|url| (self.hub.clone(), url.clone())).collect();
        HubSettings { endpoints, offline: self.offline }
    }

    /// The command for the engine.
    fn command(&self, request: RequestId, hub: HubCommand) -> Command {
        Command::Hub { request, settings: self.settings(), hub }
    }

    fn request(
        &self,
        hub: HubCommand,
        view: &mut dyn View,
        (client, screen): (&mut Client, &mut Screen),
    ) -> Result<u8> {
        client.request(view, screen, |request| self.command(request, hub))
    }
}

fn kind(dataset: bool) -> RepoKind {
    if dataset { RepoKind::Dataset } else { RepoKind::Model }
}
