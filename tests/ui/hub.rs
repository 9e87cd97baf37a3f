//! Hubs in the window: found, shown before anything large comes, fetched, opened; and published after a look.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, SnapshotResults};
use protocol::{
    Catalog, Command, Descriptor, DownloadReport, Event, HubAccount, HubCommand, HubEvent, HubFile, Language,
    PushFile, PushPlan, PushReport, PushState, RepoCard, RepoHit, RepoKind, RepoRef, RequestId, Secret,
    Support, Text, TokenPlace, UserError, Wish,
};
use ui::App;
use ui::action::Action;
use ui::panels::settings;
use ui::state::hub::HubAction;
use ui::testing::{FakeDesktop, FakeEngine};

use crate::support::{Window, ready};

const TOKEN: &str = "hf_TestTokenThatMustNotBeSeenAnywhere3";

fn open(window: &Window, engine: &FakeEngine) -> Harness<'static, App> {
    let mut harness = window.open(engine, &FakeDesktop::default());
    harness.run();
    let hub = |id: &str, name: Text| Descriptor {
        id: id.into(),
        name,
        help: Text::fixed("", ""),
        params: Vec::new(),
    };
    let hubs = vec![
        hub("hf", Text::fixed("Hugging Face", "Hugging Face")),
        hub("ms", Text::fixed("ModelScope", "魔搭社区（ModelScope）")),
    ];
    if let Event::Ready { device, .. } = ready() {
        engine.tell(Event::Ready {
            catalog: Box::new(Catalog { hubs, ..Catalog::default() }),
            device,
            devices: Vec::new(),
        });
    }
    harness.run();
    harness
}

fn push(harness: &mut Harness<'static, App>, action: HubAction) {
    harness.state().push(Action::Hub(action));
    harness.run();
}

/// The newest request to a hub.
fn asked(engine: &FakeEngine) -> (RequestId, HubCommand) {
    let traffic = engine.traffic.borrow();
    let found = traffic.commands.iter().rev().find_map(|command| match command {
        Command::Hub { request, hub, .. } => Some((*request, hub.clone())),
        _ => None,
    });
    found.unwrap()
}

fn tell(harness: &mut Harness<'static, App>, engine: &FakeEngine, update: HubEvent) {
    let (request, _) = asked(engine);
    engine.tell(Event::Hub { request, update });
    harness.run();
}

fn repo(id: &str) -> RepoRef {
    RepoRef { hub: "hf".into(), id: id.into(), ..RepoRef::default() }
}

fn hits() -> HubEvent {
    let hit = |id: &str, downloads: u64, gated: bool| RepoHit {
        repo: repo(id),
        downloads,
        likes: 12,
        gated,
        updated: Some("2026-01-31".into()),
        task: Some("text-generation".into()),
    };
    HubEvent::Hits {
        hits: vec![hit("Qwen/Qwen3-0.6B", 5_120_400, false), hit("meta-llama/Llama-3.2-1B", 2_048_111, true)],
    }
}

fn card(support: Support) -> HubEvent {
    let file = |path: &str, bytes: u64, reason: Option<Text>| HubFile {
        path: path.into(),
        bytes,
        chosen: reason.is_none(),
        cached: path == "config.json",
        reason,
        ..HubFile::default()
    };
    let again = Text::fixed("the same weights in another format", "同一权重的其他格式");
    let files = vec![
        file("LICENSE", 11_343, None),
        file("config.json", 726, None),
        file("model.safetensors", 1_503_300_328, None),
        file("pytorch_model.bin", 1_503_400_000, Some(again)),
        file("tokenizer.json", 11_422_654, None),
    ];
    let card = RepoCard {
        repo: RepoRef { revision: "main".into(), ..repo("Qwen/Qwen3-0.6B") },
        commit: "c1899de289a04d12100db370d81485cdf75e47ca".into(),
        licence: Some("apache-2.0".into()),
        downloads: 5_120_400,
        files,
        support: Some(support),
        folder: "/home/me/.cache/huggingface/hub/models--Qwen--Qwen3-0.6B/snapshots/c1899de".into(),
        free_bytes: 120 << 30,
        ..RepoCard::default()
    };
    HubEvent::Card { card: Box::new(card) }
}

fn qwen() -> Support {
    Support::Family { id: "qwen3".into(), name: Text::fixed("Qwen3", "通义千问 3") }
}

