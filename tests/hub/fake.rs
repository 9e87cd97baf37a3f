//! A Hugging Face of our own: repositories in memory, the store of large files at another address.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::server::{Answers, Reply, Request, Server, Twist};

pub const TOKEN: &str = "hf_TestTokenThatMustNotBeSeenAnywhere1";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

#[derive(Clone, Default)]
pub struct Repo {
    pub files: BTreeMap<String, Vec<u8>>,
    pub gated: bool,
    pub private: bool,
    pub commits: u64,
}

impl Repo {
    fn commit(&self) -> String {
        if self.commits == 0 { COMMIT.to_owned() } else { format!("{:040x}", self.commits) }
    }
}

#[derive(Default)]
pub struct Inner {
    pub repos: BTreeMap<String, Repo>,
    /// The store: by SHA-256.
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub twist: Option<Twist>,
    /// Entries of a page of a listing.
    pub page: usize,
    /// Parts of an upload, in bytes; 0: whole files.
    pub part: u64,
    hub: String,
    store: String,
}

pub struct Fake {
    pub inner: Arc<Mutex<Inner>>,
    pub hub: Server,
    pub store: Server,
}

impl Fake {
    pub fn new() -> Self {
        let inner = Arc::new(Mutex::new(Inner { page: 1000, ..Inner::default() }));
        let (hub, store) = (Server::twisted(&inner), Server::twisted(&inner));
        {
            let mut inner = inner.lock().unwrap();
            (inner.hub, inner.store) = (hub.address(), store.address());
        }
        Self { inner, hub, store }
    }

    pub fn add(&self, id: &str, files: &[(&str, &[u8])]) {
        let files = files.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect();
        self.inner.lock().unwrap().repos.insert(id.into(), Repo { files, ..Repo::default() });
    }

    pub fn twist(&self, twist: impl FnMut(&Request, Reply) -> Reply + Send + 'static) {
        self.inner.lock().unwrap().twist = Some(Box::new(twist));
    }

    pub fn repo(&self, id: &str) -> Repo {
        self.inner.lock().unwrap().repos[id].clone()
    }
}

pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_large(path: &str) -> bool {
    path.ends_with(".safetensors") || path.ends_with(".bin") || path.ends_with(".parquet")
}

/// As git names a file. Independent of the code that is tested: computed by git itself.
pub fn git_sha1(content: &[u8]) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    static KNOWN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let key = sha256(content);
    if let Some(known) = KNOWN.lock().unwrap().get(&key) {
        return known.clone();
    }
    let mut git = Command::new("git")
        .args(["hash-object", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(content).unwrap();
    let name = String::from_utf8(git.wait_with_output().unwrap().stdout).unwrap().trim().to_owned();
    KNOWN.lock().unwrap().insert(key, name.clone());
    name
}

/// The part of a content that a request wants.
pub fn ranged(request: &Request, content: &[u8]) -> Reply {
    let etag = format!("\"{}\"", &sha256(content)[..16]);
    let kept = request.headers.get("if-range").is_none_or(|wanted| *wanted == etag);
    match request.range().filter(|_| kept) {
        Some(start) if start >= content.len() as u64 => Reply::new(416, ""),
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
            Reply::new(206, &content[start as usize..]).with("content-range", range).with("etag", etag)
        }
        None => Reply::new(200, content).with("etag", etag),
    }
}

