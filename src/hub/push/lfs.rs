//! Large files go to the hub's store first; the commit then names them by their hash.
//!
//! The protocol is Git LFS's batch interface with Hugging Face's `multipart` transfer. Addresses of the store are signed,
//! so that no token goes there.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use protocol::{RepoKind, RepoRef, Text, UserError};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use reqwest::{Body, Method, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::Local;
use crate::fault::{Asked, Fault, unreadable};
use crate::http::Line;
use crate::transfer::Meter;

const TYPE: &str = "application/vnd.git-lfs+json";
/// Read at once.
const BLOCK: usize = 1 << 20;
/// Objects that are asked about at once.
const BATCH: usize = 100;

/// The answer to a question about objects.
#[derive(Deserialize)]
pub(super) struct Batch {
    #[serde(default)]
    objects: Vec<Object>,
}

impl Batch {
    /// Where a file is to go; None where the store has it.
    pub fn upload(&self, file: &Local) -> Option<&Action> {
        let object = self.objects.iter().find(|object| object.oid == file.sha256)?;
        object.actions.as_ref()?.upload.as_ref().filter(|action| !action.href.is_empty())
    }
}

/// What is asked about.
pub(super) fn objects(files: &[&Local]) -> Vec<Value> {
    files.iter().map(|file| json!({ "oid": file.sha256, "size": file.bytes })).collect()
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    #[serde(default)]
    actions: Option<Actions>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Actions {
    upload: Option<Action>,
    verify: Option<Action>,
}

#[derive(Deserialize)]
pub(super) struct Action {
    #[serde(default)]
    href: String,
    #[serde(default)]
    header: BTreeMap<String, Value>,
}

impl Action {
    pub fn url(&self, asked: &Asked<'_>) -> Result<Url, Fault> {
        Url::parse(&self.href).map_err(|_| Fault::last(unreadable(asked).detail("an address of the store")))
    }

    fn number(&self, key: &str) -> Option<u64> {
        match self.header.get(key)? {
            Value::String(text) => text.parse().ok(),
            value => value.as_u64(),
        }
    }
}

/// Sends what the store does not have; returns how many bytes went over the network.
pub async fn send(line: &Line, repo: &RepoRef, files: &[&Local], meter: &Arc<Meter>) -> Result<u64, Fault> {
    let mut sent = 0;
    for some in files.chunks(BATCH) {
        for object in ask(line, repo, some).await? {
            let Some(file) = some.iter().find(|file| file.sha256 == object.oid) else { continue };
            let asked = line.asked(&file.path);
            if let Some(error) = object.error {
                let words = error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
                return Err(Fault::last(
                    unreadable(&asked).detail(crate::scan::covered(&words, line.token.as_ref())),
                ));
            }
            match object.actions.and_then(|actions| Some((actions.upload?, actions.verify))) {
                // The store has it: an earlier push, or somebody else's.
                None => meter.found(file.bytes),
                Some((upload, verify)) => {
                    put(line, file, &upload, meter, &asked).await?;
                    sent += file.bytes;
                    confirm(line, file, verify.as_ref(), &asked).await?;
                }
            }
        }
    }
    Ok(sent)
}

async fn ask(line: &Line, repo: &RepoRef, files: &[&Local]) -> Result<Vec<Object>, Fault> {
    let prefix = if repo.kind == RepoKind::Dataset { "datasets/" } else { "" };
    let url = line.url(&[&format!("{prefix}{}.git", repo.id), "info/lfs/objects/batch"]);
    let body = json!({
        "operation": "upload", "transfers": ["basic", "multipart"], "objects": objects(files), "hash_algo": "sha256",
    });
    let asked = line.asked(&repo.id);
    let body = body.to_string();
    let request = || {
        let request = line.request(Method::POST, &url).header(ACCEPT, TYPE).header(CONTENT_TYPE, TYPE);
        request.body(body.clone())
    };
    let batch: Batch = line.json(&asked, request).await?;
    Ok(batch.objects)
}

async fn put(
    line: &Line,
    file: &Local,
    action: &Action,
    meter: &Arc<Meter>,
    asked: &Asked<'_>,
) -> Result<(), Fault> {
    match action.number("chunk_size").filter(|size| *size > 0) {
        None => put_part(line, file, &action.url(asked)?, (0, file.bytes), meter, asked).await.map(drop),
        Some(size) => put_parts(line, file, action, size, meter, asked).await,
    }
}

/// Every part has an address of its own, by its number in the action's header.
async fn put_parts(
    line: &Line,
    file: &Local,
    action: &Action,
    size: u64,
    meter: &Arc<Meter>,
    asked: &Asked<'_>,
) -> Result<(), Fault> {
    let mut numbered: Vec<(u64, &str)> =
        action.header.iter().filter_map(|(key, value)| Some((key.parse().ok()?, value.as_str()?))).collect();
    numbered.sort_unstable();
    if numbered.len() as u64 != file.bytes.div_ceil(size) {
        return Err(Fault::last(unreadable(asked).detail("parts that do not make up the file")));
    }
    let mut parts = Vec::new();
    for (at, (number, href)) in numbered.into_iter().enumerate() {
        let url =
            Url::parse(href).map_err(|_| Fault::last(unreadable(asked).detail("an address of a part")))?;
        let start = at as u64 * size;
        let range = (start, size.min(file.bytes - start));
        let etag = put_part(line, file, &url, range, meter, asked).await?;
        parts.push(json!({ "partNumber": number, "etag": etag }));
    }
    let (url, body) = (action.url(asked)?, json!({ "oid": file.sha256, "parts": parts }).to_string());
    post(line, &url, &body, asked).await
}

/// Sends a stretch of the file (start and length) and returns what the store calls it.
async fn put_part(
    line: &Line,
    file: &Local,
    url: &Url,
    range: (u64, u64),
    meter: &Arc<Meter>,
    asked: &Asked<'_>,
) -> Result<String, Fault> {
    // Not `line.request`: the address is signed, a token would be one too many.
    let request = || line.client.put(url.clone());
    let answer = put_stretch(line, file, range, meter, asked, request).await?;
    let etag = answer.headers().get(ETAG).and_then(|value| value.to_str().ok());
    Ok(etag.unwrap_or_default().to_owned())
}

/// Sends a stretch of a file (start and length) by requests that `request` begins, until one is taken.
pub(super) async fn put_stretch(
    line: &Line,
    file: &Local,
    range: (u64, u64),
    meter: &Arc<Meter>,
    asked: &Asked<'_>,
    request: impl Fn() -> RequestBuilder,
) -> Result<Response, Fault> {
    line.persist(|| async {
        let before = meter.fetched();
        let body = stream(file, range, meter.clone())?;
        let answer = line.send(request().header(CONTENT_LENGTH, range.1).body(body), asked).await;
        answer.inspect_err(|_| meter.lost(meter.fetched() - before))
    })
    .await
}

/// The bytes of a stretch, as they are read.
fn stream(file: &Local, (start, length): (u64, u64), meter: Arc<Meter>) -> Result<Body, Fault> {
    let failed = |err: std::io::Error| {
        Fault::last(UserError::io(
            Text::fixed("read a file to publish", "读取要发布的文件"),
            &file.place,
            &err,
        ))
    };
    let mut source = std::fs::File::open(&file.place).map_err(failed)?;
    source.seek(SeekFrom::Start(start)).map_err(failed)?;
    let source = source.take(length);
    let pieces = futures::stream::try_unfold((source, meter), |(mut source, meter)| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; BLOCK];
            let count = source.read(&mut piece)?;
            piece.truncate(count);
            std::io::Result::Ok((piece, source))
        });
        let (piece, source) = read.await.map_err(std::io::Error::other)??;
        meter.came(piece.len() as u64);
        std::io::Result::Ok((!piece.is_empty()).then_some((piece, (source, meter))))
    });
    Ok(Body::wrap_stream(pieces))
}

async fn confirm(line: &Line, file: &Local, action: Option<&Action>, asked: &Asked<'_>) -> Result<(), Fault> {
    let Some(action) = action else { return Ok(()) };
    let body = json!({ "oid": file.sha256, "size": file.bytes }).to_string();
    post(line, &action.url(asked)?, &body, asked).await
}

async fn post(line: &Line, url: &Url, body: &str, asked: &Asked<'_>) -> Result<(), Fault> {
    let request = || {
        let request = line.request(Method::POST, url).header(ACCEPT, TYPE).header(CONTENT_TYPE, TYPE);
        request.body(body.to_owned())
    };
    line.bytes(asked, 1 << 20, request).await.map(drop)
}