/// The sheet with what a search found.
fn searched(window: &Window, engine: &FakeEngine) -> Harness<'static, App> {
    let mut harness = open(window, engine);
    push(&mut harness, HubAction::Fetch(RepoKind::Model));
    push(&mut harness, HubAction::Type("qwen3".into()));
    push(&mut harness, HubAction::Find);
    tell(&mut harness, engine, hits());
    harness
}

fn looked(window: &Window, engine: &FakeEngine, support: Support) -> Harness<'static, App> {
    let mut harness = searched(window, engine);
    push(&mut harness, HubAction::Look(repo("Qwen/Qwen3-0.6B")));
    tell(&mut harness, engine, card(support));
    harness
}

#[test]
fn a_model_is_found_looked_at_fetched_and_opened() {
    let engine = crate::support::silent();
    let mut harness = looked(&Window::default(), &engine, qwen());
    let (_, look) = asked(&engine);
    assert_eq!(
        look,
        HubCommand::Look { hub: "hf".into(), kind: RepoKind::Model, text: "hf:Qwen/Qwen3-0.6B".into() }
    );
    harness.get_by_label("pytorch_model.bin").click();
    harness.run();
    harness.get_by_label("pytorch_model.bin").click();
    harness.run();
    harness.get_by_label_contains("Download (").click();
    harness.run();
    let (request, download) = asked(&engine);
    let HubCommand::Download { files, .. } = download else { panic!("{download:?}") };
    assert_eq!(files, ["LICENSE", "config.json", "model.safetensors", "tokenizer.json"]);
    let stage = Text::fixed("Downloading", "正在下载");
    engine.tell(Event::Progress {
        request,
        stage,
        done: 1 << 29,
        total: 1 << 30,
        unit: protocol::Unit::Bytes,
        seconds_left: Some(65.0),
    });
    harness.run();
    harness.get_by_label_contains("512.0 MB / 1.00 GB");
    harness.get_by_label("Stop").click();
    harness.run();
    assert_eq!(engine.traffic.borrow().wishes.last(), Some(&Wish::StopTransfer));
    let dir = std::path::PathBuf::from("/cache/snapshots/c1899de");
    let (bytes, repo) = (1 << 30, repo("Qwen/Qwen3-0.6B"));
    let download =
        DownloadReport { repo, dir: dir.clone(), files, bytes, fetched_bytes: bytes, seconds: 9.0 };
    tell(&mut harness, &engine, HubEvent::Downloaded { download });
    harness.run();
    assert_eq!(harness.state().state().project.config.model.path, dir);
    assert!(harness.state().state().hub.sheet.is_none());
}

fn waiting(attempt: u32) -> HubEvent {
    let why = protocol::text!(
        "The connection to Hugging Face failed: trying again ({attempt} of 5)…",
        "与 Hugging Face 的连接失败：正在重试（第 {attempt} 次，共 5 次）…"
    );
    HubEvent::Waiting { why: Some(why) }
}

/// The sheet while a hub does not answer a search.
fn unanswered(window: &Window, engine: &FakeEngine) -> Harness<'static, App> {
    let mut harness = open(window, engine);
    push(&mut harness, HubAction::Fetch(RepoKind::Model));
    push(&mut harness, HubAction::Type("qwen3".into()));
    push(&mut harness, HubAction::Find);
    tell(&mut harness, engine, waiting(2));
    harness
}

#[test]
fn a_hub_that_does_not_answer_is_told_of_and_given_up_at_once() {
    let engine = crate::support::silent();
    let mut harness = unanswered(&Window::default(), &engine);
    harness.get_by_label_contains("trying again (2 of 5)");
    tell(&mut harness, &engine, waiting(3));
    harness.get_by_label_contains("trying again (3 of 5)");
    let (request, _) = asked(&engine);
    harness.get_by_label("Stop").click();
    harness.run();
    assert_eq!(engine.traffic.borrow().wishes.last(), Some(&Wish::Cancel(request)));
    assert!(harness.query_by_label_contains("trying again").is_none());
    assert!(!harness.state().state().hub.is_asking());
    // What comes late is no news.
    tell(&mut harness, &engine, waiting(4));
    let stopped = UserError::failure(Text::fixed("The transfer was stopped", "传输已停止"));
    engine.tell(Event::Failed { request: Some(request), error: Box::new(stopped) });
    harness.run();
    assert!(harness.query_by_label_contains("trying again").is_none());
    assert!(harness.query_by_label_contains("was stopped").is_none());
    // The next question is answered as ever.
    push(&mut harness, HubAction::Find);
    tell(&mut harness, &engine, waiting(1));
    tell(&mut harness, &engine, HubEvent::Waiting { why: None });
    assert!(harness.query_by_label_contains("trying again").is_none());
    tell(&mut harness, &engine, hits());
    assert!(harness.state().state().hub.hits.value.is_some() && !harness.state().state().hub.is_asking());
}

