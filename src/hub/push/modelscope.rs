//! What a push to ModelScope sends: large files to its store, then all in commits of a bounded size.
//!
//! The interface is that of ModelScope's own Python packages (`modelscope` 1.40, `modelscope_hub` 0.5): repositories
//! are made at `api/v1/models`, stores are asked as by Git LFS's batch interface, a commit is a list of actions.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use protocol::{PushRequest, RepoKind, RepoRef};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use url::Url;

use super::lfs::Batch;
use super::steps::{arrived, content, message};
use super::{Local, Publisher, card, lfs};
use crate::fault::Fault;
use crate::http::{Attempts, Line};
use crate::hubs::{Facts, envelope, plural};
use crate::transfer::Meter;

/// Larger files go to the store.
const LARGEST_TEXT: u64 = 64 << 10;
/// The hub reads these itself, so they are in the commit whatever their size.
const READ_BY_HUB: [&str; 6] = [
    "readme.md",
    "config.json",
    "configuration.json",
    "configuration.yaml",
    "configuration.yml",
    "dataset_infos.json",
];
/// Files that its repositories keep in the store by their names, however small.
const STORED: [&str; 18] = [
    "safetensors",
    "bin",
    "pt",
    "pth",
    "ckpt",
    "h5",
    "npy",
    "npz",
    "onnx",
    "parquet",
    "pickle",
    "pkl",
    "arrow",
    "model",
    "msgpack",
    "zip",
    "gz",
    "tar",
];
/// Objects that a store is asked about at once.
const BATCH: usize = 64;
/// Files of a commit, and bytes of those that are in it.
const MOST_FILES: usize = 256;
const MOST_BYTES: u64 = 6 << 20;
/// Who sees a repository, as the interface counts.
const PRIVATE: u8 = 1;
const PUBLIC: u8 = 5;
/// Licences by the names that the hub has for them.
const LICENCES: [&str; 14] = [
    "Apache-2.0",
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "GPL-2.0",
    "GPL-3.0",
    "LGPL-2.1",
    "LGPL-3.0",
    "MPL-2.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC-BY-NC-4.0",
    "CC0-1.0",
    "Unlicense",
];
/// What it calls a licence that is none of those, or is not named.
const OTHER: &str = "Other";

pub struct ModelScope;

impl Publisher for ModelScope {
    /// A repository cannot be made without one, and keeps it.
    fn licence(&self, there: Option<&Facts>, card: Option<&str>) -> Option<String> {
        match there {
            Some(facts) => facts.licence.clone(),
            None => Some(known_licence(card).to_owned()),
        }
    }

    fn create<'a>(
        &'a self,
        line: &'a Line,
        push: &'a PushRequest,
        licence: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(create(line, push, licence.unwrap_or(OTHER)))
    }

    fn send<'a>(
        &'a self,
        line: &'a Line,
        push: &'a PushRequest,
        news: &'a [&'a Local],
        _parent: Option<String>,
        meter: &'a Arc<Meter>,
    ) -> BoxFuture<'a, Result<(String, u64), Fault>> {
        Box::pin(send(line, push, news, meter))
    }
}

/// Models are made by JSON, datasets by a form.
async fn create(line: &Line, push: &PushRequest, licence: &str) -> Result<(), Fault> {
    let (owner, name) = push.repo.id.split_once('/').unwrap_or(("", &push.repo.id));
    let seen_by = if push.private { PRIVATE } else { PUBLIC };
    let url = line.url(&["api", "v1", plural(push.repo.kind)]);
    let asked = line.asked(&push.repo.id);
    let request = || match push.repo.kind {
        RepoKind::Model => line
            .request(Method::POST, &url)
            .json(&json!({ "Path": owner, "Name": name, "Visibility": seen_by, "License": licence })),
        RepoKind::Dataset => {
            let seen_by = seen_by.to_string();
            let fields = [("Owner", owner), ("Name", name), ("Visibility", &seen_by), ("License", licence)];
            form(line.request(Method::POST, &url), &fields)
        }
    };
    line.persist(|| envelope::once::<Value>(line, &asked, request())).await.map(drop)
}

