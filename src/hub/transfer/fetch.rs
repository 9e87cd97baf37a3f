//! One file, however often the connection breaks.

use std::io::Error;
use std::sync::Arc;
use std::time::Duration;

use protocol::{Text, UserError, text};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::sink::{Opened, Sink};
use super::{Meter, Piece};
use crate::fault::Fault;
use crate::http::{Attempts, Line};

/// Pieces between the network and the disk.
const QUEUE: usize = 16;
/// Between two looks at a lock that somebody else holds.
const LOCKED: Duration = Duration::from_millis(200);

/// Fetches a file and proves it; one that is here already is not fetched.
pub(super) async fn fetch(line: &Line, piece: Piece, meter: Arc<Meter>) -> Result<(), Fault> {
    let Some(sink) = open(&piece).await? else {
        meter.found(piece.bytes);
        return Ok(());
    };
    meter.found(sink.at);
    let mut job = Job { line, piece, meter, etag: None };
    let mut sink = job.fill(sink).await?;
    if !sink.is_proven() {
        // A part from another day may have been wrong; the whole from today is the hub's own fault.
        job.start_over(&mut sink)?;
        sink = job.fill(sink).await?;
    }
    if !sink.is_proven() {
        sink.discard().map_err(|err| job.disk(&err))?;
        return Err(Fault::last(job.wrong()));
    }
    let committed = spawn_blocking(move || sink.commit()).await.unwrap_or_else(|err| Err(Error::other(err)));
    committed.map_err(|err| job.disk(&err))
}

async fn open(piece: &Piece) -> Result<Option<Sink>, Fault> {
    loop {
        let place = piece.clone();
        let opened = spawn_blocking(move || Sink::open(&place)).await;
        let doing = || Text::fixed("write into the hub's cache", "写入缓存");
        let opened = opened.map_err(Error::other).flatten();
        match opened.map_err(|err| Fault::last(UserError::io(doing(), &piece.blob, &err)))? {
            Opened::Whole => return Ok(None),
            Opened::Part(sink) => return Ok(Some(*sink)),
            Opened::Taken => tokio::time::sleep(LOCKED).await,
        }
    }
}

struct Job<'a> {
    line: &'a Line,
    piece: Piece,
    meter: Arc<Meter>,
    /// What the store called the file when it began to send it.
    etag: Option<String>,
}

