//! Requests to hubs, on a thread of their own: looks beside each other and beside a transfer, transfers one after the
//! other.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::Receiver;
use data::space::{free_bytes, require_space};
use hub::{Caller, Environment, Hubs, Progress, SystemKeyring, Tokens};
use protocol::{
    Command, Control, Event, HubCommand, HubEvent, HubSettings, RepoCard, RepoKind, RequestId, Result,
    Support, Text, UserError, text,
};
use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use crate::models::{ConfigJson, ModelFolder};
use crate::sink::Sink;

/// Transfers write to disks: a few threads keep up with any line.
const THREADS: usize = 2;
/// For what is under way when the engine ends.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// Descriptors for the catalog.
pub fn hubs() -> Vec<protocol::Descriptor> {
    hub::descriptors()
}

/// What the thread has; nothing of it is made before the first request.
struct Desk {
    hubs: Hubs,
    control: Arc<Control>,
    /// One transfer at a time: two would only share the line.
    turn: Semaphore,
}

/// The next command; none when there will be no more, or nobody holds the other end of `ended`.
fn next(commands: &Receiver<Command>, ended: &Receiver<()>) -> Option<Command> {
    crossbeam_channel::select! {
        recv(commands) -> command => command.ok(),
        recv(ended) -> _ => None,
    }
}

/// Serves requests until the engine ends.
pub fn serve_hubs(
    commands: &Receiver<Command>,
    ended: &Receiver<()>,
    control: &Arc<Control>,
    sink: impl Fn() -> Sink,
) {
    let mut serving: Option<(Runtime, Arc<Desk>)> = None;
    while let Some(command) = next(commands, ended) {
        let Command::Hub { request, settings, hub } = command else { break };
        let (runtime, desk) = match serving.take().map_or_else(|| start(control), Ok) {
            Ok(started) => serving.insert(started),
            Err(error) => {
                sink().failed(request, error);
                continue;
            }
        };
        let (desk, sink) = (desk.clone(), Arc::new(Mutex::new(sink())));
        if is_transfer(&hub) && desk.turn.available_permits() > 0 {
            // What was wished before was about another one.
            control.transfer_begins();
        }
        runtime.spawn(async move {
            let told = sink.clone();
            let work = tokio::spawn(async move { desk.perform(request, &settings, hub, &told).await });
            let update = work.await.unwrap_or_else(|panic| Err(crashed(&panic)));
            // A client that lags is waited for where nobody else has to wait.
            let last = move || tell(&sink, request, update);
            if let Err(err) = tokio::task::spawn_blocking(last).await {
                tracing::error!("an answer of a hub was lost: {err}");
            }
        });
    }
    if let Some((runtime, _)) = serving {
        runtime.shutdown_timeout(LAST_MOMENT);
    }
}

fn start(control: &Arc<Control>) -> Result<(Runtime, Arc<Desk>)> {
    let built = Builder::new_multi_thread().worker_threads(THREADS).thread_name("hub").enable_all().build();
    let runtime = built.map_err(|err| {
        UserError::failure(text!("No threads for the network: {err}", "无法创建网络线程：{err}"))
    })?;
    let environment = Environment::of_process();
    let tokens = Tokens::new(environment.clone(), Arc::new(SystemKeyring));
    let hubs = Hubs::new(environment, tokens);
    Ok((runtime, Arc::new(Desk { hubs, control: control.clone(), turn: Semaphore::new(1) })))
}

fn is_transfer(hub: &HubCommand) -> bool {
    matches!(hub, HubCommand::Download { .. } | HubCommand::Push { .. })
}

fn tell(sink: &Mutex<Sink>, request: RequestId, update: Result<HubEvent>) {
    let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
    match update {
        Ok(update) => sink.emit(Event::Hub { request, update }),
        Err(error) => sink.failed(request, error),
    }
    sink.drain();
}

/// A panic ends the request, not the process. Its words are the log's: they may repeat what was sent.
fn crashed(panic: &tokio::task::JoinError) -> UserError {
    tracing::error!(
        "a request to a hub ended early: {}",
        if panic.is_panic() { "panic" } else { "cancelled" }
    );
    UserError::failure(Text::fixed("A fault in the program while talking to a hub", "访问平台时程序内部出错"))
}