/// A form of texts (RFC 7578). Names, numbers and licences hold no line's end.
fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    const BOUNDARY: &str = "emberwright-form-boundary";
    let part = |(name, value): &(&str, &str)| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body: String = fields.iter().map(part).chain([format!("--{BOUNDARY}--\r\n")]).collect();
    request.header(CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}")).body(body)
}

async fn send(
    line: &Line,
    push: &PushRequest,
    news: &[&Local],
    meter: &Arc<Meter>,
) -> Result<(String, u64), Fault> {
    let stored: Vec<&Local> = news.iter().copied().filter(|file| is_stored(&file.path, file.bytes)).collect();
    let mut sent = store(line, &push.repo, &stored, meter).await?;
    let mut last = String::new();
    for files in commits(news) {
        last = commit(line, push, files).await?;
        let inside: u64 =
            files.iter().filter(|file| !is_stored(&file.path, file.bytes)).map(|file| file.bytes).sum();
        meter.came(inside);
        sent += inside;
    }
    Ok((last, sent))
}

fn is_stored(path: &str, bytes: u64) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let end = Path::new(&name).extension().and_then(|end| end.to_str()).unwrap_or_default();
    bytes > 0 && !READ_BY_HUB.contains(&name.as_str()) && (bytes > LARGEST_TEXT || STORED.contains(&end))
}

/// The files in their order, cut where a commit would become too large.
fn commits<'a, 'b>(files: &'a [&'b Local]) -> Vec<&'a [&'b Local]> {
    let mut cuts = vec![0];
    let mut bytes = 0;
    for (at, file) in files.iter().enumerate() {
        let more = if is_stored(&file.path, file.bytes) { 0 } else { file.bytes };
        let first = cuts.last().copied().unwrap_or_default();
        if at > first && (at - first == MOST_FILES || bytes + more > MOST_BYTES) {
            cuts.push(at);
            bytes = 0;
        }
        bytes += more;
    }
    cuts.push(files.len());
    cuts.windows(2).map(|cut| &files[cut[0]..cut[1]]).collect()
}

/// Sends what the store does not have: it answers about nothing else.
async fn store(line: &Line, repo: &RepoRef, files: &[&Local], meter: &Arc<Meter>) -> Result<u64, Fault> {
    let url = line.url(&["api", "v1", "repos", plural(repo.kind), &repo.id, "info/lfs/objects/batch"]);
    let asked = line.asked(&repo.id);
    let mut sent = 0;
    for some in files.chunks(BATCH) {
        let body = json!({ "operation": "upload", "objects": lfs::objects(some) });
        let request = || line.request(Method::POST, &url).json(&body);
        let batch: Batch = envelope::ask(line, &asked, request).await?;
        for file in some {
            match batch.upload(file) {
                None => meter.found(file.bytes),
                Some(action) => {
                    put(line, file, &action.url(&line.asked(&file.path))?, meter).await?;
                    sent += file.bytes;
                }
            }
        }
    }
    Ok(sent)
}

/// The address is of the hub's own store, which wants the token, or a signed one of somebody else's, which must not have
/// it.
async fn put(line: &Line, file: &Local, url: &Url, meter: &Arc<Meter>) -> Result<(), Fault> {
    let asked = line.asked(&file.path);
    let request = || line.request(Method::PUT, url);
    let answer = lfs::put_stretch(line, file, (0, file.bytes), meter, &asked, request).await?;
    // A foreign store answers with nothing; the hub's own can refuse with status 200.
    let answer = answer.bytes().await.map_err(|err| Fault::transport(err, &asked))?;
    match serde_json::from_slice::<envelope::Envelope<Value>>(&answer) {
        Ok(answer) => answer.refusal(&asked).map_or(Ok(()), Err),
        Err(_) => Ok(()),
    }
}

