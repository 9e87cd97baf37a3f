//! What a hub can refuse, in words for people.

use std::time::{Duration, Instant};

use hub::Caller;
use protocol::UserError;

use crate::fake::Fake;
use crate::server::Reply;
use crate::support::{Client, model};

/// The error of a look at a repository where the hub answers everything with this.
async fn refused(reply: Reply, token: bool) -> UserError {
    let fake = Fake::new();
    fake.add("org/tiny", &[("config.json", b"{}")]);
    fake.twist(move |_, _| reply.clone());
    let client = Client::of(&fake, token);
    client.hubs.look(&client.settings, &model("org/tiny"), &Caller::patient()).await.unwrap_err()
}

#[tokio::test]
async fn every_refusal_says_what_to_do() {
    let gated = |status| Reply::new(status, "{}").with("x-error-code", "GatedRepo");
    for (reply, token, what, mend, code) in [
        (Reply::new(401, "{}"), false, "to strangers", "log in", 2),
        (Reply::new(401, "{}"), true, "does not accept the token", "log in again", 2),
        (gated(401), false, "terms to be accepted", "/org/tiny", 2),
        (gated(403), true, "terms to be accepted", "/org/tiny", 2),
        (Reply::new(403, "{}"), true, "refuses access to org/tiny", "allowed", 2),
        (Reply::new(404, "{}"), true, "has no org/tiny", "check the name", 2),
        (Reply::new(429, "{}"), false, "spared", "later", 1),
        (Reply::new(500, "{}"), false, "status 500", "later", 1),
        (Reply::new(503, "{}"), false, "status 503", "later", 1),
        (Reply::new(418, "{}"), false, "status 418", "", 1),
    ] {
        let error = refused(reply, token).await;
        let said = error.to_string();
        assert!(said.contains(what) && said.contains(mend), "{said}");
        assert_eq!(error.exit_code(), code, "{said}");
        assert!(error.what.zh.chars().any(|c| c > '\u{3000}'), "{}", error.what.zh);
    }
}

#[tokio::test]
async fn the_hubs_own_words_are_kept_short_and_clean() {
    let body = format!("{{\"error\": \"line\\n{}\"}}", "x".repeat(5000));
    let error = refused(Reply::new(403, body), false).await;
    assert!(error.details[0].starts_with("line x") && error.details[0].len() <= 300, "{error}");
}

#[tokio::test]
async fn trouble_that_passes_is_not_told() {
    for status in [429, 500, 502, 503, 408] {
        let fake = Fake::new();
        fake.add("org/tiny", &[("config.json", b"{}"), ("model.safetensors", &[1; 100])]);
        let mut troubled = std::collections::BTreeMap::<String, u32>::new();
        fake.twist(move |request, reply| {
            let times = troubled.entry(request.path.clone()).or_default();
            *times += 1;
            if *times <= 2 { Reply::new(status, "{}") } else { reply }
        });
        Client::of(&fake, false).download(&model("org/tiny")).await.unwrap();
    }
}

#[tokio::test]
async fn a_wait_that_is_asked_for_is_kept() {
    let fake = Fake::new();
    fake.add("org/tiny", &[("model.safetensors", &[1; 100])]);
    let mut first = true;
    fake.twist(move |request, reply| match request.path.contains("/store/") && std::mem::take(&mut first) {
        true => Reply::new(429, "{}").with("retry-after", "1"),
        false => reply,
    });
    let start = Instant::now();
    Client::of(&fake, false).download(&model("org/tiny")).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_wait_of_an_hour_is_told_and_not_waited_for() {
    let fake = Fake::new();
    fake.add("org/tiny", &[("model.safetensors", &[1; 100])]);
    fake.twist(|request, reply| match request.path.contains("/store/") {
        true => Reply::new(429, "{}").with("retry-after", "3600"),
        false => reply,
    });
    let error = Client::of(&fake, false).download(&model("org/tiny")).await.unwrap_err();
    assert!(error.to_string().contains("60 minutes"), "{error}");
}

#[tokio::test]
async fn redirects_end() {
    let fake = Fake::new();
    fake.add("org/tiny", &[("model.safetensors", &[1; 100])]);
    let around = fake.hub.url.join("org/tiny/resolve/x/model.safetensors").unwrap();
    fake.twist(move |request, reply| match request.path.contains("resolve") {
        true => Reply::new(302, "").with("location", around.to_string()),
        false => reply,
    });
    let error = Client::of(&fake, false).download(&model("org/tiny")).await.unwrap_err();
    assert!(error.to_string().contains("redirect"), "{error}");
}

#[tokio::test]
async fn nobody_at_the_address_is_said() {
    let client = Client::at("http://127.0.0.1:9", false, tempfile::tempdir().unwrap());
    let error = client.download(&model("org/tiny")).await.unwrap_err();
    assert!(error.what.en.contains("connection to Hugging Face failed"), "{error}");
    assert!(error.mend.unwrap().en.contains("mirror"));
    for address in ["nonsense", "ftp://x", "https://user:pass@x", "https://x?y"] {
        let client = Client::at(address, false, tempfile::tempdir().unwrap());
        let error = client.download(&model("org/tiny")).await.unwrap_err();
        assert!(error.what.en.contains("no address"), "{error}");
    }
}