impl Desk {
    async fn perform(
        &self,
        request: RequestId,
        settings: &HubSettings,
        hub: HubCommand,
        sink: &Arc<Mutex<Sink>>,
    ) -> Result<HubEvent> {
        let (hubs, caller) = (&self.hubs, &self.caller(request, is_transfer(&hub), sink));
        Ok(match hub {
            HubCommand::Search { hub, kind, text } => {
                HubEvent::Hits { hits: hubs.search(settings, (&hub, kind, &text), caller).await? }
            }
            HubCommand::Look { hub, kind, text } => {
                let repo = hub::parse(&text, &hub, kind)?;
                let card = hubs.look(settings, &repo, caller).await?;
                HubEvent::Card { card: Box::new(self.judged(settings, card, caller).await?) }
            }
            HubCommand::Download { repo, files } => {
                let _turn = self.turn.acquire().await;
                let job = hubs.prepare(settings, &repo, &files, caller).await?;
                require_room(&job.card)?;
                let stage = Text::fixed("Downloading", "正在下载");
                let progress = progress(request, stage, sink);
                HubEvent::Downloaded { download: hubs.download(&job, &progress, caller).await? }
            }
            HubCommand::PlanPush { push } => {
                HubEvent::PushPlanned { plan: Box::new(hubs.plan_push(settings, &push, caller).await?) }
            }
            HubCommand::Push { push, agreed } => {
                let _turn = self.turn.acquire().await;
                let progress = progress(request, Text::fixed("Publishing", "正在发布"), sink);
                let report = hubs.push(settings, (&push, &agreed), &progress, caller).await?;
                HubEvent::Pushed { report: Box::new(report) }
            }
            HubCommand::Login { hub, token, keep } => {
                HubEvent::Account { account: hubs.login(settings, (&hub, token, keep), caller).await? }
            }
            HubCommand::Logout { hub } => HubEvent::Account { account: hubs.logout(settings, &hub).await? },
            HubCommand::Account { hub } => HubEvent::Account { account: hubs.account(settings, &hub).await? },
        })
    }

    /// Whoever made the request: may cancel it, or stop the transfers, and hears what is waited for.
    fn caller(&self, request: RequestId, transfers: bool, sink: &Arc<Mutex<Sink>>) -> Caller {
        let (control, sink) = (self.control.clone(), sink.clone());
        let ends = move || control.is_cancelled(request) || (transfers && control.stop_transfer_wanted());
        Caller::who_ends(ends).hearing(move |why| {
            let update = HubEvent::Waiting { why: why.cloned() };
            sink.lock().unwrap_or_else(PoisonError::into_inner).emit(Event::Hub { request, update });
        })
    }

    /// With the disk's room and, of a model, whether it can be trained.
    async fn judged(&self, settings: &HubSettings, mut card: RepoCard, caller: &Caller) -> Result<RepoCard> {
        card.free_bytes = free_bytes(&card.folder);
        if card.repo.kind == RepoKind::Model {
            card.support = self.support(settings, &card, caller).await?;
        }
        Ok(card)
    }

    /// As `inspect` would decide, from the config alone. None where only the weights can tell.
    async fn support(
        &self,
        settings: &HubSettings,
        card: &RepoCard,
        caller: &Caller,
    ) -> Result<Option<Support>> {
        let hubs = &self.hubs;
        if let Some(config) = hubs.small_file(settings, card, "config.json", caller).await? {
            return Ok(Some(family(&config)));
        }
        if let Some(config) = hubs.small_file(settings, card, "adapter_config.json", caller).await? {
            let config: Value = serde_json::from_slice(&config).unwrap_or_default();
            let base = config.get("base_model_name_or_path").and_then(Value::as_str).map(str::to_owned);
            return Ok(Some(Support::Adapter { base }));
        }
        let has_gguf = card.files.iter().any(|file| file.path.ends_with(".gguf"));
        Ok((!has_gguf).then(|| Support::Unsupported { why: Box::new(no_model()) }))
    }
}

/// Whether the registry of families has this config's.
fn family(config: &[u8]) -> Support {
    let judged = serde_json::from_slice::<Map<String, Value>>(config)
        .map_err(|err| {
            let what = text!("config.json cannot be read: {err}", "无法读取 config.json：{err}");
            UserError::bad_input(what)
        })
        .and_then(|map| ModelFolder::from_config(Path::new(""), ConfigJson::from_map(map)));
    match judged {
        Ok(folder) => Support::Family { id: folder.family.id.into(), name: folder.family.name.clone() },
        Err(why) => Support::Unsupported { why: Box::new(why) },
    }
}

fn no_model() -> UserError {
    UserError::bad_input(Text::fixed(
        "There is neither a config.json nor a GGUF file: this is no language model in a known layout",
        "既没有 config.json 也没有 GGUF 文件：不是已知格式的语言模型",
    ))
}

/// Before a byte is fetched.
fn require_room(card: &RepoCard) -> Result<()> {
    let folder = card.folder.ancestors().find(|folder| folder.is_dir());
    folder.map_or(Ok(()), |folder| require_space(folder, card.missing_bytes()))
}

fn progress(request: RequestId, stage: Text, sink: &Arc<Mutex<Sink>>) -> Progress {
    let sink = sink.clone();
    Arc::new(move |done, total, seconds_left| {
        let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
        sink.progress_in_bytes(request, stage.clone(), done, total, seconds_left);
    })
}
