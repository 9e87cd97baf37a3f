//! ModelScope's shapes.

use hub::Caller;
use protocol::{RepoKind, RepoRef};
use serde_json::json;

use crate::fake::{TOKEN, ranged, sha256};
use crate::server::{Reply, Request, Server};
use crate::support::{Client, model, noise};

fn weights() -> Vec<u8> {
    noise(60_000, 9)
}

fn listed(path: &str, content: &[u8]) -> serde_json::Value {
    json!({ "Path": path, "Name": path, "Size": content.len(), "Sha256": sha256(content), "Type": "blob",
            "Revision": "abcd", "IsLFS": false })
}

fn answer(request: &Request) -> Reply {
    let enveloped =
        |data: serde_json::Value| Reply::json(&json!({ "Code": 200, "Data": data, "Success": true }));
    match request.path.as_str() {
        "/openapi/v1/models" => {
            assert_eq!(request.query["search"], "qwen");
            let found =
                json!({ "models": [{ "id": "Qwen/Tiny", "downloads": 12, "tasks": ["text-generation"] }] });
            Reply::json(&json!({ "success": true, "data": found }))
        }
        "/openapi/v1/users/me" if request.token() == Some(TOKEN) => {
            Reply::json(&json!({ "success": true, "data": { "username": "tester" } }))
        }
        "/openapi/v1/models/Qwen/Tiny" => {
            let info = json!({ "id": "Qwen/Tiny", "license": "Apache License 2.0", "gated": false, "private": false });
            Reply::json(&json!({ "success": true, "data": info }))
        }
        "/openapi/v1/datasets/org/rows" => Reply::json(&json!({ "data": { "id": "org/rows" } })),
        "/api/v1/models/Qwen/Tiny/repo/files" => {
            assert_eq!(
                (request.query["Revision"].as_str(), request.query["Recursive"].as_str()),
                ("master", "True")
            );
            let files = json!([
                { "Path": "sub", "Name": "sub", "Type": "tree", "Size": 0 },
                listed("config.json", b"{}"),
                listed("model.safetensors", &weights()),
            ]);
            enveloped(json!({ "Files": files, "LatestCommitter": { "Id": "feedbeef" } }))
        }
        "/api/v1/models/Qwen/Tiny/repo" => match request.query["FilePath"].as_str() {
            "config.json" => ranged(request, b"{}"),
            // Comes in pieces.
            _ => Reply { cut_body: Some(25_000), ..ranged(request, &weights()) },
        },
        "/api/v1/datasets/org/rows/repo/tree" => {
            let page: usize = request.query["PageNumber"].parse().unwrap();
            let rows = |numbers: std::ops::Range<usize>| -> Vec<_> {
                numbers.map(|number| listed(&format!("{number}.jsonl"), b"{}\n")).collect()
            };
            enveloped(json!({ "Files": if page == 1 { rows(0..200) } else { rows(200..203) } }))
        }
        "/api/v1/datasets/org/rows/repo" => ranged(request, b"{}\n"),
        // Refusals can come with status 200.
        "/openapi/v1/models/org/none" => {
            Reply::json(&json!({ "Code": 404, "Message": "no such model", "Data": null }))
        }
        _ => Reply::new(404, "{\"message\": \"not found\"}"),
    }
}

fn of(id: &str, kind: RepoKind) -> RepoRef {
    RepoRef { hub: "ms".into(), kind, ..model(id) }
}

#[tokio::test]
async fn a_model_is_found_looked_at_and_fetched() {
    let server = Server::start(answer);
    let client = Client::at(server.url.as_str(), true, tempfile::tempdir().unwrap());
    let (settings, stop) = (&client.settings, Caller::patient());
    let hits = client.hubs.search(settings, ("ms", RepoKind::Model, "qwen"), &stop).await.unwrap();
    assert_eq!((hits[0].repo.to_string().as_str(), hits[0].downloads), ("ms:Qwen/Tiny", 12));
    let card = client.hubs.look(settings, &hits[0].repo, &stop).await.unwrap();
    assert_eq!((card.commit.as_str(), card.licence.as_deref()), ("feedbeef", Some("Apache License 2.0")));
    assert_eq!(card.missing_bytes(), 60_002);
    let report = client.download(&hits[0].repo).await.unwrap();
    assert_eq!(std::fs::read(report.dir.join("model.safetensors")).unwrap(), weights());
    assert!(report.dir.starts_with(client.home.path().join("snapshots")), "{}", report.dir.display());
    assert!(server.log.lock().unwrap().iter().all(|request| request.token() == Some(TOKEN)));
}

#[tokio::test]
async fn a_dataset_comes_page_by_page() {
    let server = Server::start(answer);
    let client = Client::at(server.url.as_str(), false, tempfile::tempdir().unwrap());
    let report = client.download(&of("org/rows", RepoKind::Dataset)).await.unwrap();
    assert_eq!(report.files.len(), 203);
}

#[tokio::test]
async fn a_refusal_in_an_envelope_is_one() {
    let server = Server::start(answer);
    let client = Client::at(server.url.as_str(), false, tempfile::tempdir().unwrap());
    let error = client.download(&of("org/none", RepoKind::Model)).await.unwrap_err();
    assert!(
        error.what.en.contains("ModelScope has no org/none") && error.details[0] == "no such model",
        "{error}"
    );
}
