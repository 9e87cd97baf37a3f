//! Models and datasets of a hub: what is asked for and what comes back.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Secret, Text, UserError};

/// How hubs are reached; sent along with every request, so that the engine keeps no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HubSettings {
    /// Hub id → address, in place of the hub's own or what its environment variable says: a mirror.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, String>,
    /// Only what lies in the cache is used.
    pub offline: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepoKind {
    #[default]
    Model,
    Dataset,
}

/// A repository of a hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RepoRef {
    /// Id in the `hubs!` registry: `hf`, `ms`.
    pub hub: String,
    pub kind: RepoKind,
    /// `org/name`, or a bare name where a hub has such.
    pub id: String,
    /// Branch, tag or commit; empty: the hub's default branch.
    #[serde(default)]
    pub revision: String,
}

impl RepoRef {
    /// What a path says where it names a repository instead of a folder: `hf:org/name`, `ms:org/name@revision` (two
    /// small letters and a colon), or the address of its page. A folder of such a name is written `./hf:…`.
    pub fn word(path: &Path) -> Option<&str> {
        let text = path.to_str()?;
        let (hub, rest) = text.split_once(':')?;
        let named = hub.len() == 2 && hub.bytes().all(|byte| byte.is_ascii_lowercase());
        let plain = rest.starts_with(|first: char| first.is_ascii_alphanumeric());
        ((named && plain) || (hub == "https" && rest.starts_with("//"))).then_some(text)
    }
}

/// `hf:org/name`, with `@revision` where it is not the default one.
impl fmt::Display for RepoRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.hub, self.id)?;
        if self.revision.is_empty() { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum HubCommand {
    /// Repositories whose name or card has these words, the most downloaded first.
    Search { hub: String, kind: RepoKind, text: String },
    /// What a repository holds. `text` is an id (`org/name`), one with a hub in front (`ms:org/name`) or an address
    /// copied from a browser; without a hub, `hub` is meant.
    Look { hub: String, kind: RepoKind, text: String },
    /// Fetches these files, or those that a look would choose if there are none.
    Download { repo: RepoRef, files: Vec<String> },
    /// What a push would do; nothing is sent.
    PlanPush { push: PushRequest },
    /// Sends what was shown: `agreed` is the digest of the plan. Refused when the folder or the repository is no
    /// longer what the plan says.
    Push { push: PushRequest, agreed: String },
    /// Takes a token, after the hub has said whose it is. `keep`: in the system's keyring, else until the engine ends.
    Login { hub: String, token: Secret, keep: bool },
    /// Forgets the token.
    Logout { hub: String },
    /// Where a token comes from, if there is one; asks nobody.
    Account { hub: String },
}

/// A folder to be published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushRequest {
    pub repo: RepoRef,
    pub folder: PathBuf,
    /// Of a repository that is made; one that is there keeps its own.
    pub private: bool,
    /// Make the repository if there is none.
    pub create: bool,
    /// Of the commit; empty: a plain one.
    #[serde(default)]
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "update", rename_all = "snake_case")]
pub enum HubEvent {
    Hits {
        hits: Vec<RepoHit>,
    },
    Card {
        card: Box<RepoCard>,
    },
    /// Every file is there and proven.
    Downloaded {
        download: DownloadReport,
    },
    PushPlanned {
        plan: Box<PushPlan>,
    },
    Pushed {
        report: Box<PushReport>,
    },
    Account {
        account: HubAccount,
    },
    /// The hub does not answer and is asked again, as this says; None: it answers again. Not the end of the request.
    Waiting {
        why: Option<Text>,
    },
}

/// One line of a search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoHit {
    pub repo: RepoRef,
    pub downloads: u64,
    pub likes: u64,
    pub gated: bool,
    /// `YYYY-MM-DD`, if known.
    pub updated: Option<String>,
    /// Such as `text-generation`.
    pub task: Option<String>,
}

