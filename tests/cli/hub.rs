//! `hub` from outside: a server that says back every token it hears, and all the places where one must not turn up.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use crate::program::{Done, Program};

pub const TOKEN: &str = "hf_TestTokenThatMustNotBeSeenAnywhere2";
const COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

type Answer = fn(Option<String>, &str) -> (u16, String);

/// A server that answers to the token and the path.
fn serve(answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(attend(stream, answer))));
    address
}

/// A hub with one model. With a token it refuses everything, in the token's own words.
fn hub() -> String {
    serve(answer)
}

fn attend(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut target = String::new();
    reader.read_line(&mut target)?;
    let mut token = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.trim().split_once(": ").unwrap_or_default();
        if name.eq_ignore_ascii_case("authorization") {
            token = Some(value.trim_start_matches("Bearer ").to_owned());
        }
    }
    let (status, body) = answer(token, target.split_whitespace().nth(1).unwrap_or_default());
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn answer(token: Option<String>, path: &str) -> (u16, String) {
    let config = r#"{"model_type": "elephant"}"#;
    match (token, path) {
        (Some(token), _) => (403, format!("{{\"error\": \"go away, {token}\"}}")),
        (None, path) if path.contains("/revision/") => (
            200,
            format!(
                "{{\"id\": \"org/tiny\", \"sha\": \"{COMMIT}\", \"cardData\": {{\"license\": \"mit\"}}}}"
            ),
        ),
        (None, path) if path.contains("/tree/") => {
            let oid = "f3c59e5cfdf0a4d2aa3b5a2d14bf8cf80b2ea4a0";
            let entry = |path: &str, size: usize| {
                format!("{{\"type\": \"file\", \"path\": \"{path}\", \"size\": {size}, \"oid\": \"{oid}\"}}")
            };
            (200, format!("[{}, {}]", entry("config.json", config.len()), entry("model.bin", 1 << 30)))
        }
        (None, path) if path.contains("/api/models?") => {
            (200, "[{\"id\": \"org/tiny\", \"downloads\": 1234567, \"likes\": 3}]".to_owned())
        }
        (None, path) if path.ends_with("config.json") => (200, config.to_owned()),
        _ => (404, "{}".to_owned()),
    }
}

/// A hub that shows its one model to who has the token, and to nobody else.
pub fn knowing() -> String {
    serve(|token, path| match (token.as_deref() == Some(TOKEN), path) {
        (true, path) if path.contains("whoami") => (200, "{\"name\": \"tester\"}".to_owned()),
        (true, _) => (200, "[{\"id\": \"org/tiny\", \"downloads\": 7, \"likes\": 3}]".to_owned()),
        (false, _) => (403, "{}".to_owned()),
    })
}

fn run(program: &Program, arguments: &[&str], token: bool) -> Done {
    let mut command = program.command(arguments);
    command
        .env("HF_ENDPOINT", hub())
        .env("HF_HOME", program.path().join("hf"))
        .env("EMBERWRIGHT_LOG", "trace");
    command.env_remove("HF_TOKEN").env_remove("HF_HUB_OFFLINE");
    if token {
        command.env("HF_TOKEN", TOKEN);
    }
    Done::new(command.output().unwrap())
}

#[test]
fn a_search_prints_what_there_is() {
    let program = Program::new();
    let done = run(&program, &["hub", "search", "tiny"], false);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("hf:org/tiny") && done.stdout.contains("1,234,567"), "{}", done.stdout);
}

/// config.json does not have the hash of the listing: such a file is not believed.
#[test]
fn a_lie_is_not_shown_as_a_fact() {
    let program = Program::new();
    let done = run(&program, &["hub", "info", "org/tiny"], false);
    assert_eq!(done.code, Some(1), "{}", done.stdout);
    assert!(done.stderr.contains("hash differs"), "{}", done.stderr);
}

#[test]
fn names_and_hubs_that_are_none_are_refused() {
    let program = Program::new();
    run(&program, &["hub", "info", "../etc"], false).refused_with(&["names no repository", "org/name"]);
    run(&program, &["hub", "search", "--hub", "xx", "tiny"], false).refused_with(&["no hub `xx`", "hf, ms"]);
    run(&program, &["hub", "info", "--offline", "org/tiny"], false).refused_with(&["not in the cache"]);
}

/// Every word that the program writes anywhere, with the most talkative logs.
#[test]
fn no_output_and_no_file_shows_the_token() {
    let program = Program::new();
    std::fs::create_dir(program.path().join("model")).unwrap();
    program.write("model/README.md", format!("my token is {TOKEN}"));
    for arguments in [
        &["hub", "search", "tiny"][..],
        &["hub", "info", "org/tiny"],
        &["hub", "download", "org/tiny"],
        &["hub", "push", "model", "--repo", "me/mine", "--yes"],
        &["hub", "info", "org/tiny", "--json"],
    ] {
        let done = run(&program, arguments, true);
        assert_ne!(done.code, Some(0), "{arguments:?}");
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        for said in [&done.stdout, &done.stderr] {
            assert!(!said.contains(&TOKEN[3..]), "{arguments:?}: {said}");
        }
    }
    let mut command = program.command(&["hub", "login"]);
    command.env("HF_ENDPOINT", hub()).env("EMBERWRIGHT_LOG", "trace").stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{TOKEN}\n").as_bytes()).unwrap();
    let done = Done::new(child.wait_with_output().unwrap());
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(!done.stderr.contains(&TOKEN[3..]) && done.stdout.is_empty(), "{}", done.stderr);
    std::fs::remove_file(program.path().join("model/README.md")).unwrap();
    assert!(!holds(program.path(), &TOKEN[3..]), "a file holds the token");
}

pub fn holds(dir: &Path, text: &str) -> bool {
    std::fs::read_dir(dir).unwrap().flatten().any(|entry| match entry.path() {
        path if path.is_dir() => holds(&path, text),
        path => {
            std::fs::read(path).is_ok_and(|bytes| bytes.windows(text.len()).any(|it| it == text.as_bytes()))
        }
    })
}
