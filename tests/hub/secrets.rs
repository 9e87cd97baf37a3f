//! A token is seen by its hub and by nobody else.

use std::sync::Arc;

use hub::{Caller, Environment, Hubs, MemoryStore, SecretStore, Tokens};
use protocol::{HubSettings, PushRequest, Secret, TokenPlace};

use crate::fake::{Fake, TOKEN};
use crate::server::Reply;
use crate::support::{Client, everything, hasty, model};

/// A hub that says back all it heard, in every way it has.
fn echoing(status: u16) -> Fake {
    let fake = Fake::new();
    fake.add("org/tiny", &[("config.json", b"{}"), ("model.safetensors", &[1; 100])]);
    fake.twist(move |request, reply| {
        let Some(token) = request.token() else { return reply };
        let words = format!("{{\"error\": \"no: {token}\", \"Message\": \"{token}\"}}");
        Reply::new(status, words)
            .with("x-error-message", format!("bad token {token}"))
            .with("x-request-id", token)
    });
    fake
}

#[tokio::test]
async fn no_error_repeats_the_token() {
    for status in [400, 401, 403, 404, 409, 429, 500, 503, 200] {
        let fake = echoing(status);
        let client = Client::of(&fake, true);
        let (settings, stop) = (&client.settings, Caller::patient());
        let repo = model("org/tiny");
        let push =
            PushRequest { repo: repo.clone(), folder: client.home.path().into(), ..PushRequest::default() };
        let search = ("hf", protocol::RepoKind::Model, "tiny");
        let login = ("hf", Secret::new(TOKEN.into()), true);
        let errors = [
            client.hubs.look(settings, &repo, &stop).await.err(),
            client.hubs.search(settings, search, &stop).await.err(),
            client.hubs.plan_push(settings, &push, &stop).await.err(),
            client.hubs.login(settings, login, &stop).await.err(),
        ];
        for error in errors.into_iter().flatten() {
            let said = everything(&error);
            assert!(!said.contains(TOKEN) && !said.contains(&TOKEN[3..]), "{status}: {said}");
        }
        let here = everything_below(client.home.path());
        assert!(!contains(&here, TOKEN), "{status}: a file holds the token");
    }
}

/// The panic of a thread that holds a token shows it as little as its errors do.
#[tokio::test]
async fn no_panic_shows_the_token() {
    let secret = Secret::new(TOKEN.into());
    let environment = Environment::from(|name| (name == "HF_TOKEN").then(|| TOKEN.to_owned()));
    let message = format!("{secret:?} {environment:?}");
    let command = protocol::Command::Hub {
        request: protocol::RequestId(1),
        settings: HubSettings::default(),
        hub: protocol::HubCommand::Login { hub: "hf".into(), token: secret, keep: true },
    };
    let panic = std::panic::catch_unwind(|| panic!("{command:?} {message}")).unwrap_err();
    assert!(!panic.downcast_ref::<String>().unwrap().contains(&TOKEN[3..]));
}

struct Broken;

impl SecretStore for Broken {
    fn get(&self, _: &str) -> Result<Option<Secret>, String> {
        Err("no D-Bus".into())
    }

    fn set(&self, _: &str, _: &Secret) -> Result<(), String> {
        Err("no D-Bus".into())
    }

    fn forget(&self, _: &str) -> Result<(), String> {
        Err("no D-Bus".into())
    }
}

fn hubs(fake: &Fake, store: Arc<dyn SecretStore>) -> Hubs {
    let endpoint = fake.hub.url.to_string();
    let environment = Environment::from(|name| (name == "HF_ENDPOINT").then(|| endpoint.clone()));
    Hubs::new(environment.clone(), Tokens::new(environment, store)).with_patience(hasty())
}

#[tokio::test]
async fn a_token_is_kept_where_it_was_wanted() {
    let fake = Fake::new();
    let store = Arc::new(MemoryStore::default());
    let (hubs, settings, stop) = (hubs(&fake, store.clone()), HubSettings::default(), Caller::patient());
    let name = format!("hf {}", fake.hub.url.as_str().trim_end_matches('/'));
    let login = |keep| ("hf", Secret::new(TOKEN.into()), keep);
    let account = hubs.login(&settings, login(false), &stop).await.unwrap();
    assert_eq!((account.user.as_deref(), account.token), (Some("tester"), TokenPlace::Memory));
    assert_eq!(store.get(&name), Ok(None));
    assert_eq!(hubs.login(&settings, login(true), &stop).await.unwrap().token, TokenPlace::Keyring);
    assert_eq!(store.get(&name).unwrap().unwrap().reveal(), TOKEN);
    assert_eq!(hubs.account(&settings, "hf").await.unwrap().token, TokenPlace::Keyring);
    assert_eq!(hubs.logout(&settings, "hf").await.unwrap().token, TokenPlace::None);
    assert_eq!(store.get(&name), Ok(None));
    let wrong = ("hf", Secret::new("hf_WrongTokenWrongTokenWrong".into()), true);
    assert!(hubs.login(&settings, wrong, &stop).await.is_err());
    assert_eq!(store.get(&name), Ok(None), "a token that the hub does not know is not kept");
}

#[tokio::test]
async fn without_a_keyring_the_token_serves_until_the_end() {
    let fake = Fake::new();
    let (hubs, settings, stop) = (hubs(&fake, Arc::new(Broken)), HubSettings::default(), Caller::patient());
    assert_eq!(hubs.account(&settings, "hf").await.unwrap().token, TokenPlace::None);
    let account = hubs.login(&settings, ("hf", Secret::new(TOKEN.into()), true), &stop).await.unwrap();
    assert_eq!(account.token, TokenPlace::Memory);
    assert!(account.note.unwrap().en.contains("no D-Bus"));
    assert_eq!(hubs.account(&settings, "hf").await.unwrap().token, TokenPlace::Memory);
}

/// What was entered for one address is not given to another one.
#[tokio::test]
async fn a_mirror_does_not_get_the_hubs_token() {
    let (fake, mirror) = (Fake::new(), Fake::new());
    mirror.add("org/tiny", &[("config.json", b"{}")]);
    let (hubs, stop) = (hubs(&fake, Arc::new(MemoryStore::default())), Caller::patient());
    hubs.login(&HubSettings::default(), ("hf", Secret::new(TOKEN.into()), true), &stop).await.unwrap();
    let mut settings = HubSettings::default();
    settings.endpoints.insert("hf".into(), mirror.hub.url.to_string());
    hubs.look(&settings, &model("org/tiny"), &stop).await.unwrap();
    let heard = mirror.hub.log.lock().unwrap();
    assert!(!heard.is_empty() && heard.iter().all(|request| request.token().is_none()));
}

#[tokio::test]
async fn a_token_does_not_travel_in_the_open() {
    let client = Client::at("http://hub.example.org", true, tempfile::tempdir().unwrap());
    let error = client.download(&model("org/tiny")).await.unwrap_err();
    assert!(error.what.en.contains("not sent over http"), "{error}");
}

fn everything_below(dir: &std::path::Path) -> Vec<u8> {
    let mut all = Vec::new();
    for file in crate::support::files_ending(dir, "") {
        all.extend(std::fs::read(file).unwrap_or_default());
    }
    all
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
