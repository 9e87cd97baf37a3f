//! Hugging Face, and mirrors that speak like it.

use hf_hub::repository::ModelInfo;
use protocol::{RepoHit, RepoKind, RepoRef, Secret, Text, UserError, text};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{Asking, Facts, Hub, RemoteFile, Spec, day, git_sha1, plural, sha256};
use crate::environment::Environment;
use crate::fault::{Asked, Fault};
use crate::http::Line;
use crate::push::{self, Publisher};

/// How many repositories a search shows.
const HITS: &str = "30";
/// No repository of weights or rows has more files than this.
const MOST_FILES: usize = 200_000;

pub const SPEC: Spec = Spec {
    id: "hf",
    name: Text::fixed("Hugging Face", "Hugging Face"),
    help: Text::fixed("huggingface.co, or a mirror of it", "huggingface.co 或其镜像（如 hf-mirror.com）"),
    endpoint: "https://huggingface.co",
    named_endpoint: |environment| environment.get("HF_ENDPOINT").map(str::to_owned),
    hosts: &["huggingface.co", "www.huggingface.co", "hf.co", "hf-mirror.com"],
    branch: "main",
    token_variables: &["HF_TOKEN"],
    token_file: stored_token,
    cache: |environment| environment.hf_cache(),
    cookie: None,
    stores: &[],
    hub: &HuggingFace,
};

/// What `hf auth login` has stored, unless the user does not want it used.
fn stored_token(environment: &Environment) -> Option<Secret> {
    if environment.get("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some() {
        return None;
    }
    let named = environment.get("HF_TOKEN_PATH").map(std::path::PathBuf::from);
    let file = named.unwrap_or_else(|| environment.hf_home().join("token"));
    let token = Secret::new(std::fs::read_to_string(file).ok()?);
    Some(token).filter(|token| !token.is_empty())
}

pub struct HuggingFace;

impl Hub for HuggingFace {
    fn search<'a>(&'a self, line: &'a Line, kind: RepoKind, text: &'a str) -> Asking<'a, Vec<RepoHit>> {
        Box::pin(async move {
            let mut url = line.url(&["api", plural(kind)]);
            url.query_pairs_mut().extend_pairs([("search", text), ("sort", "downloads"), ("limit", HITS)]);
            let asked = line.asked(text);
            let request = || line.request(Method::GET, &url);
            let found: Vec<ModelInfo> = line.json(&asked, request).await?;
            Ok(found.into_iter().map(|info| hit(kind, info)).collect())
        })
    }

    fn look<'a>(&'a self, line: &'a Line, repo: &'a RepoRef) -> Asking<'a, Facts> {
        Box::pin(async move {
            let asked = line.asked(&repo.id);
            let mut facts = facts(line, repo, &asked).await?;
            facts.files = tree(line, repo, &facts.commit, &asked).await?;
            Ok(facts)
        })
    }

    fn file_url(&self, line: &Line, repo: &RepoRef, commit: &str, path: &str) -> Url {
        let prefix = if repo.kind == RepoKind::Dataset { "datasets/" } else { "" };
        line.url(&[&format!("{prefix}{}", repo.id), "resolve", commit, path])
    }

    fn whoami<'a>(&'a self, line: &'a Line) -> Asking<'a, String> {
        #[derive(Deserialize)]
        struct User {
            name: String,
        }
        Box::pin(async move {
            let (asked, url) = (line.asked("api/whoami-v2"), line.url(&["api", "whoami-v2"]));
            let user: User = line.json(&asked, || line.request(Method::GET, &url)).await?;
            Ok(user.name)
        })
    }

    fn page(&self, line: &Line, repo: &RepoRef) -> Url {
        match repo.kind {
            RepoKind::Model => line.url(&[&repo.id]),
            RepoKind::Dataset => line.url(&["datasets", &repo.id]),
        }
    }

    fn publisher(&self) -> &dyn Publisher {
        &push::HuggingFace
    }
}

