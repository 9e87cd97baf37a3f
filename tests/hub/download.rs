//! What a sound hub gives.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hub::Caller;
use protocol::{FileHash, RepoKind, RepoRef};

use crate::fake::{COMMIT, Fake, TOKEN, ranged, sha256};
use crate::support::{Client, files_ending, model, noise, silent};

#[tokio::test]
async fn a_model_comes_whole_into_the_published_layout() {
    let fake = Fake::new();
    let weights = noise(100_000, 1);
    fake.add(
        "org/tiny",
        &[
            ("config.json", b"{}"),
            ("model.safetensors", &weights),
            ("pytorch_model.bin", b"the same once more"),
            ("empty.txt", b""),
            ("README.md", b"# a card"),
        ],
    );
    let client = Client::of(&fake, false);
    let report = client.download(&model("org/tiny")).await.unwrap();
    assert_eq!(report.files, ["README.md", "config.json", "empty.txt", "model.safetensors"]);
    assert_eq!(report.fetched_bytes, report.bytes);
    let repo = client.folder("models--org--tiny");
    assert_eq!(report.dir, repo.join("snapshots").join(COMMIT));
    assert_eq!(std::fs::read(report.dir.join("model.safetensors")).unwrap(), weights);
    assert_eq!(std::fs::read_to_string(repo.join("refs/main")).unwrap(), COMMIT);
    let link = std::fs::read_link(report.dir.join("model.safetensors")).unwrap();
    assert_eq!(link.to_string_lossy(), format!("../../blobs/{}", sha256(&weights)));
    assert!(files_ending(client.home.path(), ".incomplete").is_empty());
    // The second time nothing comes.
    assert_eq!(client.download(&model("org/tiny")).await.unwrap().fetched_bytes, 0);
    assert_eq!(fake.store.requests("/store/").len(), 1);
}

