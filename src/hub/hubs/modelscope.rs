//! ModelScope (魔搭), through its public interface.
//!
//! Files are fetched by the name of their branch and held against the SHA-256 of the listing; its snapshots are kept
//! in the layout of Hugging Face's cache, in a folder of their own.

use protocol::{RepoHit, RepoKind, RepoRef, Secret, Text};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{Asking, Facts, Hub, RemoteFile, Spec, day, plural, sha256};
use crate::environment::Environment;
use crate::fault::{Again, Asked, Fault, unreadable};
use crate::http::Line;

const HITS: &str = "30";
/// Files of a dataset come in pages.
const PAGE: usize = 200;
const MOST_PAGES: usize = 1000;

pub const SPEC: Spec = Spec {
    id: "ms",
    name: Text::fixed("ModelScope", "魔搭社区（ModelScope）"),
    help: Text::fixed("modelscope.cn: near and fast in China", "modelscope.cn：在国内访问更快"),
    endpoint: "https://modelscope.cn",
    named_endpoint: |environment| environment.get("MODELSCOPE_DOMAIN").map(|host| format!("https://{host}")),
    hosts: &["modelscope.cn", "www.modelscope.cn", "modelscope.ai", "www.modelscope.ai"],
    branch: "master",
    token_variables: &["MODELSCOPE_API_TOKEN"],
    token_file: no_file,
    cache: |environment| {
        let named = environment.get("MODELSCOPE_CACHE").map(std::path::PathBuf::from);
        named.unwrap_or_else(|| environment.caches().join("modelscope")).join("snapshots")
    },
    hub: &ModelScope,
};

/// Its own tool stores cookies, which are of no use here.
fn no_file(_: &Environment) -> Option<Secret> {
    None
}

struct ModelScope;

/// Every answer stands in an envelope: the older interface writes it with capitals.
#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(alias = "Code")]
    code: Option<i64>,
    #[serde(alias = "Message")]
    message: Option<String>,
    #[serde(alias = "Data")]
    data: Option<T>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default, alias = "datasets")]
    models: Vec<Info>,
}

#[derive(Default, Deserialize)]
struct Info {
    id: String,
    #[serde(default)]
    license: Option<String>,
    #[serde(default)]
    downloads: Option<u64>,
    #[serde(default)]
    likes: Option<u64>,
    #[serde(default)]
    tasks: Option<Vec<String>>,
    #[serde(default)]
    private: Option<bool>,
    #[serde(default)]
    gated: Option<bool>,
    #[serde(default)]
    last_modified: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listing {
    #[serde(default)]
    files: Vec<Entry>,
    latest_committer: Option<Commit>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Commit {
    #[serde(default)]
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    path: String,
    #[serde(default)]
    size: u64,
    #[serde(default, rename = "Sha256")]
    sha256: Option<String>,
    #[serde(default, rename = "Type")]
    kind: String,
}

impl Hub for ModelScope {
    fn search<'a>(&'a self, line: &'a Line, kind: RepoKind, text: &'a str) -> Asking<'a, Vec<RepoHit>> {
        Box::pin(async move {
            let mut url = line.url(&["openapi", "v1", plural(kind)]);
            let query = [("search", text), ("sort", "downloads"), ("page_size", HITS), ("page_number", "1")];
            url.query_pairs_mut().extend_pairs(query);
            let found: Found = ask(line, &line.asked(text), &url).await?;
            Ok(found.models.into_iter().map(|info| hit(kind, info)).collect())
        })
    }

