//! A push to ModelScope: its repositories, its store (the hub's own, or a signed address elsewhere), its commits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hub::Caller;
use protocol::{PushPlan, PushReport, PushRequest, PushState, RepoKind, RepoRef, Result};
use serde_json::{Value, json};

use crate::fake::{TOKEN, sha256};
use crate::server::{Answers, Reply, Request, Server, Twist};
use crate::support::{Client, model, noise, silent};

#[derive(Clone, Default)]
struct Repo {
    visibility: u64,
    licence: String,
    files: BTreeMap<String, Vec<u8>>,
    commits: u64,
}

#[derive(Default)]
struct Inner {
    repos: BTreeMap<String, Repo>,
    blobs: BTreeMap<String, Vec<u8>>,
    twist: Option<Twist>,
    /// What is asked for there is refused like this, and not done.
    refused: Option<(String, Value)>,
    hub: String,
    /// Where blobs go: the hub itself, or somebody else.
    store: String,
}

impl Answers for Inner {
    fn twist(&mut self) -> Option<&mut Twist> {
        self.twist.as_mut()
    }

    fn answer(&mut self, request: &Request) -> Reply {
        if let Some((part, refusal)) = &self.refused
            && request.path.contains(part)
            && request.method != "GET"
        {
            return Reply::json(refusal);
        }
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["openapi", "v1", "users", "me"]) => enveloped(json!({ "username": "tester" })),
            ("GET", ["openapi", "v1", _, org, name]) => match self.repos.get(&format!("{org}/{name}")) {
                Some(repo) => {
                    let (id, private) = (format!("{org}/{name}"), repo.visibility == 1);
                    enveloped(json!({ "id": id, "private": private, "license": repo.licence }))
                }
                None => Reply::json(&json!({ "Code": 404, "Message": "no such repository", "Data": null })),
            },
            ("GET", ["api", "v1", _, org, name, "repo", "files" | "tree"]) => self.listing(org, name),
            ("POST", ["api", "v1", "models"]) => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let of = |key: &str| body[key].as_str().unwrap().to_owned();
                let visibility = body["Visibility"].as_u64().unwrap();
                self.create(&of("Path"), &of("Name"), visibility, of("License"))
            }
            ("POST", ["api", "v1", "datasets"]) => {
                let form = form(&String::from_utf8_lossy(&request.body));
                self.create(
                    &form["Owner"],
                    &form["Name"],
                    form["Visibility"].parse().unwrap(),
                    form["License"].clone(),
                )
            }
            ("POST", ["api", "v1", "repos", _, _, _, "info", "lfs", "objects", "batch"]) => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                assert_eq!(body["operation"], "upload");
                let missing = body["objects"].as_array().unwrap().iter().filter_map(|object| {
                    let oid = object["oid"].as_str().unwrap();
                    let upload = json!({ "href": format!("{}/upload/{oid}?signature=abc", self.store) });
                    (!self.blobs.contains_key(oid))
                        .then(|| json!({ "oid": oid, "actions": { "upload": upload } }))
                });
                enveloped(json!({ "objects": missing.collect::<Vec<_>>() }))
            }
            ("POST", ["api", "v1", "repos", _, org, name, "commit", "master"]) => {
                self.commit(request, org, name)
            }
            ("PUT", ["upload", oid]) => {
                if request.headers["content-length"] != request.body.len().to_string() {
                    return Reply::new(400, "");
                }
                self.blobs.insert((*oid).into(), request.body.clone());
                if self.store == self.hub {
                    Reply::json(&json!({ "Code": 200 }))
                } else {
                    Reply::new(200, "")
                }
            }
            _ => Reply::new(404, "{\"Message\": \"not found\"}"),
        }
    }
}

impl Inner {
    fn create(&mut self, owner: &str, name: &str, visibility: u64, licence: String) -> Reply {
        // As a new repository has it.
        let files = BTreeMap::from([("README.md".to_owned(), b"---\n---\n".to_vec())]);
        let repo = Repo { visibility, licence, files, commits: 0 };
        if self.repos.insert(format!("{owner}/{name}"), repo).is_some() {
            return Reply::json(
                &json!({ "Code": 10_010_101_001_u64, "Success": false, "Message": "exists" }),
            );
        }
        enveloped(json!({ "Id": 7 }))
    }

    fn listing(&self, org: &str, name: &str) -> Reply {
        let repo = &self.repos[&format!("{org}/{name}")];
        let file = |(path, content): (&String, &Vec<u8>)| json!({ "Path": path, "Size": content.len(), "Sha256": sha256(content), "Type": "blob" });
        let files: Vec<_> = repo.files.iter().map(file).collect();
        enveloped(json!({ "Files": files, "LatestCommitter": { "Id": format!("{:040x}", repo.commits) } }))
    }

