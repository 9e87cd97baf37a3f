//! Requests to one hub: who asks, with whose token, and how often.

use std::future::Future;
use std::time::{Duration, SystemTime};

use protocol::{Secret, Text, UserError, text};
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use url::{Host, Url};

use crate::caller::{Caller, Waiting};
use crate::fault::{Again, Asked, Fault, unreadable};
use crate::hubs::Spec;
use crate::transfer::Patience;

const AGENT: &str = concat!("emberwright/", env!("CARGO_PKG_VERSION"));
/// A hub redirects to a store, and that to another one; no more.
const REDIRECTS: usize = 8;
const CONNECT: Duration = Duration::from_secs(15);
/// A hub that has said nothing for so long is told of.
const SLOW: Duration = Duration::from_secs(3);
/// The longest answer that is kept in memory; the largest listings have some megabytes.
const LONGEST_ANSWER: usize = 64 << 20;

/// The one client of the process: it keeps connections.
pub(crate) fn client(silence: Duration) -> Result<Client, Fault> {
    let built = Client::builder()
        .user_agent(AGENT)
        .connect_timeout(CONNECT)
        .read_timeout(silence)
        .redirect(Policy::custom(follow))
        .build();
    built.map_err(|err| {
        let what = text!("The network cannot be used: {err}", "无法使用网络：{err}");
        Fault::last(UserError::failure(what))
    })
}

/// Follows to any host (reqwest takes the token off where the host changes), but never from https to http.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let from_https = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    if from_https && attempt.url().scheme() != "https" {
        return attempt.error("a redirect from https to http");
    }
    if attempt.previous().len() > REDIRECTS {
        return attempt.error("too many redirects");
    }
    attempt.follow()
}

/// A hub as it is reached now.
pub(crate) struct Line {
    pub spec: &'static Spec,
    pub endpoint: Url,
    pub token: Option<Secret>,
    pub client: Client,
    pub patience: Patience,
    pub caller: Caller,
}

impl Line {
    /// # Errors
    /// When a token would travel where everybody can read it.
    pub fn check(self) -> Result<Self, Fault> {
        let open = self.endpoint.scheme() != "https" && !is_here(&self.endpoint);
        if open && self.token.is_some() {
            let address = self.endpoint.as_str();
            let what =
                text!("A token is not sent over http ({address})", "令牌不会通过 http 发送（{address}）");
            let mend = Text::fixed("use the https address, or log out", "请使用 https 地址，或退出登录");
            return Err(Fault::last(UserError::bad_input(what).mend(mend)));
        }
        Ok(self)
    }

    pub fn asked(&self, what: impl Into<String>) -> Asked<'_> {
        let what = what.into();
        let page =
            self.endpoint.join(&what).map_or_else(|_| self.endpoint.to_string(), |url| url.to_string());
        Asked { hub: &self.spec.name, what, page, token: self.token.as_ref() }
    }

    /// An address of the hub: `path` is percent-encoded part by part.
    pub fn url(&self, path: &[&str]) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path.iter().flat_map(|path| path.split('/')));
        }
        url
    }

    /// A request with the token, if it goes to the hub itself.
    pub fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self.client.request(method, url.clone());
        let Some(token) = self.token.as_ref().filter(|_| self.is_own(url)) else { return request };
        let request = match secret_value(&format!("Bearer {}", token.reveal())) {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        let cookie = self.spec.cookie.and_then(|name| secret_value(&format!("{name}={}", token.reveal())));
        match cookie {
            Some(value) => request.header(COOKIE, value),
            None => request,
        }
    }

    /// Whether an address is the hub's own: its host, or a store of its own beside it. A token goes nowhere else.
    fn is_own(&self, url: &Url) -> bool {
        let beside = || {
            let (Some(host), Some(hub)) = (url.host_str(), self.endpoint.domain()) else { return false };
            let hub = hub.strip_prefix("www.").unwrap_or(hub);
            let store =
                |label: &&str| host.strip_prefix(*label).and_then(|rest| rest.strip_prefix('.')) == Some(hub);
            url.scheme() == "https" && self.endpoint.scheme() == "https" && self.spec.stores.iter().any(store)
        };
        same_host(url, &self.endpoint) || beside()
    }

    /// Sends once; anything but success is a fault.
    pub async fn send(&self, request: RequestBuilder, asked: &Asked<'_>) -> Result<Response, Fault> {
        let response = request.send().await.map_err(|err| Fault::transport(err, asked))?;
        self.accept(response, asked).await
    }

    /// Makes a fault of an answer that is no success.
    pub async fn accept(&self, response: Response, asked: &Asked<'_>) -> Result<Response, Fault> {
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = whole(response, 1 << 16, asked).await.unwrap_or_default();
        Err(Fault::status(status, &headers, &String::from_utf8_lossy(&body), asked))
    }

    /// The answer to a request as JSON, tried again where that may help.
    pub async fn json<T: DeserializeOwned>(
        &self,
        asked: &Asked<'_>,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, Fault> {
        Ok(self.page(asked, request).await?.0)
    }

    /// As [`json`](Self::json), with the address of the next page, if the hub names one of its own.
    pub async fn page<T: DeserializeOwned>(
        &self,
        asked: &Asked<'_>,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<(T, Option<Url>), Fault> {
        let asking = self.persist(|| async {
            let response = self.send(request(), asked).await?;
            let next = next_page(&response).filter(|url| same_host(url, &self.endpoint));
            let body = whole(response, LONGEST_ANSWER, asked).await?;
            let read = serde_json::from_slice(&body)
                .map_err(|err| Fault::soon(unreadable(asked).detail(err.to_string())))?;
            Ok((read, next))
        });
        self.told_of_if_slow(asking).await
    }

    /// A small file, whole.
    pub async fn bytes(
        &self,
        asked: &Asked<'_>,
        most: usize,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Vec<u8>, Fault> {
        let asking = self.persist(|| async {
            let response = self.send(request(), asked).await?;
            whole(response, most, asked).await
        });
        self.told_of_if_slow(asking).await
    }

    /// Tries until it works, is hopeless, or was tried often enough. Broken off when stop is wanted.
    pub async fn persist<T, Work>(&self, mut work: impl FnMut() -> Work) -> Result<T, Fault>
    where
        Work: Future<Output = Result<T, Fault>>,
    {
        let trying = async {
            let mut attempts = Attempts::of(self);
            loop {
                match work().await {
                    Ok(done) => return Ok(done),
                    Err(fault) => attempts.failed(fault).await?,
                }
            }
        };
        self.caller.or(trying).await
    }

    /// Does the work; the caller hears of a hub that takes its time, before the first failure.
    pub async fn told_of_if_slow<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        match tokio::time::timeout(SLOW, &mut work).await {
            Ok(done) => done,
            Err(_) => {
                let mut waiting = Waiting::of(&self.caller);
                let (hub, zh) = (&self.spec.name, &self.spec.name.zh);
                waiting.begins_unless_told(text!("{hub} has not answered yet…", "{zh} 尚未响应…"));
                work.await
            }
        }
    }
}

