//! What is here already, and what is not to be asked for.

use hub::Caller;
use protocol::{HubSettings, Secret};

use crate::fake::{COMMIT, Fake};
use crate::support::{Client, model, noise};

fn offline(client: &Client) -> HubSettings {
    HubSettings { offline: true, ..client.settings.clone() }
}

#[tokio::test]
async fn a_model_in_the_cache_is_found_without_the_hub() {
    let fake = Fake::new();
    fake.add("org/tiny", &[("config.json", b"{}"), ("model.safetensors", &noise(500, 1))]);
    let client = Client::of(&fake, false);
    let online = client.download(&model("org/tiny")).await.unwrap();
    let asked = fake.hub.log.lock().unwrap().len();
    let (settings, stop) = (offline(&client), Caller::patient());
    let card = client.hubs.look(&settings, &model("org/tiny"), &stop).await.unwrap();
    assert!(card.offline && card.missing_bytes() == 0 && card.commit == COMMIT);
    assert_eq!(
        client.hubs.small_file(&settings, &card, "config.json", &stop).await.unwrap().as_deref(),
        Some(&b"{}"[..])
    );
    let job = client.hubs.prepare(&settings, &model("org/tiny"), &[], &stop).await.unwrap();
    let again = client.hubs.download(&job, &crate::support::silent(), &stop).await.unwrap();
    assert_eq!((again.dir, again.files, again.fetched_bytes), (online.dir, online.files, 0));
    assert_eq!(fake.hub.log.lock().unwrap().len(), asked, "nobody was asked");
}

/// The layout as `huggingface_hub` writes it, made by hand.
#[tokio::test]
async fn what_python_has_fetched_is_found() {
    let fake = Fake::new();
    let client = Client::of(&fake, false);
    let repo = client.folder("models--org--theirs");
    let snapshot = repo.join("snapshots").join(COMMIT);
    for dir in ["blobs", "refs"] {
        std::fs::create_dir_all(repo.join(dir)).unwrap();
    }
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::write(repo.join("blobs/aa"), "{}").unwrap();
    std::fs::write(repo.join("refs/main"), COMMIT).unwrap();
    std::os::unix::fs::symlink("../../blobs/aa", snapshot.join("config.json")).unwrap();
    std::os::unix::fs::symlink("../../blobs/gone", snapshot.join("model.safetensors")).unwrap();
    let card = client.hubs.look(&offline(&client), &model("org/theirs"), &Caller::patient()).await.unwrap();
    let files: Vec<_> = card.files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
    assert_eq!(files, [("config.json", 2)], "a link that leads nowhere is no file");
}

#[tokio::test]
async fn offline_asks_nobody() {
    let fake = Fake::new();
    fake.add("org/tiny", &[("config.json", b"{}")]);
    let client = Client::of(&fake, true);
    let (settings, stop) = (offline(&client), Caller::patient());
    let error = client.hubs.look(&settings, &model("org/tiny"), &stop).await.unwrap_err();
    assert!(error.what.en.contains("not in the cache"), "{error}");
    let search = ("hf", protocol::RepoKind::Model, "tiny");
    assert!(client.hubs.search(&settings, search, &stop).await.unwrap_err().what.en.contains("offline"));
    assert!(client.hubs.login(&settings, ("hf", Secret::new("x".into()), false), &stop).await.is_err());
    assert!(fake.hub.log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_hub_that_is_away_leaves_the_cache() {
    let fake = Fake::new();
    fake.add("org/tiny", &[("config.json", b"{}")]);
    let client = Client::of(&fake, false);
    client.download(&model("org/tiny")).await.unwrap();
    fake.twist(|_, reply| crate::server::Reply { cut: Some(0), ..reply });
    let card = client.hubs.look(&client.settings, &model("org/tiny"), &Caller::patient()).await.unwrap();
    assert!(card.offline && card.notes[0].en.contains("From the cache"), "{:?}", card.notes);
    assert!(client.hubs.look(&client.settings, &model("org/other"), &Caller::patient()).await.is_err());
}

/// A half-fetched newer commit does not take the older one's place.
#[tokio::test]
async fn a_branch_moves_when_everything_is_here() {
    let fake = Fake::new();
    fake.add("org/tiny", &[("config.json", b"{}"), ("model.safetensors", &noise(500, 1))]);
    let client = Client::of(&fake, false);
    client.download(&model("org/tiny")).await.unwrap();
    {
        let mut inner = fake.inner.lock().unwrap();
        let repo = inner.repos.get_mut("org/tiny").unwrap();
        repo.files.insert("model.safetensors".into(), noise(600, 2));
        repo.commits = 5;
    }
    fake.twist(|request, reply| match request.path.contains("/store/") {
        true => crate::server::Reply { cut: Some(0), ..reply },
        false => reply,
    });
    client.download(&model("org/tiny")).await.unwrap_err();
    let note = client.folder("models--org--tiny/refs/main");
    assert_eq!(std::fs::read_to_string(&note).unwrap(), COMMIT);
    fake.twist(|_, reply| reply);
    client.download(&model("org/tiny")).await.unwrap();
    assert_eq!(std::fs::read_to_string(&note).unwrap(), format!("{:040x}", 5));
}