    fn commit(&mut self, request: &Request, org: &str, name: &str) -> Reply {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert!(!body["commit_message"].as_str().unwrap().is_empty());
        let repo = self.repos.get_mut(&format!("{org}/{name}")).unwrap();
        for action in body["actions"].as_array().unwrap() {
            assert_eq!(action["action"], "create");
            let content = match action["type"].as_str().unwrap() {
                "lfs" => self.blobs[action["sha256"].as_str().unwrap()].clone(),
                _ => STANDARD.decode(action["content"].as_str().unwrap()).unwrap(),
            };
            assert_eq!(action["size"].as_u64().unwrap(), content.len() as u64);
            repo.files.insert(action["path"].as_str().unwrap().to_owned(), content);
        }
        repo.commits += 1;
        Reply::json(
            &json!({ "Code": 200, "Success": true, "Data": { "Id": format!("{:040x}", repo.commits) } }),
        )
    }
}

fn enveloped(data: Value) -> Reply {
    Reply::json(&json!({ "Code": 200, "Data": data, "Success": true }))
}

/// The fields of a form.
fn form(body: &str) -> BTreeMap<String, String> {
    let boundary = body.lines().next().unwrap();
    let fields = body.split(boundary).filter_map(|part| {
        let (head, value) = part.split_once("\r\n\r\n")?;
        let name = head.split_once("name=\"")?.1.split_once('"')?.0;
        Some((name.to_owned(), value.trim_end().to_owned()))
    });
    fields.collect()
}

struct Pushing {
    inner: Arc<Mutex<Inner>>,
    hub: Server,
    store: Server,
    client: Client,
    push: PushRequest,
    _folder: tempfile::TempDir,
}

impl Pushing {
    /// `own`: blobs go to the hub itself.
    fn new(own: bool) -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let (hub, store) = (Server::twisted(&inner), Server::twisted(&inner));
        {
            let mut inner = inner.lock().unwrap();
            (inner.hub, inner.store) = (hub.address(), if own { hub.address() } else { store.address() });
        }
        let client = Client::at(hub.url.as_str(), true, tempfile::tempdir().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let card = "---\nlicense: mit\n---\n# A card";
        std::fs::write(folder.path().join("README.md"), card).unwrap();
        std::fs::write(folder.path().join("adapter_config.json"), "{\"r\": 8}").unwrap();
        std::fs::write(folder.path().join("adapter_model.safetensors"), noise(70_000, 1)).unwrap();
        let push = PushRequest {
            repo: RepoRef { hub: "ms".into(), ..model("me/mine") },
            folder: folder.path().into(),
            private: true,
            create: true,
            message: String::new(),
        };
        Self { inner, hub, store, client, push, _folder: folder }
    }

    async fn plan(&self) -> Result<PushPlan> {
        self.client.hubs.plan_push(&self.client.settings, &self.push, &Caller::patient()).await
    }

    async fn push(&self, plan: &PushPlan) -> Result<PushReport> {
        let pushed = (&self.push, plan.digest.as_str());
        self.client.hubs.push(&self.client.settings, pushed, &silent(), &Caller::patient()).await
    }

    fn repo(&self) -> Repo {
        self.inner.lock().unwrap().repos["me/mine"].clone()
    }

    fn twist(&self, twist: impl FnMut(&Request, Reply) -> Reply + Send + 'static) {
        self.inner.lock().unwrap().twist = Some(Box::new(twist));
    }
}

#[tokio::test]
async fn what_was_shown_is_what_is_there() {
    for (own, kind) in [(true, RepoKind::Model), (false, RepoKind::Model), (false, RepoKind::Dataset)] {
        let mut pushing = Pushing::new(own);
        pushing.push.repo.kind = kind;
        let plan = pushing.plan().await.unwrap();
        assert!(plan.url.ends_with(if kind == RepoKind::Model {
            "/models/me/mine"
        } else {
            "/datasets/me/mine"
        }));
        assert_eq!((plan.user.as_str(), plan.exists, plan.private), ("tester", false, true));
        assert!(plan.files.iter().all(|file| file.state == PushState::New));
        assert_eq!((plan.licence.as_deref(), plan.notes.len()), (Some("MIT"), 0));
        let sent =
            |server: &Server| server.log.lock().unwrap().iter().filter(|heard| heard.method != "GET").count();
        assert_eq!(sent(&pushing.hub), 0, "a plan sends nothing");
        let report = pushing.push(&plan).await.unwrap();
        assert_eq!(report.sent_bytes, plan.send_bytes());
        assert_eq!(report.commit, Some(format!("{:040x}", 1)));
        let repo = pushing.repo();
        assert_eq!((repo.visibility, repo.licence.as_str(), repo.commits), (1, "MIT", 1));
        assert_eq!(sha256(&repo.files["adapter_model.safetensors"]), plan.files[2].sha256);
        assert_eq!(repo.files["README.md"], b"---\nlicense: mit\n---\n# A card");
        // The hub and its own store are asked by name, in both ways that it knows; nobody else hears the token.
        let cookie = format!("m_session_id={TOKEN}");
        for heard in pushing.hub.log.lock().unwrap().iter() {
            assert_eq!((heard.token(), &heard.headers["cookie"]), (Some(TOKEN), &cookie), "{}", heard.path);
        }
        for heard in pushing.store.log.lock().unwrap().iter() {
            assert!(!format!("{:?}", heard.headers).contains(TOKEN), "{heard:?}");
        }
        assert_eq!(pushing.store.log.lock().unwrap().len(), usize::from(!own));
        // Once more: all is there.
        let plan = pushing.plan().await.unwrap();
        assert!(plan.exists && plan.send_bytes() == 0);
        assert_eq!(plan.licence.as_deref(), Some("MIT"), "as the hub lists it");
        assert_eq!(pushing.push(&plan).await.unwrap().sent_bytes, 0);
        assert_eq!(pushing.repo().commits, 1);
    }
}

