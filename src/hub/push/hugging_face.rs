//! What a push to Hugging Face sends: large files to its store, then everything in one commit.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use protocol::{PushRequest, RepoRef};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::json;

use super::steps::{arrived, content, message};
use super::{Local, Publisher, card, lfs};
use crate::fault::Fault;
use crate::http::{Attempts, Line};
use crate::hubs::{Facts, plural};
use crate::transfer::Meter;

/// Files that go into the commit itself: the hub takes no more as text.
const LARGEST_TEXT: u64 = 10 << 20;

pub struct HuggingFace;

impl Publisher for HuggingFace {
    /// As the newest card says.
    fn licence(&self, there: Option<&Facts>, card: Option<&str>) -> Option<String> {
        match card {
            Some(card) => card::licence(card),
            None => there?.licence.clone(),
        }
    }

    fn create<'a>(
        &'a self,
        line: &'a Line,
        push: &'a PushRequest,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(crate::hubs::create(line, &push.repo, push.private))
    }

    fn send<'a>(
        &'a self,
        line: &'a Line,
        push: &'a PushRequest,
        news: &'a [&'a Local],
        parent: Option<String>,
        meter: &'a Arc<Meter>,
    ) -> BoxFuture<'a, Result<(String, u64), Fault>> {
        Box::pin(send(line, push, news, parent, meter))
    }
}

/// Large files to the store, then everything in one commit.
async fn send(
    line: &Line,
    push: &PushRequest,
    news: &[&Local],
    parent: Option<String>,
    meter: &Arc<Meter>,
) -> Result<(String, u64), Fault> {
    let large = large_files(line, &push.repo, news).await?;
    let stored: Vec<&Local> = news.iter().copied().filter(|file| large.contains(&file.path)).collect();
    let mut sent = lfs::send(line, &push.repo, &stored, meter).await?;
    let mut lines = vec![header(push, parent)];
    for file in news {
        if large.contains(&file.path) {
            let value =
                json!({ "path": file.path, "algo": "sha256", "oid": file.sha256, "size": file.bytes });
            lines.push(json!({ "key": "lfsFile", "value": value }));
        } else {
            lines.push(inline(file).await?);
            meter.came(file.bytes);
            sent += file.bytes;
        }
    }
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    Ok((commit(line, push, news, body).await?, sent))
}

fn header(push: &PushRequest, parent: Option<String>) -> serde_json::Value {
    let mut value = json!({ "summary": message(push), "description": "" });
    if let Some(parent) = parent {
        // Somebody else's commit in between is not written over.
        value["parentCommit"] = parent.into();
    }
    json!({ "key": "header", "value": value })
}

/// A text in the commit itself.
async fn inline(file: &Local) -> Result<serde_json::Value, Fault> {
    let content = STANDARD.encode(content(file).await?);
    let value = json!({ "content": content, "path": file.path, "encoding": "base64" });
    Ok(json!({ "key": "file", "value": value }))
}

/// Which files the hub wants in its store.
async fn large_files(line: &Line, repo: &RepoRef, news: &[&Local]) -> Result<Vec<String>, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Judged {
        path: String,
        upload_mode: String,
    }
    #[derive(Deserialize)]
    struct Answer {
        files: Vec<Judged>,
    }
    let url = line.url(&["api", plural(repo.kind), &repo.id, "preupload", &repo.revision]);
    let sample = |file: &&Local| json!({ "path": file.path, "size": file.bytes, "sample": STANDARD.encode(&file.sample) });
    let body = json!({ "files": news.iter().map(sample).collect::<Vec<_>>() });
    let asked = line.asked(&repo.id);
    let answer: Answer = line.json(&asked, || line.request(Method::POST, &url).json(&body)).await?;
    let says_large =
        |path: &str| answer.files.iter().any(|file| file.path == path && file.upload_mode == "lfs");
    let large =
        news.iter().filter(|file| file.bytes > 0 && (says_large(&file.path) || file.bytes > LARGEST_TEXT));
    Ok(large.map(|file| file.path.clone()).collect())
}

/// Sends the commit. When the connection breaks it may have been made: then the hub's listing decides.
async fn commit(line: &Line, push: &PushRequest, news: &[&Local], body: String) -> Result<String, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        commit_oid: Option<String>,
    }
    let repo = &push.repo;
    let url = line.url(&["api", plural(repo.kind), &repo.id, "commit", &repo.revision]);
    let asked = line.asked(&repo.id);
    let mut attempts = Attempts::of(line);
    loop {
        let request = line.request(Method::POST, &url).header(CONTENT_TYPE, "application/x-ndjson");
        let answer = async {
            let response = line.send(request.body(body.clone()), &asked).await?;
            response.json::<Answer>().await.map_err(|err| Fault::transport(err, &asked))
        };
        match answer.await {
            Ok(answer) => return Ok(answer.commit_oid.unwrap_or_default()),
            Err(fault) => {
                if let Some(commit) = arrived(line, repo, news).await {
                    return Ok(commit);
                }
                attempts.failed(fault).await?;
            }
        }
    }
}