#[tokio::test]
async fn a_card_tells_what_would_come() {
    let fake = Fake::new();
    fake.add("org/tiny", &[("config.json", br#"{"model_type":"llama"}"#), ("model.safetensors", &[7; 500])]);
    fake.inner.lock().unwrap().repos.get_mut("org/tiny").unwrap().gated = true;
    let client = Client::of(&fake, true);
    let (settings, stop) = (&client.settings, Caller::patient());
    let card = client.hubs.look(settings, &model("org/tiny"), &stop).await.unwrap();
    assert_eq!((card.licence.as_deref(), card.gated, card.downloads), (Some("apache-2.0"), true, 7));
    assert_eq!(card.missing_bytes(), 522);
    assert_eq!(card.files[1].hash, Some(FileHash::Sha256(sha256(&[7; 500]))));
    let config = client.hubs.small_file(settings, &card, "config.json", &stop).await.unwrap();
    assert_eq!(config.as_deref(), Some(&br#"{"model_type":"llama"}"#[..]));
    assert_eq!(client.hubs.small_file(settings, &card, "absent.json", &stop).await.unwrap(), None);
    // A look leaves no snapshot that would pass for a model.
    assert!(!card.folder.exists());
}

#[tokio::test]
async fn a_search_names_repositories() {
    let fake = Fake::new();
    fake.add("org/tiny-llama", &[]);
    fake.add("org/other", &[]);
    let client = Client::of(&fake, false);
    for kind in [RepoKind::Model, RepoKind::Dataset] {
        let hits =
            client.hubs.search(&client.settings, ("hf", kind, " llama "), &Caller::patient()).await.unwrap();
        assert_eq!(hits.len(), 1);
        assert_eq!(
            (hits[0].repo.id.as_str(), hits[0].repo.kind, hits[0].downloads),
            ("org/tiny-llama", kind, 7)
        );
        assert_eq!(hits[0].updated.as_deref(), Some("2026-01-31"));
    }
}

#[tokio::test]
async fn a_long_listing_comes_in_pages() {
    let fake = Fake::new();
    let names: Vec<String> = (0..57).map(|number| format!("data/rows-{number:03}.jsonl")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"{}\n"[..])).collect();
    fake.add("org/rows", &files);
    fake.inner.lock().unwrap().page = 10;
    let client = Client::of(&fake, false);
    let repo = RepoRef { kind: RepoKind::Dataset, ..model("org/rows") };
    let report = client.download(&repo).await.unwrap();
    assert_eq!(report.files, names);
    assert!(report.dir.join("data/rows-056.jsonl").is_file());
    assert!(report.dir.starts_with(client.folder("datasets--org--rows")));
}

#[tokio::test]
async fn only_what_was_wanted_comes() {
    let fake = Fake::new();
    fake.add(
        "org/tiny",
        &[("config.json", b"{}"), ("model.safetensors", &[1; 50]), ("pytorch_model.bin", &[2; 60])],
    );
    let client = Client::of(&fake, false);
    let (settings, stop) = (&client.settings, Caller::patient());
    let wanted = ["pytorch_model.bin".to_owned()];
    let job = client.hubs.prepare(settings, &model("org/tiny"), &wanted, &stop).await.unwrap();
    let report = client.hubs.download(&job, &silent(), &stop).await.unwrap();
    assert_eq!((report.files, report.fetched_bytes), (wanted.to_vec(), 60));
    let error = client.hubs.prepare(settings, &model("org/tiny"), &["x".into()], &stop).await.unwrap_err();
    assert!(error.what.en.contains("has no file x"), "{error}");
}

#[tokio::test]
async fn a_stop_is_heard_at_once_and_the_rest_comes_later() {
    let fake = Fake::new();
    let weights = noise(4_000_000, 2);
    fake.add("org/tiny", &[("model.safetensors", &weights)]);
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = stopped.clone();
    let content = weights.clone();
    // The store gives half and then nothing, on a connection that stays open.
    fake.twist(move |request, reply| {
        if !request.path.contains("/store/") || request.range().is_some() {
            return reply;
        }
        flag.store(true, Ordering::Release);
        let half = content[..2_000_000].to_vec();
        let stall = Some(Duration::from_secs(6));
        crate::server::Reply { body: half, claimed: Some(content.len()), stall, ..reply }
    });
    let client = Client::of(&fake, false);
    let wanted = stopped.clone();
    let stop = Caller::who_ends(move || wanted.load(Ordering::Acquire));
    let job =
        client.hubs.prepare(&client.settings, &model("org/tiny"), &[], &Caller::patient()).await.unwrap();
    let start = Instant::now();
    let error = client.hubs.download(&job, &silent(), &stop).await.unwrap_err();
    assert!(error.what.en.contains("was stopped"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(!job.card.folder.exists());
    let report = client.download(&model("org/tiny")).await.unwrap();
    assert_eq!(std::fs::read(report.dir.join("model.safetensors")).unwrap(), weights);
}

#[tokio::test]
async fn progress_ends_at_the_whole() {
    let fake = Fake::new();
    fake.add("org/tiny", &[("config.json", b"{}"), ("model.safetensors", &noise(300_000, 3))]);
    let client = Client::of(&fake, false);
    let job =
        client.hubs.prepare(&client.settings, &model("org/tiny"), &[], &Caller::patient()).await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    let progress: hub::Progress = Arc::new(move |done, total, _| heard.lock().unwrap().push((done, total)));
    client.hubs.download(&job, &progress, &Caller::patient()).await.unwrap();
    let told = told.lock().unwrap();
    assert_eq!(told.last(), Some(&(300_002, 300_002)));
    assert!(told.iter().all(|(done, total)| done <= total));
}

/// Two processes that fetch the same model do it once: here, two clients on one cache.
#[tokio::test]
async fn two_at_a_time_fetch_once() {
    let fake = Fake::new();
    let weights = noise(2_000_000, 4);
    fake.add("org/tiny", &[("model.safetensors", &weights)]);
    let served = Arc::new(AtomicU64::new(0));
    let count = served.clone();
    fake.twist(move |request, reply| {
        if request.path.contains("/store/") {
            count.fetch_add(1, Ordering::Relaxed);
        }
        reply
    });
    let client = Client::of(&fake, false);
    let repo = model("org/tiny");
    let (first, second) = tokio::join!(client.download(&repo), client.download(&repo));
    assert_eq!(first.unwrap().dir, second.unwrap().dir);
    assert_eq!(served.load(Ordering::Relaxed), 1);
}

/// A part that `huggingface_hub` has left is gone on with.
#[tokio::test]
async fn what_another_tool_began_is_finished() {
    let fake = Fake::new();
    let weights = noise(50_000, 5);
    fake.add("org/tiny", &[("model.safetensors", &weights)]);
    let client = Client::of(&fake, false);
    let blobs = client.folder("models--org--tiny/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(format!("{}.incomplete", sha256(&weights))), &weights[..30_000]).unwrap();
    assert_eq!(client.download(&model("org/tiny")).await.unwrap().fetched_bytes, 20_000);
    assert_eq!(fake.store.requests("/store/")[0].range(), Some(30_000));
}

#[tokio::test]
async fn a_file_that_changed_on_the_way_is_begun_again() {
    let fake = Fake::new();
    let weights = noise(50_000, 6);
    fake.add("org/tiny", &[("model.safetensors", &weights)]);
    let content = weights.clone();
    let mut first = true;
    // The first connection breaks in the middle of another version.
    fake.twist(move |request, reply| {
        if !request.path.contains("/store/") || !std::mem::take(&mut first) {
            return reply;
        }
        let other = noise(content.len(), 7);
        crate::server::Reply { cut_body: Some(20_000), ..ranged(request, &other) }
    });
    let client = Client::of(&fake, false);
    let report = client.download(&model("org/tiny")).await.unwrap();
    assert_eq!(std::fs::read(report.dir.join("model.safetensors")).unwrap(), weights);
    let asked = fake.store.requests("/store/");
    assert!(asked[1].headers.contains_key("if-range") && asked.len() == 2, "If-Range spared a third request");
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_nowhere_else() {
    let fake = Fake::new();
    fake.add("org/closed", &[("config.json", b"{}"), ("model.safetensors", &[3; 900])]);
    fake.inner.lock().unwrap().repos.get_mut("org/closed").unwrap().gated = true;
    let client = Client::of(&fake, true);
    client.download(&model("org/closed")).await.unwrap();
    assert!(fake.hub.log.lock().unwrap().iter().all(|request| request.token() == Some(TOKEN)));
    let store = fake.store.log.lock().unwrap();
    assert!(!store.is_empty());
    for request in store.iter() {
        assert!(!format!("{request:?}").contains(TOKEN), "{request:?}");
    }
}