#[test]
fn a_dataset_becomes_the_projects_data() {
    let engine = crate::support::silent();
    let mut harness = open(&Window::default(), &engine);
    push(&mut harness, HubAction::Fetch(RepoKind::Dataset));
    push(&mut harness, HubAction::Type("org/rows".into()));
    push(&mut harness, HubAction::Find);
    assert!(matches!(asked(&engine).1, HubCommand::Look { kind: RepoKind::Dataset, .. }));
    let rows = RepoRef { kind: RepoKind::Dataset, ..repo("org/rows") };
    let file = HubFile { path: "train.jsonl".into(), bytes: 9, chosen: true, ..HubFile::default() };
    let card = RepoCard { repo: rows.clone(), files: vec![file], ..RepoCard::default() };
    tell(&mut harness, &engine, HubEvent::Card { card: Box::new(card) });
    push(&mut harness, HubAction::Download);
    let files = vec!["README.md".into(), "train.jsonl".into(), "test.jsonl".into()];
    let download =
        DownloadReport { repo: rows, dir: "/d".into(), files, bytes: 9, fetched_bytes: 9, seconds: 1.0 };
    tell(&mut harness, &engine, HubEvent::Downloaded { download });
    harness.run();
    let train = harness.state().state().project.config.data.train.clone();
    assert_eq!(train, [std::path::PathBuf::from("/d/train.jsonl")]);
}

/// What is asked of the engine about the project's model.
fn is_of_the_model(command: &Command) -> bool {
    matches!(command, Command::Inspect { .. } | Command::Estimate { .. } | Command::Check { .. })
}

#[test]
fn a_name_in_the_models_field_opens_the_hub_there() {
    let engine = crate::support::silent();
    let mut harness = open(&Window::default(), &engine);
    harness.get_by_label("Folder or name on a hub").focus();
    harness.run();
    harness.event(egui::Event::Paste("hf:Qwen/Qwen3-0.6B@main".into()));
    harness.run();
    let (_, look) = asked(&engine);
    let text = "hf:Qwen/Qwen3-0.6B@main".into();
    assert_eq!(look, HubCommand::Look { hub: "hf".into(), kind: RepoKind::Model, text });
    harness.get_by_label("A model from a hub");
}

/// A run file can name a model and a dataset; nothing is asked of a folder of that name.
#[test]
fn what_a_run_file_names_is_shown_and_then_used() {
    let engine = crate::support::silent();
    let mut harness = open(&Window::default(), &engine);
    let mut config = crate::support::example();
    config.model.path = "ms:Qwen/Qwen3-0.6B".into();
    config.data.train = vec!["hf:org/rows@v2".into(), "mine.jsonl".into()];
    harness.state().push(Action::Edit(Box::new(config)));
    harness.run();
    harness.state_mut().set_clock(10.0);
    harness.run();
    let (_, look) = asked(&engine);
    let text = "ms:Qwen/Qwen3-0.6B".into();
    assert_eq!(look, HubCommand::Look { hub: "hf".into(), kind: RepoKind::Model, text });
    assert!(!engine.traffic.borrow().commands.iter().any(is_of_the_model));
    harness.get_by_label("ms:Qwen/Qwen3-0.6B is to be fetched first");
    let report = |repo: RepoRef, files: &[&str]| DownloadReport {
        repo,
        dir: "/cache/there".into(),
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        bytes: 9,
        fetched_bytes: 9,
        seconds: 1.0,
    };
    tell(&mut harness, &engine, card(qwen()));
    push(&mut harness, HubAction::Download);
    let download = report(repo("Qwen/Qwen3-0.6B"), &["config.json"]);
    tell(&mut harness, &engine, HubEvent::Downloaded { download });
    harness.state_mut().set_clock(20.0);
    harness.run();
    // Then the dataset has its turn.
    let (_, look) = asked(&engine);
    let text = "hf:org/rows@v2".into();
    assert_eq!(look, HubCommand::Look { hub: "hf".into(), kind: RepoKind::Dataset, text });
    let rows = RepoRef { kind: RepoKind::Dataset, ..repo("org/rows") };
    let file = HubFile { path: "train.jsonl".into(), bytes: 9, chosen: true, ..HubFile::default() };
    let card = RepoCard { repo: rows.clone(), files: vec![file], ..RepoCard::default() };
    tell(&mut harness, &engine, HubEvent::Card { card: Box::new(card) });
    push(&mut harness, HubAction::Download);
    let download = report(rows, &["train.jsonl"]);
    tell(&mut harness, &engine, HubEvent::Downloaded { download });
    harness.state_mut().set_clock(30.0);
    harness.run();
    let config = &harness.state().state().project.config;
    assert_eq!(config.model.path, std::path::Path::new("/cache/there"));
    let files = ["mine.jsonl", "/cache/there/train.jsonl"].map(std::path::PathBuf::from);
    assert_eq!(config.data.train, files);
    assert!(engine.traffic.borrow().commands.iter().any(is_of_the_model));
}

