//! A hub client for tests: in no hurry to wait, with folders of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hub::{Caller, Environment, Hubs, MemoryStore, Patience, Progress, Tokens};
use protocol::{DownloadReport, HubSettings, RepoKind, RepoRef, Result, UserError};
use tempfile::TempDir;

use crate::fake::{Fake, TOKEN};

pub struct Client {
    pub hubs: Hubs,
    pub home: TempDir,
    pub settings: HubSettings,
}

impl Client {
    pub fn of(fake: &Fake, token: bool) -> Self {
        Self::at(fake.hub.url.as_str(), token, tempfile::tempdir().unwrap())
    }

    pub fn at(endpoint: &str, token: bool, home: TempDir) -> Self {
        let folder = home.path().to_string_lossy().into_owned();
        let endpoint_of_env = endpoint.to_owned();
        let environment = Environment::from(|name| match name {
            "HF_HOME" | "MODELSCOPE_CACHE" => Some(folder.clone()),
            "HF_ENDPOINT" => Some(endpoint_of_env.clone()),
            "HF_TOKEN" | "MODELSCOPE_API_TOKEN" if token => Some(TOKEN.to_owned()),
            _ => None,
        });
        let tokens = Tokens::new(environment.clone(), Arc::new(MemoryStore::default()));
        let hubs = Hubs::new(environment, tokens).with_patience(hasty());
        let mut settings = HubSettings::default();
        settings.endpoints.insert("ms".into(), endpoint.into());
        Self { hubs, home, settings }
    }

    pub async fn download(&self, repo: &RepoRef) -> Result<DownloadReport> {
        let job = self.hubs.prepare(&self.settings, repo, &[], &Caller::patient()).await?;
        self.hubs.download(&job, &silent(), &Caller::patient()).await
    }

    /// The folder of a repository in the cache.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.home.path().join("hub").join(name)
    }
}

pub fn hasty() -> Patience {
    Patience {
        retries: 4,
        first: Duration::from_millis(1),
        longest: Duration::from_millis(4),
        silence: Duration::from_secs(2),
    }
}

pub fn silent() -> Progress {
    Arc::new(|_, _, _| {})
}

pub fn model(id: &str) -> RepoRef {
    RepoRef { hub: "hf".into(), kind: RepoKind::Model, id: id.into(), revision: String::new() }
}

/// Names of all files below a folder that end like this.
pub fn files_ending(dir: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_ending(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found
}

/// Bytes that look like nothing in particular.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Everything an error says anywhere.
pub fn everything(error: &UserError) -> String {
    format!("{error} {error:?} {} {}", error.what.zh, serde_json::to_string(error).unwrap())
}
