//! ModelScope (魔搭), through its public interface.
//!
//! Files are fetched by the name of their branch and held against the SHA-256 of the listing; its snapshots are kept
//! in the layout of Hugging Face's cache, in a folder of their own.

use protocol::{RepoHit, RepoKind, RepoRef, Secret, Text};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{Asking, Facts, Hub, RemoteFile, Spec, day, envelope, plural, sha256};
use crate::environment::Environment;
use crate::fault::{Asked, Fault};
use crate::http::Line;
use crate::push::{self, Publisher};

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
    cookie: Some("m_session_id"),
    stores: &["lfs", "pre-lfs"],
    hub: &ModelScope,
};

/// Its own tool stores cookies, which are of no use here.
fn no_file(_: &Environment) -> Option<Secret> {
    None
}

struct ModelScope;

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

    fn page(&self, line: &Line, repo: &RepoRef) -> Url {
        line.url(&[plural(repo.kind), &repo.id])
    }

    fn publisher(&self) -> &dyn Publisher {
        &push::ModelScope
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

async fn ask<T: DeserializeOwned>(line: &Line, asked: &Asked<'_>, url: &Url) -> Result<T, Fault> {
    envelope::ask(line, asked, || line.request(Method::GET, url)).await
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
