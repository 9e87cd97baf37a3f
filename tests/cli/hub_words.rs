//! Models and datasets by their names on a hub, wherever a folder is named: a server of our own on the loopback.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::program::Done;
use crate::project::{conversations, run_file};
use crate::workshop::{Workshop, golden};

const COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// Repositories by `org/name`, and what was asked for.
struct Hub {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn start() -> Self {
        let mut repos: BTreeMap<&str, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
        repos.insert("org/tiny", files(&golden("llama-gqa-llama3/model")));
        let rows = BTreeMap::from([("train.jsonl".to_owned(), conversations(22).into_bytes())]);
        repos.insert("org/rows", rows);
        let strange = [("config.json", "{\"model_type\": \"elephant\"}"), ("model.safetensors", "weights")];
        let strange = strange.map(|(name, content)| (name.to_owned(), content.as_bytes().to_vec()));
        repos.insert("org/strange", BTreeMap::from(strange));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &repos, &heard).ok();
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn run(&self, workshop: &Workshop, arguments: &[&str], offline: bool) -> Done {
        let mut command = workshop.program.command(&[&["--device", "cpu"], arguments].concat());
        command.env("HF_ENDPOINT", &self.address).env("HF_HOME", workshop.path("hf"));
        command.env_remove("HF_TOKEN").env_remove("HF_HUB_CACHE");
        command.env("HF_HUB_OFFLINE", if offline { "1" } else { "0" });
        Done::new(command.output().unwrap())
    }
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().flatten().filter(|entry| entry.path().is_file());
    let read = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

fn answer(
    mut stream: TcpStream,
    repos: &BTreeMap<&str, BTreeMap<String, Vec<u8>>>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line)?;
    }
    asked.lock().unwrap().push(target.clone());
    let path = target.split('?').next().unwrap_or_default();
    let repo = repos.iter().find(|(id, _)| path.contains(*id));
    let body = repo.and_then(|(id, files)| {
        let listed = |(name, content): (&String, &Vec<u8>)| json!({ "type": "file", "path": name, "size": content.len() });
        match path.rsplit_once(&format!("/{COMMIT}/")) {
            Some((_, name)) => files.get(name).cloned(),
            None if path.contains("/revision/") => {
                let info = json!({ "id": id, "sha": COMMIT, "cardData": { "license": "mit" } });
                Some(info.to_string().into_bytes())
            }
            None => Some(Value::from(files.iter().map(listed).collect::<Vec<_>>()).to_string().into_bytes()),
        }
    });
    let (status, body) = body.map_or((404, b"{}".to_vec()), |body| (200, body));
    write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    stream.write_all(&body)
}

#[test]
fn a_model_is_told_of_fetched_and_then_used_as_it_is() {
    let (workshop, hub) = (Workshop::new(""), Hub::start());
    let done = hub.run(&workshop, &["inspect", "hf:org/tiny"], false);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("llama") && done.stdout.contains(COMMIT), "{}", done.stdout);
    for told in ["hf:org/tiny: ", " to fetch, licence mit, Llama"] {
        assert!(done.stderr.contains(told), "{}", done.stderr);
    }
    // It is here: nobody is asked, and nothing need be told.
    let asked = hub.asked();
    for offline in [false, true] {
        let done = hub.run(&workshop, &["inspect", "hf:org/tiny@main"], offline);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(!done.stderr.contains("to fetch"), "{}", done.stderr);
    }
    assert_eq!(hub.asked(), asked);
}

#[test]
fn a_run_file_names_model_and_data() {
    let (workshop, hub) = (Workshop::new(""), Hub::start());
    let named = "max_steps = 2\n[model]\npath = \"hf:org/tiny\"\n[data]\ntrain = [\"hf:org/rows\"]\n";
    workshop.write("named.toml", run_file(named));
    let done = hub.run(&workshop, &["train", "named.toml", "--out", "out"], false);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    // The run knows the folders, so it is the same run when the branch has moved.
    let plan: Value =
        serde_json::from_slice(&std::fs::read(workshop.path("out/plan.json")).unwrap()).unwrap();
    let model = plan["config"]["model"]["path"].as_str().unwrap();
    assert!(model.ends_with(&format!("models--org--tiny/snapshots/{COMMIT}")), "{model}");
    assert!(plan["config"]["data"]["train"][0].as_str().unwrap().contains("datasets--org--rows"), "{plan}");
    let kept = std::fs::read_to_string(workshop.path("out/run.toml")).unwrap();
    assert!(kept.contains("hf:org/tiny"), "{kept}");
    let again = hub.run(&workshop, &["check", "named.toml"], true);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
}

#[test]
fn what_cannot_be_had_is_refused() {
    let (workshop, hub) = (Workshop::new(""), Hub::start());
    hub.run(&workshop, &["inspect", "hf:org/tiny"], true).refused_with(&["not in the cache", "while online"]);
    hub.run(&workshop, &["inspect", "hf:org/none"], false).refused_with(&["org/none"]);
    hub.run(&workshop, &["inspect", "xx:org/tiny"], false).refused_with(&["names no repository", "hf:"]);
    hub.run(&workshop, &["inspect", "hf:../../etc/passwd"], false).refused_with(&["hf:"]);
    // Its config says that it cannot be trained here: the weights stay where they are.
    hub.run(&workshop, &["inspect", "hf:org/strange"], false).refused_with(&["elephant"]);
    let asked = hub.asked.lock().unwrap();
    assert!(
        !asked.iter().any(|target| target.contains("strange") && target.contains("safetensors")),
        "{asked:?}"
    );
}