impl Answers for Inner {
    fn twist(&mut self) -> Option<&mut Twist> {
        self.twist.as_mut()
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["api", "whoami-v2"]) => match request.token() {
                Some(TOKEN) => Reply::json(&json!({ "name": "tester", "type": "user" })),
                _ => Reply::json(&json!({ "error": "who?" })).status(401),
            },
            ("GET", ["api", "models" | "datasets"]) => self.search(request),
            ("GET", ["api", "models" | "datasets", org, name, "revision", _]) => {
                self.of(request, org, name, |id, repo| {
                    Reply::json(&json!({
                        "id": id, "sha": repo.commit(), "private": repo.private, "downloads": 7, "likes": 3,
                        "gated": if repo.gated { json!("manual") } else { json!(false) },
                        "cardData": { "license": "apache-2.0" }, "tags": ["license:apache-2.0"],
                    }))
                })
            }
            ("GET", ["api", _, org, name, "tree", _]) => self.tree(request, org, name),
            ("POST", ["api", "repos", "create"]) => self.create(request),
            ("POST", ["api", _, org, name, "preupload", _]) => self.of(request, org, name, |_, _| {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let judged = body["files"].as_array().unwrap().iter().map(|file| {
                    let mode = if is_large(file["path"].as_str().unwrap()) { "lfs" } else { "regular" };
                    json!({ "path": file["path"], "uploadMode": mode, "shouldIgnore": false })
                });
                Reply::json(&json!({ "files": judged.collect::<Vec<_>>() }))
            }),
            ("POST", [_, _, "info", "lfs", "objects", "batch"]) => self.batch(request),
            ("POST", ["api", _, org, name, "commit", _]) => self.commit(request, org, name),
            ("POST", ["complete", oid]) => self.complete(request, oid),
            ("POST", ["verify"]) => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let known = self.blobs.contains_key(body["oid"].as_str().unwrap());
                Reply::new(if known { 200 } else { 404 }, "{}")
            }
            ("PUT", ["upload", oid]) => {
                self.blobs.insert((*oid).into(), request.body.clone());
                Reply::new(200, "").with("etag", "\"whole\"")
            }
            ("PUT", ["part", oid, number]) => {
                self.blobs.insert(format!("{oid}.{number}"), request.body.clone());
                Reply::new(200, "").with("etag", format!("\"part-{number}\""))
            }
            ("GET", ["store", oid]) => match self.blobs.get(*oid) {
                Some(content) => ranged(request, content),
                None => Reply::new(404, ""),
            },
            ("GET", [.., "resolve", _, _]) | ("GET", [_, _, "resolve", ..]) | ("GET", ["datasets", ..]) => {
                self.resolve(request, &parts)
            }
            _ => Reply::new(404, "no such page"),
        }
    }
}

impl Inner {
    fn of(
        &mut self,
        request: &Request,
        org: &str,
        name: &str,
        then: impl FnOnce(&str, &Repo) -> Reply,
    ) -> Reply {
        let id = format!("{org}/{name}");
        let known = request.token() == Some(TOKEN);
        match self.repos.get(&id) {
            Some(repo) if repo.private && !known => {
                Reply::json(&json!({ "error": "Invalid username" })).status(401)
            }
            Some(repo) => then(&id, repo),
            None if known => Reply::json(&json!({ "error": "Repository not found" })).status(404),
            None => Reply::json(&json!({ "error": "Invalid username or password." })).status(401),
        }
    }

    fn search(&self, request: &Request) -> Reply {
        let text = request.query["search"].to_lowercase();
        let found = self.repos.iter().filter(|(id, _)| id.to_lowercase().contains(&text)).map(|(id, repo)| {
            json!({ "id": id, "downloads": 7, "likes": 3, "gated": if repo.gated { json!("auto") } else { json!(false) },
                    "pipeline_tag": "text-generation", "createdAt": "2026-01-31T10:00:00.000Z" })
        });
        Reply::json(&found.collect::<Vec<_>>().into())
    }

    fn tree(&mut self, request: &Request, org: &str, name: &str) -> Reply {
        let (page, hub) = (self.page, self.hub.clone());
        let start: usize = request.query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
        self.of(request, org, name, |_, repo| {
            let entry = |(path, content): (&String, &Vec<u8>)| match is_large(path) {
                true => json!({ "type": "file", "path": path, "size": content.len(), "oid": "00",
                    "lfs": { "oid": sha256(content), "size": content.len(), "pointerSize": 130 } }),
                false => {
                    json!({ "type": "file", "path": path, "size": content.len(), "oid": git_sha1(content) })
                }
            };
            let entries: Vec<_> = repo.files.iter().skip(start).take(page).map(entry).collect();
            let reply = Reply::json(&entries.into());
            let next = start + page;
            if next >= repo.files.len() {
                return reply;
            }
            let link = format!("<{hub}{}?recursive=true&cursor={next}>; rel=\"next\"", request.path);
            reply.with("link", link)
        })
    }

