//! A small HTTP/1.1 server that can be told to misbehave.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use url::Url;

#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// Decoded, without the query.
    pub path: String,
    pub query: BTreeMap<String, String>,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn token(&self) -> Option<&str> {
        self.headers.get("authorization")?.strip_prefix("Bearer ")
    }

    /// Where the wanted part begins.
    pub fn range(&self) -> Option<u64> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection drops after so many bytes, head and all.
    pub cut: Option<usize>,
    /// The same, counted from where the body begins.
    pub cut_body: Option<usize>,
    /// What the head says of the length, if not the truth.
    pub claimed: Option<usize>,
    /// The body is in chunks already, and the head says so.
    pub chunked: bool,
    /// Silence after what was sent, before the connection goes.
    pub stall: Option<Duration>,
    /// Sent in place of `body`, without a copy.
    pub shared: Option<Arc<Vec<u8>>>,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    pub fn json(value: &serde_json::Value) -> Self {
        Self::new(200, value.to_string()).with("content-type", "application/json")
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn bytes(&self, head_only: bool) -> (usize, Vec<u8>) {
        let body = self.shared.as_ref().map_or(self.body.len(), |shared| shared.len());
        let length = self.claimed.unwrap_or(body);
        let framing = match self.chunked {
            true => "transfer-encoding: chunked".to_owned(),
            false => format!("content-length: {length}"),
        };
        let mut head = format!("HTTP/1.1 {} x\r\n{framing}\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        let begin = bytes.len();
        if !head_only {
            bytes.extend_from_slice(&self.body);
        }
        (begin, bytes)
    }
}

/// Changes an answer, or not.
pub type Twist = Box<dyn FnMut(&Request, Reply) -> Reply + Send>;

/// A hub in memory.
pub trait Answers: Send {
    fn answer(&mut self, request: &Request) -> Reply;
    fn twist(&mut self) -> Option<&mut Twist>;
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// Serves until the process ends.
pub struct Server {
    pub url: Url,
    pub log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn start(handle: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (handle, heard): (Arc<Handler>, _) = (Arc::new(handle), log.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handle, heard) = (handle.clone(), heard.clone());
                std::thread::spawn(move || attend(stream, handle.as_ref(), &heard));
            }
        });
        Self { url, log }
    }

    /// Serves what `answers` says, twisted where a test has set a twist.
    pub fn twisted<A: Answers + 'static>(answers: &Arc<Mutex<A>>) -> Self {
        let answers = answers.clone();
        Self::start(move |request| {
            let mut answers = answers.lock().unwrap();
            let reply = answers.answer(request);
            match answers.twist() {
                Some(twist) => twist(request, reply),
                None => reply,
            }
        })
    }

    /// Without a stroke at its end.
    pub fn address(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }

    /// Requests so far whose path holds this.
    pub fn requests(&self, part: &str) -> Vec<Request> {
        self.log.lock().unwrap().iter().filter(|request| request.path.contains(part)).cloned().collect()
    }
}

fn attend(stream: TcpStream, handle: &Handler, log: &Mutex<Vec<Request>>) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        log.lock().unwrap().push(request.clone());
        let reply = handle(&request);
        let (begin, bytes) = reply.bytes(request.method == "HEAD");
        let cut = reply.cut.or(reply.cut_body.map(|cut| begin + cut));
        let sent = &bytes[..cut.unwrap_or(bytes.len()).min(bytes.len())];
        let shared = reply.shared.as_ref().map_or(&[][..], |shared| shared);
        let written = writer.write_all(sent).and_then(|()| writer.write_all(shared));
        std::thread::sleep(reply.stall.unwrap_or_default());
        if written.is_err() || cut.is_some() || reply.claimed.is_some() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let body = body(reader, &headers)?;
    let url = Url::parse("http://x").unwrap().join(&target).ok()?;
    let path = percent_decoded(url.path());
    let query = url.query_pairs().into_owned().collect();
    Some(Request { method, path, query, headers, body })
}

fn body(reader: &mut impl BufRead, headers: &BTreeMap<String, String>) -> Option<Vec<u8>> {
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn percent_decoded(path: &str) -> String {
    let query = format!("p={}", path.replace('+', "%2B"));
    url::form_urlencoded::parse(query.as_bytes()).next().map(|pair| pair.1.into_owned()).unwrap_or_default()
}
