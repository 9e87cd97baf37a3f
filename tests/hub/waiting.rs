//! A hub that does not answer: the caller hears of it at once, and need not wait for the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hub::{Caller, Patience};
use protocol::{RepoKind, Text};

use crate::fake::Fake;
use crate::server::{Reply, Server};
use crate::support::{Client, hasty, model, noise, silent};

type Heard = Arc<Mutex<Vec<Option<Text>>>>;

/// A caller and what it hears.
fn listening() -> (Caller, Heard) {
    let heard = Heard::default();
    let kept = heard.clone();
    (Caller::patient().hearing(move |why| kept.lock().unwrap().push(why.cloned())), heard)
}

fn english(heard: &Heard) -> Vec<Option<String>> {
    heard.lock().unwrap().iter().map(|why| why.as_ref().map(|why| why.en.to_string())).collect()
}

fn dropping() -> Server {
    Server::start(|_| Reply { cut: Some(0), ..Reply::new(200, "") })
}

#[tokio::test]
async fn every_attempt_is_told_and_its_end() {
    let server = dropping();
    let client = Client::at(server.url.as_str(), false, tempfile::tempdir().unwrap());
    let (caller, heard) = listening();
    let search = ("hf", RepoKind::Model, "tiny");
    let error = client.hubs.search(&client.settings, search, &caller).await.unwrap_err();
    assert!(error.what.en.contains("connection"), "{error}");
    let attempts = (1..=hasty().retries)
        .map(|n| Some(format!("The connection to Hugging Face failed: trying again ({n} of 4)…")));
    assert_eq!(english(&heard), attempts.chain([None]).collect::<Vec<_>>());
    let first = heard.lock().unwrap()[0].clone().unwrap();
    assert_eq!(first.zh, "与 Hugging Face 的连接失败：正在重试（第 1 次，共 4 次）…");
}

#[tokio::test]
async fn who_has_heard_enough_ends_it_at_once() {
    let server = dropping();
    let long = Patience { first: Duration::from_secs(60), longest: Duration::from_secs(60), ..hasty() };
    let mut client = Client::at(server.url.as_str(), false, tempfile::tempdir().unwrap());
    client.hubs = client.hubs.with_patience(long);
    let enough = Arc::new(AtomicBool::new(false));
    let (wanted, told) = (enough.clone(), enough.clone());
    let caller = Caller::who_ends(move || wanted.load(Ordering::Acquire))
        .hearing(move |why| told.store(why.is_some() || told.load(Ordering::Acquire), Ordering::Release));
    let start = Instant::now();
    let error = client.hubs.look(&client.settings, &model("org/tiny"), &caller).await.unwrap_err();
    assert!(error.what.en.contains("stopped"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Parts of a download break one after the other: each trouble is told, and when all is well again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_breaks_is_told_of_until_it_goes_on() {
    let fake = Fake::new();
    fake.add("org/tiny", &[("config.json", &noise(90, 1)), ("model.safetensors", &noise(150, 2))]);
    let mut breaks = 3;
    fake.twist(move |request, reply| match request.path.contains("/store/") && breaks > 0 {
        true => {
            breaks -= 1;
            Reply { cut: Some(0), ..reply }
        }
        false => reply,
    });
    let client = Client::of(&fake, false);
    let (caller, heard) = listening();
    let job = client.hubs.prepare(&client.settings, &model("org/tiny"), &[], &caller).await.unwrap();
    assert!(english(&heard).is_empty(), "a hub that answers is not told of");
    client.hubs.download(&job, &silent(), &caller).await.unwrap();
    let heard = english(&heard);
    assert_eq!(heard.len(), 4, "{heard:?}");
    assert!(heard[2].as_ref().unwrap().ends_with("trying again (3 of 4)…"), "{heard:?}");
    assert_eq!(heard[3], None);
}

/// A hub that takes the connection and then says nothing.
#[tokio::test]
async fn a_silent_hub_is_told_of_before_it_is_given_up() {
    let server = Server::start(|_| Reply {
        stall: Some(Duration::from_secs(30)),
        cut: Some(0),
        ..Reply::new(200, "")
    });
    let mut client = Client::at(server.url.as_str(), false, tempfile::tempdir().unwrap());
    client.hubs = client.hubs.with_patience(Patience { silence: Duration::from_secs(20), ..hasty() });
    let enough = Arc::new(AtomicBool::new(false));
    let (wanted, told, heard) = (enough.clone(), enough, Heard::default());
    let kept = heard.clone();
    let caller = Caller::who_ends(move || wanted.load(Ordering::Acquire)).hearing(move |why| {
        kept.lock().unwrap().push(why.cloned());
        told.store(true, Ordering::Release);
    });
    let start = Instant::now();
    let search = ("hf", RepoKind::Model, "tiny");
    client.hubs.search(&client.settings, search, &caller).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(english(&heard)[0].as_deref(), Some("Hugging Face has not answered yet…"));
}