/// Makes a commit. When the connection breaks it may have been made: then the hub's listing decides.
async fn commit(line: &Line, push: &PushRequest, files: &[&Local]) -> Result<String, Fault> {
    let repo = &push.repo;
    let url = line.url(&["api", "v1", "repos", plural(repo.kind), &repo.id, "commit", &repo.revision]);
    let mut actions = Vec::with_capacity(files.len());
    for file in files {
        actions.push(action(file).await?);
    }
    let body = json!({ "commit_message": message(push), "actions": actions });
    let asked = line.asked(&repo.id);
    let mut attempts = Attempts::of(line);
    loop {
        let request = line.request(Method::POST, &url).json(&body);
        match envelope::once::<Value>(line, &asked, request).await {
            Ok(answer) => return Ok(named(answer)),
            Err(fault) => {
                if let Some(commit) = arrived(line, repo, files).await {
                    return Ok(commit);
                }
                attempts.failed(fault).await?;
            }
        }
    }
}

/// What a commit's answer calls it, if it does.
fn named(answer: Option<Value>) -> String {
    let id =
        answer.as_ref().and_then(|answer| ["Id", "id", "CommitId"].iter().find_map(|key| answer.get(key)));
    id.and_then(Value::as_str).unwrap_or_default().to_owned()
}

async fn action(file: &Local) -> Result<Value, Fault> {
    if is_stored(&file.path, file.bytes) {
        return Ok(json!({
            "action": "create", "path": file.path, "type": "lfs", "size": file.bytes, "sha256": file.sha256,
            "content": "", "encoding": "",
        }));
    }
    Ok(json!({
        "action": "create", "path": file.path, "type": "normal", "size": file.bytes, "sha256": "",
        "content": STANDARD.encode(content(file).await?), "encoding": "base64",
    }))
}

/// The hub's name for the licence that the card names.
fn known_licence(card: Option<&str>) -> &'static str {
    let named = card.and_then(card::licence).unwrap_or_default();
    LICENCES.into_iter().find(|known| known.eq_ignore_ascii_case(&named)).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: u64) -> Local {
        let (sha256, git_sha1) = (String::new(), String::new());
        Local { path: path.into(), place: path.into(), bytes, sha256, git_sha1, sample: Vec::new() }
    }

    #[test]
    fn weights_go_to_the_store_and_cards_do_not() {
        for (path, bytes, stored) in [
            ("model.safetensors", 9, true),
            ("sub/model.bin", 1, true),
            ("tokenizer.json", 9 << 20, true),
            ("tokenizer.json", 100, false),
            ("README.md", 1 << 20, false),
            ("config.json", 100_000, false),
            ("empty.bin", 0, false),
        ] {
            assert_eq!(is_stored(path, bytes), stored, "{path} {bytes}");
        }
    }

    #[test]
    fn commits_stay_within_their_size() {
        let texts: Vec<Local> = (0..300).map(|n| file(&format!("{n}.txt"), 1000)).collect();
        let of = |files: &[Local]| -> Vec<usize> {
            commits(&files.iter().collect::<Vec<_>>()).iter().map(|files| files.len()).collect()
        };
        assert_eq!(of(&texts), [256, 44]);
        let cards = [file("README.md", 5 << 20), file("config.json", 2 << 20), file("model.bin", 9 << 30)];
        assert_eq!(of(&cards), [1, 2]);
        assert_eq!(of(&cards[..1]), [1]);
    }

    #[test]
    fn a_licence_is_the_cards() {
        assert_eq!(known_licence(Some("---\nlicense: apache-2.0\n---\n# x")), "Apache-2.0");
        assert_eq!(known_licence(Some("---\nlicense: llama3\n---\n")), OTHER);
        assert_eq!(known_licence(None), OTHER);
    }
}
