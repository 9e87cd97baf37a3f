//! What clients ask of hubs.

use std::sync::OnceLock;
use std::time::Instant;

use protocol::{
    DownloadReport, HubAccount, HubFile, HubSettings, PushPlan, PushReport, PushRequest, RepoCard, RepoHit,
    RepoKind, RepoRef, Result, Secret, Text, TokenPlace, UserError, text,
};
use reqwest::Client;
use tokio::task::spawn_blocking;
use url::Url;

use crate::cache::{Cache, CachedRepo, blob_name, check_path, is_name};
use crate::caller::Caller;
use crate::choose::choose;
use crate::environment::Environment;
use crate::http::{self, Line};
use crate::hubs::{self, Facts, Spec};
use crate::push;
use crate::tokens::Tokens;
use crate::transfer::{Patience, Piece, Progress, fetch_all, is_whole};

/// All hubs, as this machine reaches them.
pub struct Hubs {
    environment: Environment,
    tokens: Tokens,
    patience: Patience,
    client: OnceLock<Client>,
}

/// A download that is ready to begin.
#[derive(Clone, Debug)]
pub struct Job {
    pub card: RepoCard,
    settings: HubSettings,
}

impl Job {
    /// What the disk must have room for.
    pub fn missing_bytes(&self) -> u64 {
        self.card.missing_bytes()
    }
}

impl Hubs {
    pub fn new(environment: Environment, tokens: Tokens) -> Self {
        Self { environment, tokens, patience: Patience::default(), client: OnceLock::new() }
    }

    /// For tests, and for those in a hurry.
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Whether only the cache is used.
    pub fn is_offline(&self, settings: &HubSettings) -> bool {
        settings.offline || self.environment.is_offline()
    }

    /// # Errors
    /// When the hub cannot be asked or refuses.
    pub async fn search(
        &self,
        settings: &HubSettings,
        (hub, kind, text): (&str, RepoKind, &str),
        caller: &Caller,
    ) -> Result<Vec<RepoHit>> {
        let line = self.line(settings, find(hub)?, caller).await?;
        line.spec.hub.search(&line, kind, text.trim()).await.map_err(|fault| fault.error)
    }

    /// What a repository holds, from the hub, or from the cache where the hub is not to be asked or cannot be.
    ///
    /// # Errors
    /// When there is no such repository, or it is neither reachable nor cached.
    pub async fn look(&self, settings: &HubSettings, repo: &RepoRef, caller: &Caller) -> Result<RepoCard> {
        let spec = find(&repo.hub)?;
        let repo = resolved(repo, spec);
        let cached = self.cached(&repo, spec);
        if self.is_offline(settings) {
            return from_cache(&repo, &cached).ok_or_else(|| not_cached(&repo));
        }
        let line = self.line(settings, spec, caller).await?;
        let looked = spec.hub.look(&line, &repo).await;
        match looked {
            Ok(facts) => card(repo, facts, &cached),
            Err(fault) => match from_cache(&repo, &cached).filter(|_| fault.unreachable) {
                Some(card) => Ok(noted(card, &fault.error)),
                None => Err(fault.error),
            },
        }
    }