#[tokio::test]
async fn a_licence_that_the_hub_does_not_know_is_told_of() {
    let pushing = Pushing::new(true);
    std::fs::write(pushing.push.folder.join("README.md"), "---\nlicense: llama3\n---\n# A card").unwrap();
    let plan = pushing.plan().await.unwrap();
    assert_eq!(plan.licence.as_deref(), Some("Other"));
    assert_eq!(plan.notes[0].en, "The card names the licence llama3; ModelScope will list Other");
    pushing.push(&plan).await.unwrap();
    assert_eq!(pushing.repo().licence, "Other");
}

#[tokio::test]
async fn a_broken_push_goes_on() {
    let pushing = Pushing::new(false);
    std::fs::write(pushing.push.folder.join("model.safetensors"), noise(90_000, 2)).unwrap();
    let plan = pushing.plan().await.unwrap();
    let stuck = plan.files.iter().find(|file| file.path == "model.safetensors").unwrap().sha256.clone();
    let last = stuck.clone();
    pushing.twist(move |request, reply| match request.path.ends_with(&stuck) {
        true => Reply { cut: Some(0), ..reply },
        false => reply,
    });
    let error = pushing.push(&plan).await.unwrap_err();
    assert!(error.what.en.contains("connection"), "{error}");
    // What the store took before it broke is not to count.
    pushing.inner.lock().unwrap().blobs.remove(&last);
    pushing.twist(|_, reply| reply);
    let before = pushing.store.requests("/upload/").len();
    let plan = pushing.plan().await.unwrap();
    assert!(plan.exists, "the repository was made the first time");
    pushing.push(&plan).await.unwrap();
    assert_eq!(pushing.store.requests("/upload/").len(), before + 1, "only the missing file was sent");
    assert_eq!(pushing.repo().files.len(), 4);
}

/// The hub does it and the answer is lost: neither repository nor commit is made twice.
#[tokio::test]
async fn what_was_done_without_an_answer_is_done_once() {
    for part in ["/commit/", "/api/v1/models"] {
        let pushing = Pushing::new(true);
        let plan = pushing.plan().await.unwrap();
        pushing.twist(move |request, reply| match request.path.contains(part) && request.method == "POST" {
            true => Reply { cut: Some(5), ..reply },
            false => reply,
        });
        pushing.push(&plan).await.unwrap();
        assert_eq!(pushing.repo().commits, 1, "{part}");
    }
}

#[tokio::test]
async fn refusals_are_told_in_the_hubs_words() {
    for (part, words) in
        [("/api/v1/models", "name is taken"), ("/commit/", "not yours"), ("/upload/", "too big")]
    {
        let pushing = Pushing::new(true);
        let plan = pushing.plan().await.unwrap();
        // A code of its own, with status 200.
        let message = format!("{words}, {TOKEN}");
        let refusal = json!({ "Code": 10_010_205_001_u64, "Success": false, "Message": message });
        pushing.inner.lock().unwrap().refused = Some((part.to_owned(), refusal));
        let error = pushing.push(&plan).await.unwrap_err();
        let all = crate::support::everything(&error);
        assert!(all.contains(words) && !all.contains(TOKEN), "{part}: {all}");
        let asked = pushing.hub.requests(part).into_iter().filter(|heard| heard.method != "GET").count();
        assert_eq!(asked, 1, "a refusal is not asked for again");
    }
}

#[tokio::test]
async fn nobody_publishes_unknown() {
    let pushing = Pushing::new(true);
    let client = Client::at(pushing.hub.url.as_str(), false, tempfile::tempdir().unwrap());
    let error = client.hubs.plan_push(&client.settings, &pushing.push, &Caller::patient()).await.unwrap_err();
    assert!(error.mend.unwrap().en.contains("hub login"));
}
