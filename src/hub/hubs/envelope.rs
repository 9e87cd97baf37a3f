//! ModelScope's envelope around every answer. The older interface writes it with capitals; a refusal can come with
//! status 200.

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::fault::{Again, Asked, Fault, unreadable};
use crate::http::Line;

#[derive(Deserialize)]
pub(crate) struct Envelope<T> {
    /// A number, or one as a text.
    #[serde(alias = "Code")]
    code: Option<Value>,
    #[serde(alias = "Success")]
    success: Option<bool>,
    #[serde(alias = "Message")]
    message: Option<String>,
    #[serde(alias = "Data")]
    data: Option<T>,
}

impl<T> Envelope<T> {
    /// What the answer refuses, if it does.
    pub fn refusal(&self, asked: &Asked<'_>) -> Option<Fault> {
        let code = self.code.as_ref().and_then(|code| match code {
            Value::String(text) => text.parse().ok(),
            code => code.as_u64(),
        });
        let status = code.and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok());
        let refused = status.filter(|status| !status.is_success());
        // A code of the hub's own (10010205001, …) is no status; that it is a refusal the hub says beside it.
        if refused.is_none() && self.success != Some(false) {
            return None;
        }
        let words = self.message.clone().unwrap_or_default();
        let Some(status) = refused else { return Some(Fault::refused_with(&words, asked)) };
        let body = serde_json::json!({ "error": words }).to_string();
        let fault = Fault::status(status, &HeaderMap::new(), &body, asked);
        Some(Fault { again: Again::Never, ..fault })
    }
}

/// What lies in the envelope of an answer that must hold something.
pub(crate) async fn ask<T: DeserializeOwned>(
    line: &Line,
    asked: &Asked<'_>,
    request: impl Fn() -> RequestBuilder,
) -> Result<T, Fault> {
    let envelope: Envelope<T> = line.json(asked, request).await?;
    match envelope.refusal(asked) {
        Some(fault) => Err(fault),
        None => envelope.data.ok_or_else(|| Fault::last(unreadable(asked))),
    }
}

/// As [`ask`], asked once; the answer may be empty.
pub(crate) async fn once<T: DeserializeOwned>(
    line: &Line,
    asked: &Asked<'_>,
    request: RequestBuilder,
) -> Result<Option<T>, Fault> {
    let response = line.send(request, asked).await?;
    let envelope: Envelope<T> = response.json().await.map_err(|err| Fault::transport(err, asked))?;
    match envelope.refusal(asked) {
        Some(fault) => Err(fault),
        None => Ok(envelope.data),
    }
}