    /// A small file of a repository, proven; None where there is none.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub async fn small_file(
        &self,
        settings: &HubSettings,
        card: &RepoCard,
        path: &str,
        caller: &Caller,
    ) -> Result<Option<Vec<u8>>> {
        /// No config is larger.
        const MOST: u64 = 16 << 20;
        let Some(file) = card.files.iter().find(|file| file.path == path) else { return Ok(None) };
        if file.bytes > MOST {
            return Ok(None);
        }
        let only = RepoCard { files: vec![HubFile { chosen: true, ..file.clone() }], ..card.clone() };
        let job = Job { card: only, settings: settings.clone() };
        self.fetch(&job, &silent(), caller).await?;
        let cached = self.cached(&card.repo, find(&card.repo.hub)?);
        let place = match card.offline {
            true => card.folder.join(path),
            false => cached.blob(&blob_name(file.hash.as_ref(), &card.commit, path)),
        };
        let read = std::fs::read(&place);
        read.map(Some)
            .map_err(|err| UserError::io(Text::fixed("read a fetched file", "读取下载的文件"), &place, &err))
    }

    /// Makes a download ready: these files, or those that a look chooses.
    ///
    /// # Errors
    /// As [`look`](Self::look), or when a file is not there.
    pub async fn prepare(
        &self,
        settings: &HubSettings,
        repo: &RepoRef,
        files: &[String],
        caller: &Caller,
    ) -> Result<Job> {
        let mut card = self.look(settings, repo, caller).await?;
        if let Some(absent) = files.iter().find(|path| !card.files.iter().any(|file| file.path == **path)) {
            let id = &card.repo.id;
            return Err(UserError::bad_input(text!("{id} has no file {absent}", "{id} 中没有文件 {absent}")));
        }
        if !files.is_empty() {
            card.files.iter_mut().for_each(|file| file.chosen = files.contains(&file.path));
        }
        Ok(Job { card, settings: settings.clone() })
    }

    /// Fetches what is missing, proves it, and gives it its names.
    ///
    /// # Errors
    /// When a file cannot be had. What came before stays and is gone on with next time.
    pub async fn download(&self, job: &Job, progress: &Progress, caller: &Caller) -> Result<DownloadReport> {
        let start = Instant::now();
        let card = &job.card;
        let fetched_bytes = self.fetch(job, progress, caller).await?;
        let files: Vec<String> = card.chosen().map(|file| file.path.clone()).collect();
        if !card.offline {
            let cached = self.cached(&card.repo, find(&card.repo.hub)?);
            for file in card.chosen() {
                let blob = blob_name(file.hash.as_ref(), &card.commit, &file.path);
                cached.link(&blob, &card.commit, &file.path)?;
            }
            cached.note(&card.repo.revision, &card.commit)?;
        }
        Ok(DownloadReport {
            repo: card.repo.clone(),
            dir: card.folder.clone(),
            bytes: card.chosen().map(|file| file.bytes).sum(),
            files,
            fetched_bytes,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    async fn fetch(&self, job: &Job, progress: &Progress, caller: &Caller) -> Result<u64> {
        let card = &job.card;
        let spec = find(&card.repo.hub)?;
        if card.offline {
            return match card.chosen().find(|file| !file.cached) {
                Some(_) => Err(not_cached(&card.repo)),
                None => Ok(0),
            };
        }
        let cached = self.cached(&card.repo, spec);
        let line = self.line(&job.settings, spec, caller).await?;
        let piece = |file: &HubFile| {
            let name = blob_name(file.hash.as_ref(), &card.commit, &file.path);
            Piece {
                url: spec.hub.file_url(&line, &card.repo, &card.commit, &file.path),
                path: file.path.clone(),
                bytes: file.bytes,
                hash: file.hash.clone(),
                blob: cached.blob(&name),
                lock: cached.lock(&name),
            }
        };
        let pieces = card.chosen().map(piece).collect();
        fetch_all(&line, pieces, progress).await.map_err(|fault| fault.error)
    }

    /// # Errors
    /// When the folder holds what may not be published, or the hub refuses.
    pub async fn plan_push(
        &self,
        settings: &HubSettings,
        push: &PushRequest,
        caller: &Caller,
    ) -> Result<PushPlan> {
        let (line, push) = self.publishing(settings, push, caller).await?;
        push::plan(&line, &push).await.map_err(|fault| fault.error)
    }

    /// Does what was shown; `agreed` is the digest of the plan.
    ///
    /// # Errors
    /// As [`plan_push`](Self::plan_push), or when something is no longer as it was shown.
    pub async fn push(
        &self,
        settings: &HubSettings,
        (push, agreed): (&PushRequest, &str),
        progress: &Progress,
        caller: &Caller,
    ) -> Result<PushReport> {
        let (line, push) = self.publishing(settings, push, caller).await?;
        push::carry_out(&line, &push, agreed, progress).await.map_err(|fault| fault.error)
    }

    async fn publishing(
        &self,
        settings: &HubSettings,
        push: &PushRequest,
        caller: &Caller,
    ) -> Result<(Line, PushRequest)> {
        let spec = find(&push.repo.hub)?;
        let line = self.line(settings, spec, caller).await?;
        Ok((line, PushRequest { repo: resolved(&push.repo, spec), ..push.clone() }))
    }

    /// Asks the hub whose token it is, and keeps it.
    ///
    /// # Errors
    /// When the hub does not know it.
    pub async fn login(
        &self,
        settings: &HubSettings,
        (hub, token, keep): (&str, Secret, bool),
        caller: &Caller,
    ) -> Result<HubAccount> {
        let spec = find(hub)?;
        let line = Line { token: Some(token.clone()), ..self.line_with(settings, spec, None, caller)? };
        let line = line.check().map_err(|fault| fault.error)?;
        let user = spec.hub.whoami(&line).await.map_err(|fault| fault.error)?;
        let (tokens, endpoint) = (self.tokens.clone(), line.endpoint.to_string());
        let kept = spawn_blocking(move || tokens.keep(spec, &endpoint, &token, keep)).await;
        let (place, note) = match kept.unwrap_or_else(|err| Err(err.to_string())) {
            Ok(place) => (place, None),
            Err(why) => (TokenPlace::Memory, Some(no_keyring(&why))),
        };
        Ok(HubAccount {
            hub: hub.into(),
            endpoint: shown(&line.endpoint),
            user: Some(user),
            token: place,
            note,
        })
    }

    /// # Errors
    /// When the keyring cannot be changed.
    pub async fn logout(&self, settings: &HubSettings, hub: &str) -> Result<HubAccount> {
        let spec = find(hub)?;
        let (tokens, endpoint) = (self.tokens.clone(), self.endpoint(settings, spec)?.to_string());
        let forgotten = spawn_blocking(move || tokens.forget(spec, &endpoint)).await;
        forgotten.unwrap_or_else(|err| Err(err.to_string())).map_err(|why| {
            UserError::failure(Text::fixed(
                "The token could not be taken out of the keyring",
                "无法从密钥环中删除令牌",
            ))
            .detail(why)
        })?;
        self.account(settings, hub).await
    }

    /// Where a token would come from.
    ///
    /// # Errors
    /// When there is no such hub, or its address is none.
    pub async fn account(&self, settings: &HubSettings, hub: &str) -> Result<HubAccount> {
        let spec = find(hub)?;
        let endpoint = self.endpoint(settings, spec)?;
        let (_, token) = self.token(spec, &endpoint).await;
        let note = (token == TokenPlace::Environment).then(|| in_environment(spec));
        Ok(HubAccount { hub: hub.into(), endpoint: shown(&endpoint), user: None, token, note })
    }

    async fn token(&self, spec: &'static Spec, endpoint: &Url) -> (Option<Secret>, TokenPlace) {
        let (tokens, endpoint) = (self.tokens.clone(), endpoint.to_string());
        spawn_blocking(move || tokens.find(spec, &endpoint)).await.unwrap_or((None, TokenPlace::None))
    }

    async fn line(&self, settings: &HubSettings, spec: &'static Spec, caller: &Caller) -> Result<Line> {
        if self.is_offline(settings) {
            return Err(offline());
        }
        let endpoint = self.endpoint(settings, spec)?;
        let (token, _) = self.token(spec, &endpoint).await;
        self.line_with(settings, spec, token, caller)?.check().map_err(|fault| fault.error)
    }

    fn line_with(
        &self,
        settings: &HubSettings,
        spec: &'static Spec,
        token: Option<Secret>,
        caller: &Caller,
    ) -> Result<Line> {
        if self.is_offline(settings) {
            return Err(offline());
        }
        let endpoint = self.endpoint(settings, spec)?;
        let client = match self.client.get() {
            Some(client) => client.clone(),
            None => {
                let made = http::client(self.patience.silence).map_err(|fault| fault.error)?;
                self.client.get_or_init(|| made).clone()
            }
        };
        Ok(Line { spec, endpoint, token, client, patience: self.patience, caller: caller.clone() })
    }

    /// Settings first, then what the hub's own tools would use.
    fn endpoint(&self, settings: &HubSettings, spec: &Spec) -> Result<Url> {
        let set = settings
            .endpoints
            .get(spec.id)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty());
        let text = set.or_else(|| (spec.named_endpoint)(&self.environment));
        let text = text.unwrap_or_else(|| spec.endpoint.to_owned());
        let url = Url::parse(&text).ok().filter(|url| {
            let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
            matches!(url.scheme(), "http" | "https") && url.has_host() && plain
        });
        url.ok_or_else(|| {
            // It may have a password in it, which is not repeated.
            let text = text.rsplit_once('@').map_or(text.as_str(), |(_, host)| host);
            let text: String = text.chars().take(120).collect();
            UserError::bad_input(text!("`{text}` is no address of a hub", "“{text}”不是有效的地址"))
                .mend(Text::fixed("write it as https://hf-mirror.com", "请写成 https://hf-mirror.com 的形式"))
        })
    }

    fn cached(&self, repo: &RepoRef, spec: &Spec) -> CachedRepo {
        Cache::new((spec.cache)(&self.environment)).repo(repo)
    }
}

fn find(hub: &str) -> Result<&'static Spec> {
    hubs::spec(hub).ok_or_else(|| {
        let known = hubs::ids().join(", ");
        UserError::bad_input(text!("There is no hub `{hub}`", "没有名为“{hub}”的平台"))
            .mend(text!("choose one of {known}", "可选：{known}"))
    })
}

