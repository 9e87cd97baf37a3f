//! Hubs: what is looked for, what is shown of it, and the transfer under way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use protocol::{
    DownloadReport, Event, HubAccount, HubEvent, PushPlan, PushReport, PushRequest, RepoCard, RepoHit,
    RepoKind, RepoRef, RequestId, RunConfig, Secret, Text, UserError,
};

use super::Requested;

/// What the sheets of hubs and the settings want.
#[derive(Clone, Debug, PartialEq)]
pub enum HubAction {
    /// Opens the sheet that fetches.
    Fetch(RepoKind),
    /// Opens the sheet that publishes a folder.
    Publish(PathBuf),
    /// A transfer under way goes on.
    Close,
    Type(String),
    UseHub(String),
    /// Looks a pasted name or address up, or searches for words.
    Find,
    /// Opens the sheet at the repository that a word names.
    LookUp(RepoKind, String),
    Look(RepoRef),
    /// From a repository to the hits again.
    Back,
    Choose(String, bool),
    Download,
    /// Breaks off what is under way: the transfer, or the question that a hub does not answer.
    Stop,
    Draft(Box<PushDraft>),
    Plan,
    /// Yes to what is shown.
    Push,
    Account(String),
    Login {
        hub: String,
        token: Secret,
        keep: bool,
    },
    Logout(String),
}

/// Which sheet is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sheet {
    Fetch(RepoKind),
    Publish,
}

/// What a push is to be, as the form has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushDraft {
    pub folder: PathBuf,
    pub repo: String,
    pub private: bool,
    pub create: bool,
}

#[derive(Debug, Default)]
pub struct HubState {
    pub sheet: Option<Sheet>,
    /// Id of the hub that is meant.
    pub hub: Option<String>,
    pub text: String,
    pub hits: Requested<Vec<RepoHit>>,
    pub card: Requested<Box<RepoCard>>,
    pub download: Requested<DownloadReport>,
    pub draft: PushDraft,
    pub plan: Requested<Box<PushPlan>>,
    /// What the plan was made for.
    pub planned: Option<PushRequest>,
    pub push: Requested<Box<PushReport>>,
    pub accounts: BTreeMap<String, Requested<HubAccount>>,
    /// A stop was wished and has not come about yet.
    pub stopping: bool,
    /// The request for which a hub is waited for, and why.
    waiting: Option<(RequestId, Text)>,
    /// Questions that nobody wants answered any more; what comes of them is not shown.
    given_up: BTreeSet<RequestId>,
    /// What came is to be opened.
    pub arrived: Option<DownloadReport>,
}

impl HubState {
    /// Hub ids are the engine's; before it has told them the first one is meant.
    pub fn hub(&self) -> &str {
        self.hub.as_deref().unwrap_or("hf")
    }

    pub fn kind(&self) -> RepoKind {
        match self.sheet {
            Some(Sheet::Fetch(kind)) => kind,
            _ => RepoKind::Model,
        }
    }

    pub fn is_transferring(&self) -> bool {
        self.download.is_pending() || self.push.is_pending()
    }

    /// Whether a repository is looked for.
    pub fn is_asking(&self) -> bool {
        self.hits.is_pending() || self.card.is_pending()
    }

    /// Why a hub is waited for.
    pub fn waits(&self) -> Option<&Text> {
        self.waiting.as_ref().map(|(_, why)| why)
    }

    /// Wants no answers to what was asked; gives the requests, to be cancelled.
    pub fn give_up(&mut self) -> Vec<RequestId> {
        let asked = [self.hits.request, self.card.request, self.plan.request];
        let asked: Vec<RequestId> = asked.into_iter().flatten().collect();
        for request in &asked {
            self.hits.supersede(*request);
            self.card.supersede(*request);
            self.plan.supersede(*request);
            self.no_longer_waits(*request);
        }
        self.given_up.extend(&asked);
        asked
    }

    fn no_longer_waits(&mut self, request: RequestId) {
        self.waiting.take_if(|(waiting, _)| *waiting == request);
    }

    /// Whether what was typed names one repository.
    pub fn names_one(&self) -> bool {
        let text = self.text.trim();
        !text.contains(char::is_whitespace) && text.contains(['/', ':'])
    }

    pub fn reduce(&mut self, event: &Event) {
        self.download.tell_progress(event);
        self.push.tell_progress(event);
        if let Event::Hub { request, update } = event {
            self.answered(*request, update);
            if event.is_last() {
                self.given_up.remove(request);
            }
        }
    }

