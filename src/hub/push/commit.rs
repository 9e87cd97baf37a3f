//! A push to Hugging Face: plan, large files, one commit, and a look at what is there afterwards.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use protocol::{
    FileHash, PushFile, PushPlan, PushReport, PushRequest, PushState, RepoRef, Text, UserError, text,
};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::{Local, Publisher, folder, lfs};
use crate::fault::Fault;
use crate::http::Line;
use crate::hubs::{Facts, plural};
use crate::transfer::{Meter, Progress, hex};

/// Between two reports.
const TELL: Duration = Duration::from_millis(200);
/// Files that go into the commit itself: the hub takes no more as text.
const LARGEST_TEXT: u64 = 10 << 20;

pub struct Upload;

impl Publisher for Upload {
    fn plan<'a>(&'a self, line: &'a Line, push: &'a PushRequest) -> BoxFuture<'a, Result<PushPlan, Fault>> {
        Box::pin(async move { Ok(prepare(line, push).await?.plan) })
    }

    fn push<'a>(
        &'a self,
        line: &'a Line,
        push: &'a PushRequest,
        agreed: &'a str,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<PushReport, Fault>> {
        Box::pin(carry_out(line, push, agreed, progress))
    }
}

/// A plan with what it was made from.
struct Prepared {
    plan: PushPlan,
    local: Vec<Local>,
    /// What the branch is now; None where there is no repository.
    parent: Option<String>,
}

async fn prepare(line: &Line, push: &PushRequest) -> Result<Prepared, Fault> {
    if line.token.is_none() {
        return Err(Fault::last(no_token()));
    }
    let user = line.spec.hub.whoami(line).await?;
    let there = standing(line, &push.repo).await?;
    let (folder, token) = (push.folder.clone(), line.token.clone());
    let local = blocking(move || folder::read(&folder, token.as_ref())).await?;
    let notes = {
        let local = local.clone();
        blocking(move || Ok(folder::notes(&local))).await?
    };
    let there_files = hashes(there.as_ref());
    let files = local.iter().map(|file| file.shown(state(file, &there_files))).collect();
    let mut plan = PushPlan {
        repo: push.repo.clone(),
        url: line.asked(&push.repo.id).page,
        user,
        exists: there.is_some(),
        private: there.as_ref().map_or(push.private, |facts| facts.private),
        files,
        notes,
        digest: String::new(),
    };
    plan.digest = digest(&plan);
    Ok(Prepared { plan, local, parent: there.map(|facts| facts.commit) })
}

/// What a yes is given to: everything that is shown.
fn digest(plan: &PushPlan) -> String {
    hex(&Sha256::digest(serde_json::to_vec(plan).unwrap_or_default()))
}