/// With the branch that is meant.
fn resolved(repo: &RepoRef, spec: &Spec) -> RepoRef {
    let revision = if repo.revision.is_empty() { spec.branch.to_owned() } else { repo.revision.clone() };
    RepoRef { revision, ..repo.clone() }
}

/// The hub's facts, checked: nothing in them may lead out of the cache.
fn card(repo: RepoRef, facts: Facts, cached: &CachedRepo) -> Result<RepoCard> {
    if !is_name(&facts.commit) {
        let what = Text::fixed("The hub names no commit of this repository", "未返回该仓库的提交编号");
        return Err(UserError::failure(what).at_item(repo.id));
    }
    let folder = cached.snapshot(&facts.commit);
    let mut files = Vec::with_capacity(facts.files.len());
    for file in facts.files {
        check_path(&file.path)?;
        let blob = cached.blob(&blob_name(file.hash.as_ref(), &facts.commit, &file.path));
        let cached = is_whole(&blob, file.bytes);
        files.push(HubFile {
            path: file.path,
            bytes: file.bytes,
            hash: file.hash,
            cached,
            ..HubFile::default()
        });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    choose(repo.kind, &mut files);
    let Facts { commit, licence, gated, private, downloads, .. } = facts;
    Ok(RepoCard { repo, commit, licence, gated, private, downloads, files, folder, ..RepoCard::default() })
}

fn from_cache(repo: &RepoRef, cached: &CachedRepo) -> Option<RepoCard> {
    let commit = cached.commit_of(&repo.revision)?;
    let of = |(path, bytes)| HubFile { path, bytes, cached: true, ..HubFile::default() };
    let mut files: Vec<_> = cached.files(&commit).into_iter().map(of).collect();
    choose(repo.kind, &mut files);
    let folder = cached.snapshot(&commit);
    let repo = repo.clone();
    (!files.is_empty()).then(|| RepoCard {
        repo,
        commit,
        files,
        folder,
        offline: true,
        ..RepoCard::default()
    })
}

fn noted(mut card: RepoCard, why: &UserError) -> RepoCard {
    let (en, zh) = (&why.what.en, &why.what.zh);
    card.notes
        .push(text!("From the cache; the hub could not be asked: {en}", "来自缓存；无法连接平台：{zh}"));
    card
}

fn silent() -> Progress {
    std::sync::Arc::new(|_, _, _| {})
}

fn shown(endpoint: &Url) -> String {
    endpoint.as_str().trim_end_matches('/').to_owned()
}

fn offline() -> UserError {
    UserError::bad_input(Text::fixed("Hubs are not asked: offline", "当前为离线模式，不访问平台")).mend(
        Text::fixed(
            "switch offline off in the settings, and unset HF_HUB_OFFLINE",
            "请在设置中关闭离线模式，并取消 HF_HUB_OFFLINE",
        ),
    )
}

fn not_cached(repo: &RepoRef) -> UserError {
    let id = &repo.id;
    UserError::bad_input(text!("{id} is not in the cache, or only in part", "缓存中没有完整的 {id}"))
        .mend(Text::fixed("download it once while online", "请联网下载一次"))
}

fn no_keyring(why: &str) -> Text {
    text!(
        "There is no keyring ({why}): the token is kept until the program ends",
        "没有可用的密钥环（{why}）：令牌只保留到程序结束"
    )
}

fn in_environment(spec: &Spec) -> Text {
    let names = spec.token_variables.join(", ");
    text!("from the environment ({names})", "来自环境变量（{names}）")
}
