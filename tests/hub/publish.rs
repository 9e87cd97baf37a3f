//! A push: shown first, sent once, looked at afterwards.

use std::path::Path;

use hub::Caller;
use protocol::{PushPlan, PushReport, PushRequest, PushState, Result};

use crate::fake::{Fake, TOKEN, sha256};
use crate::server::Reply;
use crate::support::{Client, model, noise, silent};

/// A folder as an export writes it.
fn exported(dir: &Path) {
    std::fs::write(dir.join("README.md"), "# A card").unwrap();
    std::fs::write(dir.join("adapter_config.json"), "{\"r\": 8}").unwrap();
    std::fs::write(dir.join("adapter_model.safetensors"), noise(70_000, 1)).unwrap();
}

struct Pushing {
    fake: Fake,
    client: Client,
    push: PushRequest,
    _folder: tempfile::TempDir,
}

impl Pushing {
    fn new() -> Self {
        let (fake, folder) = (Fake::new(), tempfile::tempdir().unwrap());
        exported(folder.path());
        let client = Client::of(&fake, true);
        let push = PushRequest {
            repo: model("me/mine"),
            folder: folder.path().into(),
            private: true,
            create: true,
            message: "First".into(),
        };
        Self { fake, client, push, _folder: folder }
    }

    async fn plan(&self) -> Result<PushPlan> {
        self.client.hubs.plan_push(&self.client.settings, &self.push, &Caller::patient()).await
    }

    async fn push(&self, plan: &PushPlan) -> Result<PushReport> {
        let pushed = (&self.push, plan.digest.as_str());
        self.client.hubs.push(&self.client.settings, pushed, &silent(), &Caller::patient()).await
    }
}

#[tokio::test]
async fn what_was_shown_is_what_is_there() {
    for part in [0, 30_000] {
        let pushing = Pushing::new();
        pushing.fake.inner.lock().unwrap().part = part;
        let plan = pushing.plan().await.unwrap();
        assert_eq!((plan.user.as_str(), plan.exists, plan.private), ("tester", false, true));
        assert_eq!(plan.files.len(), 3);
        assert!(plan.files.iter().all(|file| file.state == PushState::New));
        let sent =
            |fake: &Fake| fake.hub.log.lock().unwrap().iter().filter(|heard| heard.method != "GET").count();
        assert_eq!(sent(&pushing.fake), 0, "a plan sends nothing");
        let report = pushing.push(&plan).await.unwrap();
        assert_eq!(report.files[1].path, "adapter_config.json");
        assert_eq!(report.sent_bytes, plan.send_bytes());
        let repo = pushing.fake.repo("me/mine");
        assert!(repo.private);
        assert_eq!(sha256(&repo.files["adapter_model.safetensors"]), plan.files[2].sha256);
        assert_eq!(repo.files["README.md"], b"# A card");
        assert!(pushing.fake.store.log.lock().unwrap().iter().all(|request| request.token().is_none()));
        // Once more: all is there.
        let plan = pushing.plan().await.unwrap();
        assert!(plan.exists && plan.send_bytes() == 0);
        let report = pushing.push(&plan).await.unwrap();
        assert_eq!((report.commit, report.sent_bytes), (None, 0));
    }
}

#[tokio::test]
async fn the_licence_is_the_cards() {
    let pushing = Pushing::new();
    let card = pushing.push.folder.join("README.md");
    for (text, licence, note) in [
        ("# A card", None, Some("names no licence")),
        ("---\nlicense: apache-2.0\n---\n# A card", Some("apache-2.0"), None),
        ("---\nlicense: other\nlicense_name: llama3\n---\n# A card", Some("llama3"), None),
    ] {
        std::fs::write(&card, text).unwrap();
        let plan = pushing.plan().await.unwrap();
        assert_eq!(plan.licence.as_deref(), licence);
        let notes: Vec<_> = plan.notes.iter().map(|note| note.en.to_string()).collect();
        assert!(notes.len() == usize::from(note.is_some()), "{notes:?}");
        assert!(note.is_none_or(|note| notes[0].contains(note)), "{notes:?}");
    }
    // It is part of what a yes is given to.
    let plan = pushing.plan().await.unwrap();
    std::fs::write(&card, "---\nlicense: other\nlicense_name: llama4\n---\n# A card").unwrap();
    assert_ne!(pushing.plan().await.unwrap().digest, plan.digest);
}

#[tokio::test]
async fn a_changed_file_goes_alone() {
    let pushing = Pushing::new();
    let plan = pushing.plan().await.unwrap();
    pushing.push(&plan).await.unwrap();
    std::fs::write(pushing.push.folder.join("README.md"), "# A better card").unwrap();
    let plan = pushing.plan().await.unwrap();
    let states: Vec<_> = plan.files.iter().map(|file| file.state).collect();
    assert_eq!(states, [PushState::Changed, PushState::Same, PushState::Same]);
    assert_eq!(pushing.push(&plan).await.unwrap().sent_bytes, 15);
    assert_eq!(pushing.fake.repo("me/mine").files["README.md"], b"# A better card");
}

