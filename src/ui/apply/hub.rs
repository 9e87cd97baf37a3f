//! Requests to hubs.

use protocol::{Command, DownloadReport, HubCommand, PushRequest, RepoKind, RepoRef, RequestId, Text, Wish};

use super::{Apply, DATA_EXTENSIONS};
use crate::panels;
use crate::state::hub::{HubAction, PushDraft, Sheet, training_files};
use crate::state::toasts::Level;

impl Apply<'_> {
    pub(super) fn hub(&mut self, action: HubAction) {
        let hub = &mut self.state.hub;
        match action {
            HubAction::Fetch(kind) => self.open_sheet(kind),
            HubAction::Publish(folder) => {
                hub.draft = PushDraft { folder, create: true, private: true, repo: hub.draft.repo.clone() };
                if !hub.push.is_pending() {
                    hub.plan.clear();
                    hub.push.clear();
                }
                hub.sheet = Some(Sheet::Publish);
            }
            HubAction::Close => hub.sheet = None,
            HubAction::Type(text) => hub.text = text,
            HubAction::UseHub(id) => {
                hub.hub = Some(id);
                hub.hits.clear();
                hub.card.clear();
                hub.plan.clear();
            }
            HubAction::Find => self.find_in_hub(),
            HubAction::LookUp(kind, word) => self.look_up(kind, word),
            HubAction::Look(repo) => self.look(repo.to_string()),
            HubAction::Back => hub.card.clear(),
            HubAction::Choose(path, chosen) => {
                let files = hub.card.value.iter_mut().flat_map(|card| &mut card.files);
                files.filter(|file| file.path == path).for_each(|file| file.chosen = chosen);
            }
            HubAction::Download => self.download(),
            HubAction::Stop if hub.is_transferring() => {
                hub.stopping = true;
                self.engine.wish(Wish::StopTransfer);
            }
            HubAction::Stop => {
                let given_up = hub.give_up();
                given_up.into_iter().for_each(|request| self.engine.wish(Wish::Cancel(request)));
            }
            HubAction::Draft(draft) => {
                hub.draft = *draft;
                hub.plan.clear();
            }
            HubAction::Plan => self.plan_push(),
            HubAction::Push => self.push(),
            HubAction::Account(hub) => self.account(hub.clone(), HubCommand::Account { hub }),
            HubAction::Login { hub, token, keep } => {
                self.account(hub.clone(), HubCommand::Login { hub, token, keep });
            }
            HubAction::Logout(hub) => self.account(hub.clone(), HubCommand::Logout { hub }),
        }
    }

    fn open_sheet(&mut self, kind: RepoKind) {
        let hub = &mut self.state.hub;
        let wanted = Some(Sheet::Fetch(kind));
        // What was found as a model is no dataset.
        if hub.kind() != kind && !hub.download.is_pending() {
            hub.hits.clear();
            hub.card.clear();
        }
        hub.sheet = wanted;
    }

    /// Shows the repository that a word names.
    pub(crate) fn look_up(&mut self, kind: RepoKind, word: String) {
        self.open_sheet(kind);
        self.state.hub.text.clone_from(&word);
        self.look(word);
    }

    /// Sends a command; the number goes to whoever waits for the answer.
    fn ask_hub(&mut self, hub: HubCommand) -> RequestId {
        let request = self.state.next_request();
        let settings = self.state.preferences.hubs.clone();
        self.engine.send(Command::Hub { request, settings, hub });
        request
    }

    fn find_in_hub(&mut self) {
        let hub = &self.state.hub;
        let text = hub.text.trim().to_owned();
        if text.is_empty() {
            return;
        }
        if hub.names_one() {
            return self.look(text);
        }
        let command = HubCommand::Search { hub: hub.hub().to_owned(), kind: hub.kind(), text };
        let request = self.ask_hub(command);
        self.forget_failure();
        self.state.hub.card.clear();
        self.state.hub.hits.ask(request);
    }

    /// Why an earlier download failed is of no interest any more.
    fn forget_failure(&mut self) {
        let download = &mut self.state.hub.download;
        if !download.is_pending() {
            download.clear();
        }
    }

    fn look(&mut self, text: String) {
        let hub = &self.state.hub;
        let command = HubCommand::Look { hub: hub.hub().to_owned(), kind: hub.kind(), text };
        let request = self.ask_hub(command);
        self.forget_failure();
        self.state.hub.card.clear();
        self.state.hub.card.ask(request);
    }

    fn download(&mut self) {
        let hub = &self.state.hub;
        let Some(card) = hub.card.value.as_ref().filter(|_| !hub.is_transferring()) else { return };
        let files = card.chosen().map(|file| file.path.clone()).collect();
        let command = HubCommand::Download { repo: card.repo.clone(), files };
        let request = self.ask_hub(command);
        self.state.hub.download.clear();
        self.state.hub.download.ask(request);
    }

    fn plan_push(&mut self) {
        let hub = &self.state.hub;
        if hub.is_transferring() || hub.draft.repo.trim().is_empty() {
            return;
        }
        let draft = hub.draft.clone();
        let repo =
            RepoRef { hub: hub.hub().to_owned(), id: draft.repo.trim().to_owned(), ..RepoRef::default() };
        let (folder, private, create) = (draft.folder, draft.private, draft.create);
        let push = PushRequest { repo, folder, private, create, message: String::new() };
        let request = self.ask_hub(HubCommand::PlanPush { push: push.clone() });
        let hub = &mut self.state.hub;
        hub.push.clear();
        hub.planned = Some(push);
        hub.plan.clear();
        hub.plan.ask(request);
    }

    /// Yes to the plan that is shown, and to no other.
    fn push(&mut self) {
        let hub = &self.state.hub;
        let (Some(plan), Some(push)) = (hub.plan.value.as_ref(), hub.planned.clone()) else { return };
        if hub.is_transferring() {
            return;
        }
        let agreed = plan.digest.clone();
        let request = self.ask_hub(HubCommand::Push { push, agreed });
        self.state.hub.push.ask(request);
    }

    fn account(&mut self, hub: String, command: HubCommand) {
        let request = self.ask_hub(command);
        self.state.hub.accounts.entry(hub).or_default().ask(request);
    }

    /// Opens what has come.
    pub(crate) fn hub_follow(&mut self) {
        let Some(download) = self.state.hub.arrived.take() else { return };
        self.state.hub.sheet = None;
        self.state.hub.card.clear();
        match download.repo.kind {
            RepoKind::Model => self.use_downloaded_model(&download),
            RepoKind::Dataset => self.use_downloaded_data(&download),
        }
    }

    fn use_downloaded_model(&mut self, download: &DownloadReport) {
        let mut config = self.state.project.config.clone();
        self.remember_model(&download.dir);
        config.model.path.clone_from(&download.dir);
        let now = self.state.now;
        self.state.project.edit(config, now);
        self.workspace.open(&panels::model::PANEL.panel_id());
        self.toast(Level::Success, HERE.clone());
    }

    fn use_downloaded_data(&mut self, download: &DownloadReport) {
        let files = training_files(download, &DATA_EXTENSIONS);
        if files.is_empty() {
            let dir = download.dir.display();
            let text = protocol::text!("No file of rows among them: {dir}", "其中没有数据文件：{dir}");
            return self.toast(Level::Warning, text);
        }
        let mut config = self.state.project.config.clone();
        let id = &download.repo.id;
        // The word that it was named by has done its work.
        config.data.train.retain(|path| !RepoRef::word(path).is_some_and(|word| word.contains(id.as_str())));
        let news = files.into_iter().filter(|file| !config.data.train.contains(file)).collect::<Vec<_>>();
        config.data.train.extend(news);
        let now = self.state.now;
        self.state.project.edit(config, now);
        self.workspace.open(&panels::data::PANEL.panel_id());
        self.toast(Level::Success, HERE.clone());
    }
}

static HERE: Text =
    Text::fixed("Downloaded, each file held against its hash", "已下载，所有文件均已校验哈希");