    fn answered(&mut self, request: RequestId, update: &HubEvent) {
        if let HubEvent::Waiting { why: Some(why) } = update {
            if !self.given_up.contains(&request) {
                self.waiting = Some((request, why.clone()));
            }
            return;
        }
        self.no_longer_waits(request);
        match update {
            HubEvent::Hits { hits } => self.hits.answer(request, hits.clone()),
            HubEvent::Card { card } => self.card.answer(request, card.clone()),
            HubEvent::Downloaded { download } => {
                if self.download.awaits(request) {
                    self.stopping = false;
                    self.arrived = Some(download.clone());
                }
                self.download.answer(request, download.clone());
            }
            HubEvent::PushPlanned { plan } => self.plan.answer(request, plan.clone()),
            HubEvent::Pushed { report } => {
                self.stopping &= !self.push.awaits(request);
                self.push.answer(request, report.clone());
            }
            HubEvent::Account { account } => {
                for known in self.accounts.values_mut() {
                    known.answer(request, account.clone());
                }
            }
            HubEvent::Waiting { .. } => {}
        }
    }

    /// Takes an error of a request of ours, which is shown where it was made.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        self.no_longer_waits(request);
        let ours = self.given_up.remove(&request)
            || self.hits.awaits(request)
            || self.card.awaits(request)
            || self.download.awaits(request)
            || self.plan.awaits(request)
            || self.push.awaits(request)
            || self.accounts.values().any(|known| known.awaits(request));
        self.stopping &= !(self.download.awaits(request) || self.push.awaits(request));
        self.hits.fail(request, error);
        self.card.fail(request, error);
        self.download.fail(request, error);
        self.plan.fail(request, error);
        self.push.fail(request, error);
        self.accounts.values_mut().for_each(|known| known.fail(request, error));
        ours
    }
}

/// The first word for a repository where a folder or file is to be.
pub fn named(config: &RunConfig) -> Option<(RepoKind, String)> {
    let word = |kind, path: &Path| Some((kind, RepoRef::word(path)?.to_owned()));
    let rows = || config.data.train.iter().find_map(|path| word(RepoKind::Dataset, path));
    word(RepoKind::Model, &config.model.path).or_else(rows)
}

/// The files of a dataset that are trained on: those of its training part where parts are named, else all that hold
/// rows and are not named for another part.
pub fn training_files(download: &DownloadReport, extensions: &[&str]) -> Vec<PathBuf> {
    let rows = |path: &&String| {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let about =
            ["dataset_info", "readme", "license", "state.json"].iter().any(|word| name.starts_with(word));
        let ends =
            Path::new(&name).extension().is_some_and(|end| extensions.iter().any(|known| end == *known));
        ends && !about
    };
    let named = |path: &str, words: &[&str]| {
        let path = path.to_ascii_lowercase();
        words.iter().any(|word| path.contains(word))
    };
    let all: Vec<&String> = download.files.iter().filter(rows).collect();
    let train: Vec<&String> = all.iter().copied().filter(|path| named(path, &["train"])).collect();
    let other = |path: &&String| !named(path, &["test", "valid", "dev", "eval"]);
    let chosen = if train.is_empty() { all.into_iter().filter(other).collect() } else { train };
    chosen.into_iter().map(|path| download.dir.join(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained_on(files: &[&str]) -> Vec<String> {
        let download = DownloadReport {
            repo: RepoRef::default(),
            dir: "/d".into(),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
            bytes: 0,
            fetched_bytes: 0,
            seconds: 0.0,
        };
        let chosen = training_files(&download, &["jsonl", "json", "parquet"]);
        chosen.into_iter().map(|path| path.strip_prefix("/d").unwrap().display().to_string()).collect()
    }

    #[test]
    fn the_training_part_of_a_dataset_is_taken() {
        let parts = ["README.md", "data/train-0.parquet", "data/test-0.parquet", "dataset_infos.json"];
        assert_eq!(trained_on(&parts), ["data/train-0.parquet"]);
        assert_eq!(trained_on(&["alpaca.json", "validation.jsonl"]), ["alpaca.json"]);
    }

    #[test]
    fn a_name_is_looked_up_and_words_are_searched_for() {
        let of = |text: &str| HubState { text: text.into(), ..HubState::default() }.names_one();
        assert!(of("org/name") && of("hf:gpt2") && of(" https://hf.co/a/b "));
        assert!(!of("qwen") && !of("small and/or fast"));
    }
}