/// The repository as it is; None where there is none.
async fn standing(line: &Line, repo: &RepoRef) -> Result<Option<Facts>, Fault> {
    match line.spec.hub.look(line, repo).await {
        Ok(facts) => Ok(Some(facts)),
        // With a token that the hub knows, a repository that is not shown is not there.
        Err(fault) if fault.absent => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn hashes(facts: Option<&Facts>) -> BTreeMap<&str, Option<&FileHash>> {
    let files = facts.into_iter().flat_map(|facts| &facts.files);
    files.map(|file| (file.path.as_str(), file.hash.as_ref())).collect()
}

fn state(file: &Local, there: &BTreeMap<&str, Option<&FileHash>>) -> PushState {
    match there.get(file.path.as_str()) {
        None => PushState::New,
        Some(Some(FileHash::Sha256(hash))) if *hash == file.sha256 => PushState::Same,
        Some(Some(FileHash::GitSha1(hash))) if *hash == file.git_sha1 => PushState::Same,
        Some(_) => PushState::Changed,
    }
}

async fn carry_out(
    line: &Line,
    push: &PushRequest,
    agreed: &str,
    progress: &Progress,
) -> Result<PushReport, Fault> {
    let start = Instant::now();
    let Prepared { plan, local, parent } = prepare(line, push).await?;
    if plan.digest != agreed {
        return Err(Fault::last(has_changed(&push.folder)));
    }
    if !plan.exists {
        if !push.create {
            return Err(Fault::last(no_repository(&push.repo)));
        }
        crate::hubs::create(line, &push.repo, push.private).await?;
    }
    let news: Vec<&Local> = local
        .iter()
        .zip(&plan.files)
        .filter(|(_, shown)| shown.state != PushState::Same)
        .map(|(local, _)| local)
        .collect();
    let meter = Arc::new(Meter::new(plan.send_bytes()));
    let (commit, sent) = match news.is_empty() {
        true => (None, 0),
        false => {
            let work = send(line, push, &news, parent, &meter);
            let (commit, sent) = meter.watch(TELL, progress, line.stop.or(work)).await?;
            (Some(commit), sent)
        }
    };
    let files = verify(line, &push.repo, &local, &plan.files).await?;
    let (repo, url, seconds) = (plan.repo, plan.url, start.elapsed().as_secs_f64());
    Ok(PushReport { repo, url, commit, files, sent_bytes: sent, seconds })
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
    let message =
        if push.message.trim().is_empty() { "Upload from Emberwright" } else { push.message.trim() };
    let mut value = json!({ "summary": message, "description": "" });
    if let Some(parent) = parent {
        // Somebody else's commit in between is not written over.
        value["parentCommit"] = parent.into();
    }
    json!({ "key": "header", "value": value })
}

/// A text in the commit itself.
async fn inline(file: &Local) -> Result<serde_json::Value, Fault> {
    let (place, name) = (file.place.clone(), file.path.clone());
    let wanted = file.sha256.clone();
    let content = blocking(move || {
        let content = std::fs::read(&place);
        content.map_err(|err| {
            UserError::io(Text::fixed("read a file to publish", "读取要发布的文件"), &place, &err)
        })
    })
    .await?;
    if hex(&Sha256::digest(&content)) != wanted {
        return Err(Fault::last(has_changed(&file.place)));
    }
    let value = json!({ "content": STANDARD.encode(content), "path": name, "encoding": "base64" });
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
    let mut failures = 0;
    loop {
        let request = line.request(Method::POST, &url).header(CONTENT_TYPE, "application/x-ndjson");
        let answer = async {
            let response = line.send(request.body(body.clone()), &asked).await?;
            response.json::<Answer>().await.map_err(|err| Fault::transport(err, &asked))
        };
        match answer.await {
            Ok(answer) => return Ok(answer.commit_oid.unwrap_or_default()),
            Err(fault) => {
                failures += 1;
                if let Ok(Some(facts)) = standing(line, repo).await {
                    let there = hashes(Some(&facts));
                    if news.iter().all(|file| state(file, &there) == PushState::Same) {
                        return Ok(facts.commit);
                    }
                }
                line.rest(failures, fault).await?;
            }
        }
    }
}

/// Holds the hub's listing against the files.
async fn verify(
    line: &Line,
    repo: &RepoRef,
    local: &[Local],
    shown: &[PushFile],
) -> Result<Vec<PushFile>, Fault> {
    let facts = line.spec.hub.look(line, repo).await?;
    let there = hashes(Some(&facts));
    let wrong: Vec<String> = local
        .iter()
        .filter(|file| state(file, &there) != PushState::Same)
        .map(|file| file.path.clone())
        .collect();
    if wrong.is_empty() {
        return Ok(shown.to_vec());
    }
    let (hub, zh) = (&line.spec.name, &line.spec.name.zh);
    Err(Fault::last(
        UserError::failure(text!("{hub} does not have what was sent", "{zh} 上的内容与发送的不一致"))
            .at_item(&repo.id)
            .details(wrong)
            .mend(Text::fixed(
                "publish again: what is there is not sent twice",
                "请重新发布：已有的内容不会重复发送",
            )),
    ))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> protocol::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let broken = |_| UserError::failure(Text::fixed("The work was cut off", "操作被中断"));
    spawn_blocking(work).await.map_err(broken).flatten().map_err(Fault::last)
}

fn no_token() -> UserError {
    UserError::bad_input(Text::fixed("To publish, the hub must know who you are", "发布前需要登录")).mend(
        Text::fixed(
            "log in with a token that may write (`emberwright hub login`, or in the settings)",
            "请用具有写权限的令牌登录（`emberwright hub login` 或在设置中）",
        ),
    )
}

fn no_repository(repo: &RepoRef) -> UserError {
    let id = &repo.id;
    UserError::bad_input(text!("There is no repository {id}", "仓库 {id} 不存在"))
        .mend(Text::fixed("let it be made, or check the name", "请允许新建，或检查名称"))
}

fn has_changed(place: &Path) -> UserError {
    UserError::bad_input(Text::fixed(
        "The folder or the repository has changed since it was shown: nothing was sent",
        "文件夹或仓库在展示之后发生了变化：没有发送任何内容",
    ))
    .in_file(place)
    .mend(Text::fixed("look at the list again", "请重新查看列表"))
}
