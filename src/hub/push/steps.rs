//! The steps of a push that all hubs have: what would be sent, the yes, and a look at what is there afterwards.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::{
    FileHash, PushFile, PushPlan, PushReport, PushRequest, PushState, RepoRef, Text, UserError, text,
};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::{Local, Publisher, card, folder};
use crate::fault::Fault;
use crate::http::Line;
use crate::hubs::Facts;
use crate::transfer::{Meter, Progress, hex};

/// Between two reports.
const TELL: Duration = Duration::from_millis(200);

/// What a push would do; nothing is sent.
pub(crate) async fn plan(line: &Line, push: &PushRequest) -> Result<PushPlan, Fault> {
    Ok(prepare(line, push).await?.plan)
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
    let (notes, card) = {
        let local = local.clone();
        blocking(move || Ok((folder::notes(&local), card::read(&local)))).await?
    };
    let licence = line.spec.hub.publisher().licence(there.as_ref(), card.as_deref());
    let there_files = hashes(there.as_ref());
    let files = local.iter().map(|file| file.shown(state(file, &there_files))).collect();
    let mut plan = PushPlan {
        repo: push.repo.clone(),
        url: line.spec.hub.page(line, &push.repo).into(),
        user,
        exists: there.is_some(),
        private: there.as_ref().map_or(push.private, |facts| facts.private),
        notes: notes.into_iter().chain(note_of_licence(card.as_deref(), licence.as_deref(), line)).collect(),
        licence,
        files,
        digest: String::new(),
    };
    plan.digest = digest(&plan);
    Ok(Prepared { plan, local, parent: there.map(|facts| facts.commit) })
}

/// What a reader of the repository will not know of its licence.
fn note_of_licence(card: Option<&str>, listed: Option<&str>, line: &Line) -> Option<Text> {
    let (hub, zh) = (&line.spec.name, &line.spec.name.zh);
    // That there is no card was noted.
    match (card::licence(card?), listed) {
        (None, _) => Some(Text::fixed(
            "The card names no licence (`license:` at the head of README.md)",
            "模型卡未注明许可证（README.md 开头的 `license:`）",
        )),
        (Some(named), listed) if !named.eq_ignore_ascii_case(listed.unwrap_or_default()) => {
            let listed = listed.unwrap_or("–");
            Some(text!(
                "The card names the licence {named}; {hub} will list {listed}",
                "模型卡注明的许可证为 {named}；{zh} 将显示 {listed}"
            ))
        }
        _ => None,
    }
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

/// Does what a plan said: `agreed` is its digest.
pub(crate) async fn carry_out(
    line: &Line,
    push: &PushRequest,
    agreed: &str,
    progress: &Progress,
) -> Result<PushReport, Fault> {
    let start = Instant::now();
    let publisher: &dyn Publisher = line.spec.hub.publisher();
    let Prepared { plan, local, parent } = prepare(line, push).await?;
    if plan.digest != agreed {
        return Err(Fault::last(has_changed(&push.folder)));
    }
    if !plan.exists {
        if !push.create {
            return Err(Fault::last(no_repository(&push.repo)));
        }
        // It may have been made by a request whose answer was lost.
        if let Err(fault) = publisher.create(line, push, plan.licence.as_deref()).await
            && !matches!(standing(line, &push.repo).await, Ok(Some(_)))
        {
            return Err(fault);
        }
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
            let work = publisher.send(line, push, &news, parent, &meter);
            let (commit, sent) = meter.watch(TELL, progress, line.caller.or(work)).await?;
            (Some(commit), sent)
        }
    };
    let files = verify(line, &push.repo, &local, &plan.files).await?;
    let (repo, url, seconds) = (plan.repo, plan.url, start.elapsed().as_secs_f64());
    Ok(PushReport { repo, url, commit, files, sent_bytes: sent, seconds })
}

/// Holds the hub's listing against the files.
async fn verify(
    line: &Line,
    repo: &RepoRef,
    local: &[Local],
    shown: &[PushFile],
) -> Result<Vec<PushFile>, Fault> {
    // A listing may lag behind the commit.
    line.persist(|| async {
        let facts = line.spec.hub.look(line, repo).await?;
        let there = hashes(Some(&facts));
        let wrong: Vec<String> = local
            .iter()
            .filter(|file| state(file, &there) != PushState::Same)
            .map(|file| file.path.clone())
            .collect();
        match wrong.is_empty() {
            true => Ok(shown.to_vec()),
            false => Err(Fault::soon(not_there(line, repo, wrong))),
        }
    })
    .await
}

/// The commit under which all of these are there, if they are: a commit whose answer was lost may have been made.
pub(super) async fn arrived(line: &Line, repo: &RepoRef, files: &[&Local]) -> Option<String> {
    let facts = standing(line, repo).await.ok()??;
    let there = hashes(Some(&facts));
    files.iter().all(|file| state(file, &there) == PushState::Same).then(|| facts.commit.clone())
}

/// What goes into a commit itself: read again, and still what was shown.
pub(super) async fn content(file: &Local) -> Result<Vec<u8>, Fault> {
    let (place, wanted) = (file.place.clone(), file.sha256.clone());
    blocking(move || {
        let content = std::fs::read(&place).map_err(|err| {
            UserError::io(Text::fixed("read a file to publish", "读取要发布的文件"), &place, &err)
        })?;
        match hex(&Sha256::digest(&content)) == wanted {
            true => Ok(content),
            false => Err(has_changed(&place)),
        }
    })
    .await
}

/// The message of a commit.
pub(super) fn message(push: &PushRequest) -> &str {
    match push.message.trim() {
        "" => "Upload from Emberwright",
        message => message,
    }
}

fn not_there(line: &Line, repo: &RepoRef, wrong: Vec<String>) -> UserError {
    let (hub, zh) = (&line.spec.name, &line.spec.name.zh);
    UserError::failure(text!("{hub} does not have what was sent", "{zh} 上的内容与发送的不一致"))
        .at_item(&repo.id)
        .details(wrong)
        .mend(Text::fixed(
            "publish again: what is there is not sent twice",
            "请重新发布：已有的内容不会重复发送",
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