    /// Small files come from the hub, large ones from the store.
    fn resolve(&mut self, request: &Request, parts: &[&str]) -> Reply {
        let parts = parts.strip_prefix(&["datasets"]).unwrap_or(parts);
        let [org, name, "resolve", _, path @ ..] = parts else { return Reply::new(404, "") };
        let (path, store) = (path.join("/"), self.store.clone());
        let known = request.token() == Some(TOKEN);
        let mut put = None;
        let reply = self.of(request, org, name, |_, repo| {
            let refused =
                || Reply::json(&json!({ "error": "Access is restricted" })).with("x-error-code", "GatedRepo");
            let Some(content) = repo.files.get(&path) else { return Reply::new(404, "Entry not found") };
            if repo.gated && !known {
                return refused().status(401);
            }
            if !is_large(&path) {
                return ranged(request, content);
            }
            let oid = sha256(content);
            put = Some((oid.clone(), content.clone()));
            Reply::new(302, "").with("location", format!("{store}/store/{oid}?signature=abc"))
        });
        if let Some((oid, content)) = put {
            self.blobs.entry(oid).or_insert(content);
        }
        reply
    }

    fn create(&mut self, request: &Request) -> Reply {
        if request.token() != Some(TOKEN) {
            return Reply::new(401, "{}");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let id = format!("{}/{}", body["organization"].as_str().unwrap(), body["name"].as_str().unwrap());
        if self.repos.contains_key(&id) {
            return Reply::new(409, "{}");
        }
        let repo = Repo { private: body["private"] == true, ..Repo::default() };
        self.repos.insert(id.clone(), repo);
        Reply::json(&json!({ "url": format!("{}/{id}", self.hub) }))
    }

    fn batch(&mut self, request: &Request) -> Reply {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let (store, part) = (&self.store, self.part);
        let objects = body["objects"].as_array().unwrap().iter().map(|object| {
            let (oid, size) = (object["oid"].as_str().unwrap(), object["size"].as_u64().unwrap());
            if self.blobs.contains_key(oid) {
                return json!({ "oid": oid, "size": size });
            }
            let verify = json!({ "href": format!("{}/verify", self.hub) });
            if part == 0 {
                let upload = json!({ "href": format!("{store}/upload/{oid}?signature=abc"), "header": {} });
                return json!({ "oid": oid, "size": size, "actions": { "upload": upload, "verify": verify } });
            }
            let mut header = json!({ "chunk_size": part.to_string() });
            for number in 1..=size.div_ceil(part) {
                header[format!("{number:05}")] = format!("{store}/part/{oid}/{number}?signature=abc").into();
            }
            let upload = json!({ "href": format!("{}/complete/{oid}", self.hub), "header": header });
            json!({ "oid": oid, "size": size, "actions": { "upload": upload, "verify": verify } })
        });
        let objects: Vec<_> = objects.collect();
        Reply::json(&json!({ "transfer": "basic", "objects": objects }))
    }

    fn complete(&mut self, request: &Request, oid: &str) -> Reply {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let mut whole = Vec::new();
        for part in body["parts"].as_array().unwrap() {
            let number = part["partNumber"].as_u64().unwrap();
            assert_eq!(part["etag"], format!("\"part-{number}\""));
            whole.extend_from_slice(&self.blobs[&format!("{oid}.{number}")]);
        }
        self.blobs.insert(oid.into(), whole);
        Reply::new(200, "{}")
    }

    fn commit(&mut self, request: &Request, org: &str, name: &str) -> Reply {
        if request.token() != Some(TOKEN) {
            return Reply::new(403, "{}");
        }
        let repo = self.repos.get_mut(&format!("{org}/{name}")).unwrap();
        for line in String::from_utf8_lossy(&request.body).lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let value = &line["value"];
            let path = || value["path"].as_str().unwrap().to_owned();
            match line["key"].as_str().unwrap() {
                "header" => {
                    let parent = value.get("parentCommit").and_then(Value::as_str);
                    if parent.is_some_and(|parent| parent != repo.commit()) {
                        return Reply::json(&json!({ "error": "the branch has moved" })).status(412);
                    }
                }
                "file" => {
                    let content = STANDARD.decode(value["content"].as_str().unwrap()).unwrap();
                    repo.files.insert(path(), content);
                }
                "lfsFile" => {
                    let content = self.blobs[value["oid"].as_str().unwrap()].clone();
                    repo.files.insert(path(), content);
                }
                key => panic!("{key}"),
            }
        }
        repo.commits += 1;
        Reply::json(&json!({ "commitUrl": "x", "commitOid": repo.commit(), "success": true }))
    }
}

impl Reply {
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}