impl Job<'_> {
    /// Asks until all bytes are here. Failures count in a row: a connection that brings more than there ever was is a
    /// success.
    async fn fill(&mut self, mut sink: Sink) -> Result<Sink, Fault> {
        let line = self.line;
        let (mut attempts, mut most) = (Attempts::of(line), sink.at);
        while sink.at < self.piece.bytes {
            let (back, result) = self.attempt(sink, &mut attempts).await;
            sink = back.ok_or_else(|| Fault::last(self.cut_off()))?;
            if let Err(fault) = result {
                if sink.at > most {
                    attempts.gained();
                }
                most = most.max(sink.at);
                attempts.failed(fault).await?;
            }
        }
        Ok(sink)
    }

    /// One connection. The sink goes to the thread that writes and comes back; it is lost only if that thread is.
    async fn attempt(
        &mut self,
        mut sink: Sink,
        attempts: &mut Attempts<'_>,
    ) -> (Option<Sink>, Result<(), Fault>) {
        let mut response = match self.ask(&mut sink).await {
            Ok(response) => response,
            Err(fault) => return (Some(sink), Err(fault)),
        };
        attempts.answered();
        let mut room = self.piece.bytes - sink.at;
        let (send, receive) = mpsc::channel(QUEUE);
        let writing = spawn_blocking(move || {
            let written = sink.drain(receive);
            (sink, written)
        });
        let asked = self.line.asked(&self.piece.path);
        let came = loop {
            let bytes = match response.chunk().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break Came::End,
                Err(err) => break Came::Broken(Box::new(Fault::transport(err, &asked))),
            };
            let length = bytes.len() as u64;
            match room.checked_sub(length) {
                Some(left) => room = left,
                None => break Came::TooMuch,
            }
            self.meter.came(length);
            if send.send(bytes).await.is_err() {
                // The writer has ended and says why.
                break Came::End;
            }
        };
        drop(send);
        let Ok((mut sink, written)) = writing.await else { return (None, Ok(())) };
        let result = match (written, came) {
            (Err(err), _) => Err(self.disk(&err)),
            (Ok(()), Came::TooMuch) => {
                self.start_over(&mut sink).and_then(|()| Err(Fault::soon(self.too_long())))
            }
            (Ok(()), Came::Broken(fault)) => Err(*fault),
            (Ok(()), Came::End) if room > 0 => Err(Fault::soon(self.cut_off())),
            (Ok(()), Came::End) => Ok(()),
        };
        (Some(sink), result)
    }

    /// Sends the request and makes sure that what comes is what is missing.
    async fn ask(&mut self, sink: &mut Sink) -> Result<Response, Fault> {
        let asked = self.line.asked(&self.piece.path);
        let mut request = self.line.request(Method::GET, &self.piece.url).header(ACCEPT_ENCODING, "identity");
        if sink.at > 0 {
            request = request.header(RANGE, format!("bytes={}-", sink.at));
            if let Some(etag) = &self.etag {
                request = request.header(IF_RANGE, etag);
            }
        }
        let sent = self.line.told_of_if_slow(request.send()).await;
        let response = sent.map_err(|err| Fault::transport(err, &asked))?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            self.start_over(sink)?;
            return Err(Fault::soon(self.wrong_length(0)));
        }
        let response = self.line.accept(response, &asked).await?;
        let begins =
            if response.status() == StatusCode::PARTIAL_CONTENT { begin(&response) } else { Some(0) };
        if begins != Some(sink.at) {
            // Another part than was asked for, or the whole file again.
            self.start_over(sink)?;
            if begins != Some(0) {
                return Err(Fault::soon(self.cut_off()));
            }
        }
        match response.content_length() {
            Some(length) if length != self.piece.bytes - sink.at => {
                return Err(Fault::soon(self.wrong_length(length.saturating_add(sink.at))));
            }
            _ => {}
        }
        let strong = |etag: &&str| etag.starts_with('"');
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).filter(strong);
        self.etag = etag.map(str::to_owned);
        Ok(response)
    }

    fn start_over(&self, sink: &mut Sink) -> Result<(), Fault> {
        self.meter.lost(sink.at);
        sink.restart().map_err(|err| self.disk(&err))
    }

    fn disk(&self, err: &Error) -> Fault {
        let doing = Text::fixed("write a downloaded file", "写入下载的文件");
        Fault::last(UserError::io(doing, &self.piece.blob, err))
    }

    fn wrong(&self) -> UserError {
        let (hub, zh) = (&self.line.spec.name, &self.line.spec.name.zh);
        UserError::failure(text!(
            "{hub} sends another file than its listing says: the hash differs",
            "{zh} 发送的文件与其列表不符：哈希值不同"
        ))
        .at_item(&self.piece.path)
        .mend(Text::fixed(
            "try again later or from another address; nothing of it was kept",
            "请稍后重试或更换地址；错误内容没有保留",
        ))
    }

    fn wrong_length(&self, sent: u64) -> UserError {
        let listed = self.piece.bytes;
        UserError::failure(text!(
            "The file has {sent} bytes and not {listed} as listed",
            "文件有 {sent} 字节，而列表中为 {listed} 字节"
        ))
        .at_item(&self.piece.path)
    }

    fn too_long(&self) -> UserError {
        let listed = self.piece.bytes;
        UserError::failure(text!(
            "More than the {listed} listed bytes came",
            "收到的数据超过列表中的 {listed} 字节"
        ))
        .at_item(&self.piece.path)
    }

    fn cut_off(&self) -> UserError {
        UserError::failure(Text::fixed("The connection broke off", "连接中断")).at_item(&self.piece.path)
    }
}

/// How a connection ended.
enum Came {
    End,
    TooMuch,
    Broken(Box<Fault>),
}

/// Where a part begins: `bytes 100-199/200`.
fn begin(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}