    fn look<'a>(&'a self, line: &'a Line, repo: &'a RepoRef) -> Asking<'a, Facts> {
        Box::pin(async move {
            let asked = line.asked(&repo.id);
            let url = line.url(&["openapi", "v1", plural(repo.kind), &repo.id]);
            let info: Info = ask(line, &asked, &url).await?;
            let (files, commit) = files(line, repo, &asked).await?;
            Ok(Facts {
                commit: commit.unwrap_or_else(|| repo.revision.clone()),
                licence: info.license.filter(|licence| !licence.is_empty()),
                gated: info.gated.unwrap_or_default(),
                private: info.private.unwrap_or_default(),
                downloads: info.downloads.unwrap_or_default(),
                files,
            })
        })
    }

    fn file_url(&self, line: &Line, repo: &RepoRef, _commit: &str, path: &str) -> Url {
        let mut url = line.url(&["api", "v1", plural(repo.kind), &repo.id, "repo"]);
        let query = [("Revision", repo.revision.as_str()), ("FilePath", path)];
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    fn whoami<'a>(&'a self, line: &'a Line) -> Asking<'a, String> {
        #[derive(Deserialize)]
        struct User {
            #[serde(alias = "Name", alias = "name")]
            username: String,
        }
        Box::pin(async move {
            let url = line.url(&["openapi", "v1", "users", "me"]);
            let user: User = ask(line, &line.asked("openapi/v1/users/me"), &url).await?;
            Ok(user.username)
        })
    }
}

/// What lies in the envelope. A refusal can come with status 200.
async fn ask<T: DeserializeOwned>(line: &Line, asked: &Asked<'_>, url: &Url) -> Result<T, Fault> {
    let envelope: Envelope<T> = line.json(asked, || line.request(Method::GET, url)).await?;
    if let Some(data) = envelope.data {
        return Ok(data);
    }
    let words = envelope.message.unwrap_or_default();
    let code = envelope.code.and_then(|code| u16::try_from(code).ok());
    let status = code.and_then(|code| reqwest::StatusCode::from_u16(code).ok());
    let refusal = status.filter(|status| !status.is_success());
    Err(match refusal {
        Some(status) => {
            let body = serde_json::json!({ "error": words }).to_string();
            let fault = Fault::status(status, &reqwest::header::HeaderMap::new(), &body, asked);
            Fault { again: Again::Never, ..fault }
        }
        None => Fault::last(unreadable(asked)),
    })
}

/// All files, and the commit where it is told.
async fn files(
    line: &Line,
    repo: &RepoRef,
    asked: &Asked<'_>,
) -> Result<(Vec<RemoteFile>, Option<String>), Fault> {
    let (kind, revision) = (plural(repo.kind), repo.revision.as_str());
    let paged = repo.kind == RepoKind::Dataset;
    let last = if paged { "tree" } else { "files" };
    let mut files = Vec::new();
    let mut commit = None;
    for number in 1..=MOST_PAGES {
        let mut url = line.url(&["api", "v1", kind, &repo.id, "repo", last]);
        url.query_pairs_mut().extend_pairs([("Revision", revision), ("Recursive", "True")]);
        if paged {
            let (number, size) = (number.to_string(), PAGE.to_string());
            url.query_pairs_mut().extend_pairs([("PageNumber", number), ("PageSize", size)]);
        }
        let page: Listing = ask(line, asked, &url).await?;
        let entries = page.files.len();
        commit = commit.or(page.latest_committer.map(|commit| commit.id));
        files.extend(page.files.into_iter().filter(|entry| entry.kind != "tree").map(remote));
        if !paged || entries < PAGE {
            break;
        }
    }
    Ok((files, commit.filter(|commit| !commit.is_empty())))
}

fn remote(entry: Entry) -> RemoteFile {
    let hash = entry.sha256.as_deref().and_then(sha256);
    RemoteFile { path: entry.path, bytes: entry.size, hash }
}

fn hit(kind: RepoKind, info: Info) -> RepoHit {
    RepoHit {
        repo: RepoRef { hub: SPEC.id.into(), kind, id: info.id, revision: String::new() },
        downloads: info.downloads.unwrap_or_default(),
        likes: info.likes.unwrap_or_default(),
        gated: info.gated.unwrap_or_default(),
        updated: info.last_modified.map(day),
        task: info.tasks.and_then(|tasks| tasks.into_iter().next()),
    }
}