/// A repository, before anything large is fetched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RepoCard {
    pub repo: RepoRef,
    /// What `revision` stands for now.
    pub commit: String,
    pub licence: Option<String>,
    /// Its owner asks for terms to be accepted.
    pub gated: bool,
    pub private: bool,
    pub downloads: u64,
    pub files: Vec<HubFile>,
    /// Of a model: whether this program can train it.
    pub support: Option<Support>,
    /// Where the files will lie, or lie.
    pub folder: PathBuf,
    /// What the disk has there; 0 if unknown.
    pub free_bytes: u64,
    /// From the cache alone: the hub was not asked.
    pub offline: bool,
    pub notes: Vec<Text>,
}

impl RepoCard {
    pub fn chosen(&self) -> impl Iterator<Item = &HubFile> {
        self.files.iter().filter(|file| file.chosen)
    }

    /// Of the chosen files, those that are not here yet.
    pub fn missing_bytes(&self) -> u64 {
        self.chosen().filter(|file| !file.cached).fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// Whether the disk has room for that; where nothing is known of the disk, it has.
    pub fn fits(&self) -> bool {
        self.free_bytes == 0 || self.missing_bytes() <= self.free_bytes
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubFile {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub bytes: u64,
    /// What a download is held against; None where the hub names no hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<FileHash>,
    /// Whether a download takes it unless told otherwise.
    pub chosen: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// Whether it lies in the cache already.
    pub cached: bool,
}

/// Hexadecimal, lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileHash {
    Sha256(String),
    /// As `git hash-object` computes it.
    GitSha1(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "support", rename_all = "snake_case")]
pub enum Support {
    /// Id and name in the `families!` registry.
    Family {
        id: String,
        name: Text,
    },
    /// An adapter: what it was trained on.
    Adapter {
        base: Option<String>,
    },
    Unsupported {
        why: Box<UserError>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DownloadReport {
    pub repo: RepoRef,
    /// The folder that opens as a model, or holds the dataset's files.
    pub dir: PathBuf,
    pub files: Vec<String>,
    pub bytes: u64,
    /// What came over the network this time.
    pub fetched_bytes: u64,
    pub seconds: f64,
}

/// What a push would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushPlan {
    pub repo: RepoRef,
    /// The address in a browser.
    pub url: String,
    /// Whose token it is.
    pub user: String,
    pub exists: bool,
    /// Whether only its owner sees it.
    pub private: bool,
    /// What the hub will list; None where the card names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    pub files: Vec<PushFile>,
    pub notes: Vec<Text>,
    /// Of everything above: what a yes is given to.
    pub digest: String,
}

impl PushPlan {
    /// What would go over the network, at most.
    pub fn send_bytes(&self) -> u64 {
        let sent = self.files.iter().filter(|file| file.state != PushState::Same);
        sent.fold(0, |sum, file| sum.saturating_add(file.bytes))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushFile {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
    pub state: PushState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushState {
    New,
    /// Another file of the name is there.
    Changed,
    /// It is there already, by its hash.
    Same,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushReport {
    pub repo: RepoRef,
    pub url: String,
    /// None where everything was there already.
    pub commit: Option<String>,
    /// Every file, held against the hub's listing after the commit.
    pub files: Vec<PushFile>,
    pub sent_bytes: u64,
    pub seconds: f64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubAccount {
    pub hub: String,
    pub endpoint: String,
    /// As the hub says; None where it was not asked.
    pub user: Option<String>,
    pub token: TokenPlace,
    /// What the user should know: there is no keyring, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Text>,
}

/// Where a token was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenPlace {
    None,
    /// Until the engine ends.
    Memory,
    Keyring,
    /// An environment variable, such as `HF_TOKEN`.
    Environment,
    /// What `hf auth login` has stored.
    File,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_told_from_a_folder() {
        for word in ["hf:gpt2", "hf:org/name@v1", "ms:org/name", "https://huggingface.co/org/name"] {
            assert_eq!(RepoRef::word(Path::new(word)), Some(word));
        }
        for path in [
            "",
            "model",
            "./hf:org/name",
            "/data/hf:x",
            "C:\\models",
            "c:/models",
            "hf:",
            "hf:/x",
            "data:v2.csv",
        ] {
            assert_eq!(RepoRef::word(Path::new(path)), None, "{path}");
        }
    }
}
