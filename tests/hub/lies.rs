//! A hub that says one thing and sends another.

use crate::fake::{Fake, sha256};
use crate::server::{Reply, Request};
use crate::support::{Client, files_ending, model, noise};

const LENGTH: usize = 40_000;

/// Downloads with answers of files changed; nothing may be left under a final name.
async fn refused(lie: impl FnMut(&Request, Reply) -> Reply + Send + 'static) -> String {
    let fake = Fake::new();
    fake.add("org/tiny", &[("config.json", b"{\"a\": 1}"), ("model.safetensors", &noise(LENGTH, 1))]);
    fake.twist(lie);
    let client = Client::of(&fake, false);
    let error = client.download(&model("org/tiny")).await.unwrap_err();
    let repo = client.folder("models--org--tiny");
    assert!(!repo.join("snapshots").exists(), "no snapshot");
    assert!(!repo.join("refs").exists(), "no ref");
    let blob = repo.join("blobs").join(sha256(&noise(LENGTH, 1)));
    if let Ok(content) = std::fs::read(&blob) {
        assert_eq!(sha256(&content), sha256(&noise(LENGTH, 1)), "a name that was not deserved");
    }
    fake.twist(|_, reply| reply);
    client.download(&model("org/tiny")).await.unwrap();
    assert!(files_ending(client.home.path(), ".incomplete").is_empty());
    error.to_string()
}

fn weights(request: &Request) -> bool {
    request.path.contains("/store/")
}

#[tokio::test]
async fn one_wrong_bit_is_noticed() {
    let said = refused(|request, mut reply| {
        if weights(request) && request.range().is_none() {
            reply.body[LENGTH / 2] ^= 1;
        }
        reply
    })
    .await;
    assert!(said.contains("hash differs") && said.contains("model.safetensors"), "{said}");
}

#[tokio::test]
async fn a_small_file_is_held_against_gits_hash() {
    let said = refused(|request, mut reply| {
        if request.path.ends_with("config.json") {
            reply.body[6] ^= 1;
        }
        reply
    })
    .await;
    assert!(said.contains("hash differs") && said.contains("config.json"), "{said}");
}

#[tokio::test]
async fn a_shorter_file_is_noticed() {
    let said = refused(|request, mut reply| {
        if weights(request) {
            reply.body.truncate(LENGTH - 1);
        }
        reply
    })
    .await;
    assert!(said.contains("39999 bytes and not 40000"), "{said}");
}

#[tokio::test]
async fn a_longer_file_is_noticed() {
    let said = refused(|request, mut reply| {
        if weights(request) {
            reply.body.push(0);
        }
        reply
    })
    .await;
    assert!(said.contains("40001 bytes and not 40000"), "{said}");
}

/// Without a length in the head only the bytes tell.
#[tokio::test]
async fn a_stream_without_end_is_cut() {
    let said = refused(|request, reply| {
        if !weights(request) {
            return reply;
        }
        let mut body = Vec::new();
        for piece in noise(LENGTH + 5_000, 2).chunks(1000) {
            body.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            body.extend_from_slice(piece);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        Reply { body, chunked: true, ..reply.status(200) }
    })
    .await;
    assert!(said.contains("More than the 40000"), "{said}");
}

#[tokio::test]
async fn another_part_than_was_asked_for_is_not_taken() {
    let said = refused(|request, reply| match (weights(request), request.range()) {
        (true, None) => Reply { cut_body: Some(10_000), ..reply },
        (true, Some(_)) => Reply::new(206, noise(LENGTH, 1)[5_000..].to_vec())
            .with("content-range", format!("bytes 5000-{}/{LENGTH}", LENGTH - 1)),
        _ => reply,
    })
    .await;
    assert!(said.contains("broke off") || said.contains("connection"), "{said}");
}

#[tokio::test]
async fn a_length_that_is_not_kept_is_a_break() {
    let said = refused(|request, reply| match weights(request) {
        true => Reply {
            claimed: Some(LENGTH),
            body: reply.body[..reply.body.len().min(100)].to_vec(),
            ..Reply::new(200, "")
        },
        false => reply,
    })
    .await;
    assert!(said.contains("connection"), "{said}");
}

#[tokio::test]
async fn names_that_lead_out_of_the_folder_are_refused() {
    for name in ["../../evil", "/etc/evil", "a/../../evil", "c:\\evil"] {
        let fake = Fake::new();
        fake.add("org/tiny", &[(name, b"x"), ("config.json", b"{}")]);
        let client = Client::of(&fake, false);
        let error = client.download(&model("org/tiny")).await.unwrap_err();
        assert!(error.what.en.contains("cannot be used"), "{error}");
        assert!(files_ending(client.home.path(), "evil").is_empty());
    }
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    for body in ["", "not json", "{}", "[1, 2]", r#"{"id": "x", "sha": "../.."}"#] {
        let fake = Fake::new();
        fake.add("org/tiny", &[("config.json", b"{}")]);
        fake.twist(
            move |request, reply| {
                if request.path.contains("/revision/") { Reply::new(200, body) } else { reply }
            },
        );
        let client = Client::of(&fake, false);
        client.download(&model("org/tiny")).await.unwrap_err();
        assert!(!client.folder("models--org--tiny").exists());
    }
}

/// A listing whose next page lies elsewhere would take the token there.
#[tokio::test]
async fn the_next_page_of_another_host_is_not_fetched() {
    let fake = Fake::new();
    fake.add("org/tiny", &[("config.json", b"{}")]);
    let elsewhere = fake.store.url.join("page").unwrap();
    fake.twist(move |request, reply| match request.path.contains("/tree/") {
        true => reply.with("link", format!("<{elsewhere}>; rel=\"next\"")),
        false => reply,
    });
    let client = Client::of(&fake, true);
    client.download(&model("org/tiny")).await.unwrap();
    assert!(fake.store.log.lock().unwrap().is_empty());
}

/// 66 MB of a list that goes on: no memory is filled with it.
#[tokio::test]
async fn a_list_without_end_is_not_kept() {
    let list = std::sync::Arc::new(b"[ ".repeat(33 << 20));
    let server = crate::server::Server::start(move |_| Reply {
        claimed: Some(1 << 40),
        shared: Some(list.clone()),
        ..Reply::new(200, "")
    });
    let client = Client::at(server.url.as_str(), false, tempfile::tempdir().unwrap());
    for hub in ["hf", "ms"] {
        let search = (hub, protocol::RepoKind::Model, "x");
        let error = client.hubs.search(&client.settings, search, &hub::Caller::patient()).await.unwrap_err();
        assert!(error.what.en.contains("cannot be understood"), "{error}");
        assert!(error.details[0].contains("more than"), "{error}");
        let repo = protocol::RepoRef { hub: hub.into(), ..model("org/x") };
        assert!(client.hubs.look(&client.settings, &repo, &hub::Caller::patient()).await.is_err());
    }
}