#[tokio::test]
async fn a_yes_is_given_to_what_was_shown() {
    let pushing = Pushing::new();
    let plan = pushing.plan().await.unwrap();
    std::fs::write(pushing.push.folder.join("notes.txt"), "one more").unwrap();
    let error = pushing.push(&plan).await.unwrap_err();
    assert!(error.what.en.contains("has changed since"), "{error}");
    assert!(pushing.fake.inner.lock().unwrap().repos.is_empty());
}

#[tokio::test]
async fn no_repository_is_made_unasked() {
    let mut pushing = Pushing::new();
    pushing.push.create = false;
    let plan = pushing.plan().await.unwrap();
    let error = pushing.push(&plan).await.unwrap_err();
    assert!(error.what.en.contains("no repository me/mine"), "{error}");
}

/// An upload that broke goes on with what the store does not have.
#[tokio::test]
async fn a_broken_push_goes_on() {
    let pushing = Pushing::new();
    std::fs::write(pushing.push.folder.join("model.safetensors"), noise(50_000, 2)).unwrap();
    let plan = pushing.plan().await.unwrap();
    let last = plan.files.iter().find(|file| file.path == "model.safetensors").unwrap().sha256.clone();
    let stuck = last.clone();
    pushing.fake.twist(move |request, reply| {
        match request.path.ends_with(&stuck) && request.method == "PUT" {
            true => Reply { cut: Some(0), ..reply },
            false => reply,
        }
    });
    {
        // What the store took before it broke is not to count.
        let error = pushing.push(&plan).await.unwrap_err();
        assert!(error.what.en.contains("connection"), "{error}");
        pushing.fake.inner.lock().unwrap().blobs.remove(&last);
    }
    let before = pushing.fake.store.requests("/upload/").len();
    pushing.fake.twist(|_, reply| reply);
    let plan = pushing.plan().await.unwrap();
    pushing.push(&plan).await.unwrap();
    assert_eq!(pushing.fake.store.requests("/upload/").len(), before + 1, "only the missing file was sent");
    assert_eq!(pushing.fake.repo("me/mine").files.len(), 4);
}

/// The hub makes the commit and the answer is lost: no second one.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_made_once() {
    let pushing = Pushing::new();
    let plan = pushing.plan().await.unwrap();
    pushing.fake.twist(|request, reply| match request.path.contains("/commit/") {
        true => Reply { cut: Some(5), ..reply },
        false => reply,
    });
    let report = pushing.push(&plan).await.unwrap();
    assert_eq!(report.commit.as_deref(), Some(format!("{:040x}", 1).as_str()));
    assert_eq!(pushing.fake.repo("me/mine").commits, 1);
}

#[tokio::test]
async fn what_did_not_arrive_is_told() {
    let pushing = Pushing::new();
    let plan = pushing.plan().await.unwrap();
    let mut committed = false;
    pushing.fake.twist(move |request, reply| {
        committed |= request.path.contains("/commit/");
        if committed && request.path.contains("/tree/") { Reply::new(200, "[]") } else { reply }
    });
    let error = pushing.push(&plan).await.unwrap_err();
    assert!(error.what.en.contains("does not have what was sent") && error.details.len() == 3, "{error}");
}

#[tokio::test]
async fn a_token_in_a_file_stays_here() {
    for (name, content) in [
        ("README.md", format!("use {TOKEN}")),
        ("tokenizer.json", format!("{}{TOKEN}", "x".repeat(1_048_570))),
        ("extra.txt", "hf_SomebodyElsesTokenThatLooksReal12".into()),
    ] {
        let pushing = Pushing::new();
        std::fs::write(pushing.push.folder.join(name), content).unwrap();
        let error = pushing.plan().await.unwrap_err();
        assert!(error.what.en.contains("holds a token"), "{error}");
        assert!(error.place.file.as_ref().unwrap().ends_with(name));
        assert!(!crate::support::everything(&error).contains(TOKEN));
    }
}

#[tokio::test]
async fn what_others_should_not_see_is_noted() {
    let pushing = Pushing::new();
    std::fs::remove_file(pushing.push.folder.join("README.md")).unwrap();
    let config = "{\"base_model_name_or_path\": \"/home/me/models/x\"}";
    std::fs::write(pushing.push.folder.join("adapter_config.json"), config).unwrap();
    let notes = pushing.plan().await.unwrap().notes;
    assert!(notes[0].en.contains("no model card"), "{notes:?}");
    assert!(notes[1].en.contains("/home/me/models/x"), "{notes:?}");
}

#[tokio::test]
async fn nobody_publishes_unknown() {
    let pushing = Pushing::new();
    let client = Client::of(&pushing.fake, false);
    let error = client.hubs.plan_push(&client.settings, &pushing.push, &Caller::patient()).await.unwrap_err();
    assert!(error.mend.unwrap().en.contains("hub login"));
}