#[test]
fn a_refusal_stands_in_the_sheet() {
    let engine = crate::support::silent();
    let mut harness = open(&Window::default(), &engine);
    push(&mut harness, HubAction::Fetch(RepoKind::Model));
    push(&mut harness, HubAction::Type("org/none".into()));
    push(&mut harness, HubAction::Find);
    let error =
        UserError::bad_input(Text::fixed("Hugging Face has no org/none", "Hugging Face 上没有 org/none"));
    engine.tell(Event::Failed { request: Some(asked(&engine).0), error: Box::new(error) });
    harness.run();
    harness.get_by_label("Hugging Face has no org/none");
}

fn plan() -> PushPlan {
    let file = |path: &str, bytes: u64, state: PushState| PushFile {
        path: path.into(),
        bytes,
        sha256: "ab".repeat(32),
        state,
    };
    PushPlan {
        repo: repo("me/my-adapter"),
        url: "https://huggingface.co/me/my-adapter".into(),
        user: "me".into(),
        private: true,
        files: vec![
            file("README.md", 2_048, PushState::Changed),
            file("adapter_config.json", 812, PushState::Same),
            file("adapter_model.safetensors", 8_812_544, PushState::New),
        ],
        licence: Some("apache-2.0".into()),
        digest: "digest".into(),
        ..PushPlan::default()
    }
}

fn publishing(window: &Window, engine: &FakeEngine) -> Harness<'static, App> {
    let mut harness = open(window, engine);
    push(&mut harness, HubAction::Publish("/exports/my-adapter".into()));
    let mut draft = harness.state().state().hub.draft.clone();
    draft.repo = "me/my-adapter".into();
    push(&mut harness, HubAction::Draft(Box::new(draft)));
    push(&mut harness, HubAction::Plan);
    tell(&mut harness, engine, HubEvent::PushPlanned { plan: Box::new(plan()) });
    harness
}

#[test]
fn nothing_is_sent_before_a_yes_to_what_is_shown() {
    let engine = crate::support::silent();
    let mut harness = publishing(&Window::default(), &engine);
    let sent = |engine: &FakeEngine| {
        let traffic = engine.traffic.borrow();
        traffic
            .commands
            .iter()
            .any(|command| matches!(command, Command::Hub { hub: HubCommand::Push { .. }, .. }))
    };
    assert!(!sent(&engine));
    // Another form is another plan: the old one is gone.
    let mut draft = harness.state().state().hub.draft.clone();
    draft.private = false;
    push(&mut harness, HubAction::Draft(Box::new(draft)));
    push(&mut harness, HubAction::Push);
    assert!(!sent(&engine));
    push(&mut harness, HubAction::Plan);
    tell(&mut harness, &engine, HubEvent::PushPlanned { plan: Box::new(plan()) });
    harness.get_by_label_contains("Send these files").click();
    harness.run();
    let (_, sent) = asked(&engine);
    assert!(matches!(sent, HubCommand::Push { agreed, .. } if agreed == "digest"));
    let PushPlan { repo, url, files, .. } = plan();
    let report = PushReport { repo, url, commit: None, files, sent_bytes: 0, seconds: 1.0 };
    tell(&mut harness, &engine, HubEvent::Pushed { report: Box::new(report) });
    harness.get_by_label("Published; every file is there, by its hash");
}

