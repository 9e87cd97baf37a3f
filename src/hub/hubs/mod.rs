//! Hubs. A hub is one file here and one word in `hubs!`.

use futures::future::BoxFuture;
use protocol::{Descriptor, FileHash, RepoHit, RepoKind, RepoRef, Secret, Text};
use url::Url;

use crate::environment::Environment;
use crate::fault::Fault;
use crate::http::Line;
use crate::push::Publisher;

/// What one hub's file exports.
pub struct Spec {
    /// What stands in front of a repository: `hf:org/name`.
    pub id: &'static str,
    pub name: Text,
    pub help: Text,
    pub endpoint: &'static str,
    /// The address that the hub's own tools would use.
    pub named_endpoint: fn(&Environment) -> Option<String>,
    /// Hosts of addresses that people paste.
    pub hosts: &'static [&'static str],
    /// The branch that is meant where none is named.
    pub branch: &'static str,
    /// Environment variables with a token, the first one that is set counts.
    pub token_variables: &'static [&'static str],
    /// What the hub's own tool has stored.
    pub token_file: fn(&Environment) -> Option<Secret>,
    /// Where files go: `blobs`, `snapshots` and `refs` lie below.
    pub cache: fn(&Environment) -> std::path::PathBuf,
    /// The token goes under this name, too, for what has not learned of the header yet.
    pub cookie: Option<&'static str>,
    /// Hosts of the hub's own that are asked with the token: these labels in front of its host.
    pub stores: &'static [&'static str],
    pub hub: &'static dyn Hub,
}

/// What a hub can be asked.
pub trait Hub: Send + Sync {
    fn search<'a>(&'a self, line: &'a Line, kind: RepoKind, text: &'a str) -> Asking<'a, Vec<RepoHit>>;
    /// Facts and files of a repository; its revision is never empty.
    fn look<'a>(&'a self, line: &'a Line, repo: &'a RepoRef) -> Asking<'a, Facts>;
    /// Where a file is fetched from.
    fn file_url(&self, line: &Line, repo: &RepoRef, commit: &str, path: &str) -> Url;
    /// Whose token it is.
    fn whoami<'a>(&'a self, line: &'a Line) -> Asking<'a, String>;
    /// The repository for people.
    fn page(&self, line: &Line, repo: &RepoRef) -> Url;
    /// How it takes files.
    fn publisher(&self) -> &dyn Publisher;
}

pub type Asking<'a, T> = BoxFuture<'a, Result<T, Fault>>;

/// A repository as the hub tells it. Nothing of it is checked yet.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub commit: String,
    pub licence: Option<String>,
    pub gated: bool,
    pub private: bool,
    pub downloads: u64,
    pub files: Vec<RemoteFile>,
}

#[derive(Clone, Debug)]
pub struct RemoteFile {
    pub path: String,
    pub bytes: u64,
    pub hash: Option<FileHash>,
}

macro_rules! hubs {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        const HUBS: &[&Spec] = &[$(&$module::SPEC),*];
    };
}

hubs! { hugging_face, modelscope }

pub(crate) mod envelope;

pub(crate) use hugging_face::create;

pub fn all() -> impl Iterator<Item = &'static Spec> {
    HUBS.iter().copied()
}

pub fn spec(id: &str) -> Option<&'static Spec> {
    all().find(|spec| spec.id == id)
}

/// Ids of all hubs, the usual one first.
pub fn ids() -> Vec<&'static str> {
    all().map(|spec| spec.id).collect()
}

/// Descriptors for the catalog.
pub fn descriptors() -> Vec<Descriptor> {
    let of = |spec: &'static Spec| Descriptor {
        id: spec.id.into(),
        name: spec.name.clone(),
        help: spec.help.clone(),
        params: Vec::new(),
    };
    all().map(of).collect()
}

/// A hash in hexadecimal that a hub named; None where it is no such thing.
pub fn sha256(text: &str) -> Option<FileHash> {
    hex(text, 64).map(FileHash::Sha256)
}

pub fn git_sha1(text: &str) -> Option<FileHash> {
    hex(text, 40).map(FileHash::GitSha1)
}

fn hex(text: &str, digits: usize) -> Option<String> {
    let is_hex = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| text.to_ascii_lowercase())
}

/// The word for a kind in addresses and in the cache.
pub fn plural(kind: RepoKind) -> &'static str {
    match kind {
        RepoKind::Model => "models",
        RepoKind::Dataset => "datasets",
    }
}

/// `2026-01-31T…` → `2026-01-31`.
fn day(time: String) -> String {
    time.chars().take(10).collect()
}