async fn facts(line: &Line, repo: &RepoRef, asked: &Asked<'_>) -> Result<Facts, Fault> {
    let mut url = line.url(&["api", plural(repo.kind), &repo.id, "revision"]);
    if let Ok(mut parts) = url.path_segments_mut() {
        // A branch with a stroke in its name is one part.
        parts.push(&repo.revision);
    }
    let request = || line.request(Method::GET, &url);
    let info: ModelInfo = line.json(asked, request).await?;
    Ok(Facts {
        commit: info.sha.ok_or_else(|| Fault::last(crate::fault::unreadable(asked).detail("no commit")))?,
        licence: licence(info.card_data.as_ref(), &info.tags.unwrap_or_default()),
        gated: is_gated(info.gated.as_ref()),
        private: info.private.unwrap_or_default(),
        downloads: info.downloads.unwrap_or_default(),
        files: Vec::new(),
    })
}

/// `false`, or how access is granted.
fn is_gated(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !matches!(value, Value::Bool(false) | Value::Null))
}

/// From the card, or else from the tags; `other` has a name of its own.
fn licence(card: Option<&Value>, tags: &[String]) -> Option<String> {
    let field = |key: &str| match card?.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Array(several) => several.first()?.as_str().map(str::to_owned),
        _ => None,
    };
    let named =
        field("license").or_else(|| tags.iter().find_map(|tag| tag.strip_prefix("license:")).map(Into::into));
    named.map(|licence| match licence.as_str() {
        "other" => field("license_name").unwrap_or(licence),
        _ => licence,
    })
}

/// A line of a listing. (hf-hub's type has no place for the hash under the name that listings have for it.)
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    oid: String,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    #[serde(alias = "sha256")]
    oid: String,
    size: Option<u64>,
}

async fn tree(
    line: &Line,
    repo: &RepoRef,
    commit: &str,
    asked: &Asked<'_>,
) -> Result<Vec<RemoteFile>, Fault> {
    let mut url = line.url(&["api", plural(repo.kind), &repo.id, "tree", commit]);
    url.query_pairs_mut().append_pair("recursive", "true");
    let mut files = Vec::new();
    let mut next = Some(url);
    while let Some(url) = next {
        let page: (Vec<Entry>, _) = line.page(asked, || line.request(Method::GET, &url)).await?;
        files.extend(page.0.into_iter().filter(|entry| entry.kind == "file").map(remote));
        next = page.1.filter(|next| *next != url);
        if files.len() > MOST_FILES {
            let what =
                text!("This repository has more than {MOST_FILES} files", "该仓库的文件超过 {MOST_FILES} 个");
            return Err(Fault::last(UserError::bad_input(what).at_item(&repo.id)));
        }
    }
    Ok(files)
}

fn remote(entry: Entry) -> RemoteFile {
    match entry.lfs {
        Some(lfs) => {
            RemoteFile { path: entry.path, bytes: lfs.size.unwrap_or(entry.size), hash: sha256(&lfs.oid) }
        }
        None => RemoteFile { path: entry.path, bytes: entry.size, hash: git_sha1(&entry.oid) },
    }
}

/// Makes a repository.
pub(crate) async fn create(line: &Line, repo: &RepoRef, private: bool) -> Result<(), Fault> {
    let (asked, url) = (line.asked(&repo.id), line.url(&["api", "repos", "create"]));
    let kind = plural(repo.kind).trim_end_matches('s');
    let mut body = json!({ "type": kind, "private": private });
    match repo.id.split_once('/') {
        Some((owner, name)) => (body["organization"], body["name"]) = (owner.into(), name.into()),
        None => body["name"] = repo.id.as_str().into(),
    }
    let request = || line.request(Method::POST, &url).json(&body);
    line.bytes(&asked, 1 << 20, request).await.map(drop)
}

/// A line of a search. What is read of a dataset's answer has the names and types of a model's; it has no task.
fn hit(kind: RepoKind, info: ModelInfo) -> RepoHit {
    RepoHit {
        repo: RepoRef { hub: SPEC.id.into(), kind, id: info.id, revision: String::new() },
        downloads: info.downloads.unwrap_or_default(),
        likes: info.likes.unwrap_or_default(),
        gated: is_gated(info.gated.as_ref()),
        updated: info.last_modified.or(info.created_at).map(day),
        task: info.pipeline_tag,
    }
}
