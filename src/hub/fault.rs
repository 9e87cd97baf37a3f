//! What goes wrong on the way to a hub, and whether it is worth another attempt.

use std::error::Error;
use std::time::Duration;

use protocol::{Secret, Text, UserError, text};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::scan::covered;

/// How much of a server's own words is shown.
const WORDS: usize = 300;
/// A hub that wants more patience than this is told of instead of waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(crate) struct Fault {
    pub error: UserError,
    pub again: Again,
    /// The hub says that there is no such thing, or shows none to us.
    pub absent: bool,
    /// Nobody answered.
    pub unreachable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    /// After a pause that grows.
    Soon,
    /// As the hub said.
    After(Duration),
}

/// Who was asked for what: for the words of an error.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    /// The hub's name.
    pub hub: &'a Text,
    /// The repository, or what else was asked for.
    pub what: String,
    /// Where its terms are accepted, or the hub's own page.
    pub page: String,
    pub token: Option<&'a Secret>,
}

impl Fault {
    pub fn last(error: UserError) -> Self {
        Self { error, again: Again::Never, absent: false, unreachable: false }
    }

    pub fn soon(error: UserError) -> Self {
        Self { error, again: Again::Soon, absent: false, unreachable: false }
    }

    /// The connection failed. No address is repeated: those of a store are signed.
    pub fn transport(err: reqwest::Error, asked: &Asked<'_>) -> Self {
        let is_hopeless = err.is_builder() || err.is_redirect();
        let timed_out = err.is_timeout();
        let err = err.without_url();
        let mut words = vec![err.to_string()];
        let mut below = err.source();
        while let Some(cause) = below {
            words.push(cause.to_string());
            below = cause.source();
        }
        let (hub, zh) = (asked.hub, &asked.hub.zh);
        let what = match timed_out {
            true => text!("{hub} does not answer", "{zh} 没有响应"),
            false => text!("The connection to {hub} failed", "与 {zh} 的连接失败"),
        };
        let error = UserError::failure(what)
            .at_item(asked.what.clone())
            .detail(covered(&words.join(": "), asked.token))
            .mend(Text::fixed(
                "check the network, or set another address (a mirror) in the settings",
                "请检查网络，或在设置中更换地址（镜像）",
            ));
        let fault = if is_hopeless { Self::last(error) } else { Self::soon(error) };
        Self { unreachable: true, ..fault }
    }

    /// A status that is no success.
    pub fn status(status: StatusCode, headers: &HeaderMap, body: &str, asked: &Asked<'_>) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let from_body = || {
            let json: serde_json::Value = serde_json::from_str(body).ok()?;
            let words = ["error", "Message", "message"].into_iter().find_map(|key| json.get(key)?.as_str());
            words.map(str::to_owned)
        };
        let words = header("x-error-message").map(str::to_owned).or_else(from_body).unwrap_or_default();
        let gated = header("x-error-code") == Some("GatedRepo");
        let wait = header(RETRY_AFTER.as_str()).and_then(|seconds| seconds.trim().parse().ok());
        Self::refused(status, gated, &words, wait.map(Duration::from_secs), asked)
    }

    /// A refusal in the hub's own words, with no status that says more.
    pub fn refused_with(words: &str, asked: &Asked<'_>) -> Self {
        let (hub, zh) = (asked.hub, &asked.hub.zh);
        let words = shortened(&covered(words, asked.token));
        let error = UserError::failure(text!("{hub} refuses this", "{zh} 拒绝了该请求"));
        Self::last(error.at_item(asked.what.clone()).detail(words))
    }

    fn refused(
        status: StatusCode,
        gated: bool,
        words: &str,
        wait: Option<Duration>,
        asked: &Asked<'_>,
    ) -> Self {
        let words = shortened(&covered(words, asked.token));
        let error = told(status, gated, asked).at_item(asked.what.clone());
        let error = if words.is_empty() { error } else { error.detail(words) };
        let again = match status.as_u16() {
            408 | 425 | 429 | 500..=599 => wait.map_or(Again::Soon, Again::After),
            _ => Again::Never,
        };
        match again {
            Again::After(wait) if wait > LONGEST_WAIT => Self::last(error.mend(later(wait))),
            again => {
                let absent = matches!(status.as_u16(), 401 | 404) && !gated;
                Self { error, again, absent, unreachable: status.is_server_error() }
            }
        }
    }
}

/// The words for a status.
fn told(status: StatusCode, gated: bool, asked: &Asked<'_>) -> UserError {
    let (hub, zh, what, page) = (asked.hub, &asked.hub.zh, &asked.what, &asked.page);
    let number = status.as_u16();
    match number {
        401 | 403 if gated => UserError::bad_input(text!(
            "The owner of {what} asks for terms to be accepted first",
            "{what} 的所有者要求先接受其条款"
        ))
        .mend(text!(
            "accept them at {page} and log in with a token of that account",
            "请在 {page} 接受条款，并用该账户的令牌登录"
        )),
        401 if asked.token.is_none() => UserError::bad_input(text!(
            "{hub} does not show {what} to strangers: it is private, or there is none of that name",
            "{zh} 不向匿名用户提供 {what}：它是私有的，或不存在"
        ))
        .mend(Text::fixed(
            "check the name, or log in (`emberwright hub login`, or in the settings)",
            "请检查名称，或先登录（`emberwright hub login` 或在设置中）",
        )),
        401 => UserError::bad_input(text!("{hub} does not accept the token", "{zh} 不接受该令牌"))
            .mend(Text::fixed("log in again with a new token", "请用新的令牌重新登录")),
        403 => UserError::bad_input(text!("{hub} refuses access to {what}", "{zh} 拒绝访问 {what}"))
            .mend(Text::fixed("check what the token is allowed to do", "请检查令牌的权限")),
        404 => UserError::bad_input(text!("{hub} has no {what}", "{zh} 上没有 {what}"))
            .mend(Text::fixed("check the name and the revision", "请检查名称和版本")),
        429 => UserError::failure(text!("{hub} asks to be spared for a while", "{zh} 请求过于频繁，被限流"))
            .mend(Text::fixed("try again later, or log in", "请稍后重试，或先登录")),
        500..=599 => UserError::failure(text!(
            "{hub} is in trouble (status {number})",
            "{zh} 出现故障（状态 {number}）"
        ))
        .mend(Text::fixed("try again later", "请稍后重试")),
        _ => UserError::failure(text!("{hub} answers with status {number}", "{zh} 返回状态 {number}")),
    }
}

/// An answer that is not what the hub's interface promises.
pub(crate) fn unreadable(asked: &Asked<'_>) -> UserError {
    let (hub, zh) = (asked.hub, &asked.hub.zh);
    UserError::failure(text!("{hub} answers what cannot be understood", "无法理解 {zh} 的回答"))
        .at_item(asked.what.clone())
        .mend(Text::fixed("check the address of the hub in the settings", "请检查设置中的地址"))
}

fn later(wait: Duration) -> Text {
    let minutes = wait.as_secs().div_ceil(60);
    text!("try again in {minutes} minutes", "请在 {minutes} 分钟后重试")
}

/// One line that fits a screen.
fn shortened(words: &str) -> String {
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect();
    line.trim().to_owned()
}