/// Attempts at one piece of work, and the pauses between them.
pub(crate) struct Attempts<'a> {
    line: &'a Line,
    /// In a row.
    failures: u32,
    waiting: Waiting<'a>,
}

impl<'a> Attempts<'a> {
    pub fn of(line: &'a Line) -> Self {
        Self { line, failures: 0, waiting: Waiting::of(&line.caller) }
    }

    /// Waits before the next attempt, or gives the fault back when there is to be none.
    pub async fn failed(&mut self, fault: Fault) -> Result<(), Fault> {
        self.failures += 1;
        let (failures, patience) = (self.failures, &self.line.patience);
        let pause = match fault.again {
            Again::Never => return Err(fault),
            _ if failures > patience.retries => return Err(fault),
            Again::Soon => patience.pause(failures),
            Again::After(wait) => wait.max(patience.first),
        };
        self.waiting.begins(again(&fault, failures, patience.retries));
        tracing::debug!(failures, "the hub is asked again in {pause:?}: {}", fault.error.what);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Something came of the last attempt: what fails from now on is the first failure.
    pub fn gained(&mut self) {
        self.failures = 0;
    }

    /// The hub answers again, whatever comes of it.
    pub fn answered(&mut self) {
        self.waiting.ends();
    }
}

/// What a caller hears before an attempt after a failure.
fn again(fault: &Fault, attempt: u32, of: u32) -> Text {
    let Text { en, zh } = &fault.error.what;
    match fault.again {
        Again::After(wait) if wait.as_secs() > 0 => {
            let wait = wait.as_secs();
            text!(
                "{en}: trying again in {wait} s ({attempt} of {of})…",
                "{zh}：{wait} 秒后重试（第 {attempt} 次，共 {of} 次）…"
            )
        }
        _ => {
            text!("{en}: trying again ({attempt} of {of})…", "{zh}：正在重试（第 {attempt} 次，共 {of} 次）…")
        }
    }
}

impl Patience {
    /// Twice as long after each failure, and not at the same moment as everybody else.
    fn pause(&self, failures: u32) -> Duration {
        let grown = self.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.longest);
        let nanos = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos());
        grown.mul_f64(0.75 + f64::from(nanos % 1000) / 2000.0)
    }
}

/// The value of a header that proves who asks; marked so that nothing prints it.
fn secret_value(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

pub(crate) fn same_host(a: &Url, b: &Url) -> bool {
    (a.scheme(), a.host_str(), a.port_or_known_default())
        == (b.scheme(), b.host_str(), b.port_or_known_default())
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// All of a body that may not be longer than `most` bytes.
async fn whole(mut response: Response, most: usize, asked: &Asked<'_>) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|err| Fault::transport(err, asked))? {
        if body.len() + piece.len() > most {
            return Err(Fault::last(unreadable(asked).detail(format!("more than {most} bytes"))));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// `Link: <…>; rel="next"`.
fn next_page(response: &Response) -> Option<Url> {
    let link = response.headers().get("link")?.to_str().ok()?;
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let address = next.split_once('<')?.1.split_once('>')?.0;
    response.url().join(address).ok()
}