#[test]
fn a_token_leaves_the_window_once_and_is_never_shown() {
    let engine = crate::support::silent();
    let mut harness = open(&Window { size: [1280.0, 1900.0], ..Window::default() }, &engine);
    harness.state().push(Action::Open(settings::PANEL.panel_id()));
    harness.run();
    harness.run();
    let account = |token| HubAccount {
        hub: "hf".into(),
        endpoint: "https://huggingface.co".into(),
        user: None,
        token,
        note: None,
    };
    let requests: Vec<RequestId> = {
        let traffic = engine.traffic.borrow();
        let ids = traffic.commands.iter().filter_map(|command| match command {
            Command::Hub { request, hub: HubCommand::Account { .. }, .. } => Some(*request),
            _ => None,
        });
        ids.collect()
    };
    assert_eq!(requests.len(), 2, "each hub was asked once");
    for request in requests {
        engine.tell(Event::Hub { request, update: HubEvent::Account { account: account(TokenPlace::None) } });
    }
    harness.run();
    let fields: Vec<_> = harness.get_all_by_label("New token").collect();
    fields.last().unwrap().focus();
    drop(fields);
    harness.run();
    harness.event(egui::Event::Text(TOKEN.into()));
    harness.run();
    let shown = format!("{:?}", harness.root());
    assert!(!shown.contains(TOKEN), "the field shows what was typed");
    harness.get_all_by_label("Log in").for_each(|button| button.click());
    harness.run();
    let (_, login) = asked(&engine);
    let HubCommand::Login { token, .. } = &login else { panic!("{login:?}") };
    assert_eq!(*token, Secret::new(TOKEN.into()));
    assert!(!format!("{login:?}").contains(TOKEN));
    let kept = serde_json::to_string(&harness.state().persist()).unwrap();
    assert!(!kept.contains(&TOKEN[3..]), "the window's file holds the token");
}

#[test]
fn every_state_has_a_picture() {
    let zh = Window { language: Language::Chinese, dark: false, ..Window::default() };
    let unsupported = || {
        let why = Text::fixed("Models of type `elephant` are not supported", "不支持 `elephant` 类型的模型");
        Support::Unsupported { why: Box::new(UserError::bad_input(why)) }
    };
    let engine = crate::support::silent;
    let mut results = SnapshotResults::new();
    let mut picture = |name: &str, mut harness: Harness<'static, App>| {
        results.add(harness.try_snapshot_options(name, &crate::snapshots::options()));
    };
    let begun = |window: &Window| {
        let mut harness = open(window, &engine());
        push(&mut harness, HubAction::Fetch(RepoKind::Model));
        harness
    };
    picture("hub-begun-zh", begun(&zh));
    picture("hub-hits", searched(&Window::default(), &engine()));
    picture("hub-card", looked(&Window::default(), &engine(), qwen()));
    picture("hub-card-zh", looked(&zh, &engine(), unsupported()));
    let mut coming = looked(&Window::default(), &engine(), qwen());
    push(&mut coming, HubAction::Download);
    picture("hub-coming", coming);
    picture("hub-waiting", unanswered(&Window::default(), &engine()));
    picture("hub-waiting-zh", unanswered(&zh, &engine()));
    let fake = engine();
    let mut broken = looked(&Window::default(), &fake, qwen());
    push(&mut broken, HubAction::Download);
    let (request, _) = asked(&fake);
    let stage = Text::fixed("Downloading", "正在下载");
    fake.tell(Event::Progress {
        request,
        stage,
        done: 1 << 29,
        total: 1 << 30,
        unit: protocol::Unit::Bytes,
        seconds_left: None,
    });
    tell(&mut broken, &fake, waiting(1));
    picture("hub-coming-waiting", broken);
    let two = Window { scale: 2.0, ..Window::default() };
    picture("hub-card-2x", looked(&two, &engine(), qwen()));
    picture("hub-publish", publishing(&Window::default(), &engine()));
    picture("hub-publish-zh", publishing(&zh, &engine()));
}
