//! How fast files come, proven by their hashes, beside curl, which proves nothing, and curl with `sha256sum`. Not run by itself:
//! `cargo test --release -p hub --test hub -- --ignored --nocapture downloads_beside_curl`

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use hub::Caller;
use protocol::{RepoKind, RepoRef};
use serde_json::json;

use crate::fake::{COMMIT, sha256};
use crate::server::{Reply, Request, Server};
use crate::support::{Client, model, noise, silent};

const LARGE: usize = 1_000_000_000;
const SMALL: usize = 200;
const SMALL_BYTES: usize = 100_000;
const ROUNDS: usize = 5;
const WAYS: [&str; 3] = ["ours", "curl", "curl && sha256sum"];

/// Files in memory, sent as they are.
struct Files {
    large: Arc<Vec<u8>>,
    small: Arc<Vec<u8>>,
    hashes: [String; 2],
}

impl Files {
    fn answer(&self, request: &Request) -> Reply {
        let is_large = request.path.contains("org/large");
        let content = if is_large { &self.large } else { &self.small };
        if request.path.contains("/revision/") {
            return Reply::json(&json!({ "id": "x", "sha": COMMIT }));
        }
        if request.path.contains("/tree/") {
            let (hash, names) =
                if is_large { (&self.hashes[0], names(1)) } else { (&self.hashes[1], names(SMALL)) };
            let entry = |(number, path): (usize, &String)| {
                // Every small file is another one to the cache.
                let oid = if is_large { hash.clone() } else { hash_of(number) };
                json!({ "type": "file", "path": path, "size": content.len(), "oid": "", "lfs": { "oid": oid } })
            };
            return Reply::json(&names.iter().enumerate().map(entry).collect::<Vec<_>>().into());
        }
        if is_large {
            return Reply { shared: Some(content.clone()), ..Reply::new(200, "") };
        }
        let number: usize = request.path.rsplit(['-', '.']).nth(1).unwrap().parse().unwrap();
        Reply::new(200, one_of_many(number))
    }
}

fn one_of_many(number: usize) -> Vec<u8> {
    let mut content = noise(SMALL_BYTES, 1);
    content[..8].copy_from_slice(&(number as u64).to_le_bytes());
    content
}

fn hash_of(number: usize) -> String {
    sha256(&one_of_many(number))
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("rows-{number}.parquet")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of a minute"]
#[expect(clippy::print_stdout, reason = "figures are what it is run for")]
async fn downloads_beside_curl() {
    let block = noise(1_000_000, 1);
    let large: Vec<u8> = block.iter().copied().cycle().take(LARGE).collect();
    let small = one_of_many(0);
    let hashes = [sha256(&large), sha256(&small)];
    let files = Files { large: Arc::new(large), small: Arc::new(small), hashes };
    let server = Server::start(move |request| files.answer(request));
    for (id, count, bytes) in [("org/large", 1, LARGE), ("org/small", SMALL, SMALL * SMALL_BYTES)] {
        let mut seconds = [const { Vec::new() }; WAYS.len()];
        for _ in 0..ROUNDS {
            seconds[0].push(ours(&server, id).await);
            let [curl, summed] = curls(&server, id, &names(count));
            seconds[1].push(curl);
            seconds[2].push(summed);
        }
        for (way, mut seconds) in WAYS.iter().zip(seconds) {
            seconds.sort_by(f64::total_cmp);
            let rate = |at: usize| bytes as f64 / seconds[at] / 1e6;
            println!("{id}: {way}: best {:.0} MB/s, median {:.0} MB/s", rate(0), rate(ROUNDS / 2));
        }
    }
}

/// From the listing that is known to the last name in the snapshot, hashes and all.
async fn ours(server: &Server, id: &str) -> f64 {
    let client = Client::at(server.url.as_str(), false, tempfile::tempdir().unwrap());
    let (settings, stop) = (&client.settings, Caller::patient());
    let repo = RepoRef { kind: RepoKind::Dataset, ..model(id) };
    let job = client.hubs.prepare(settings, &repo, &[], &stop).await.unwrap();
    let start = Instant::now();
    client.hubs.download(&job, &silent(), &stop).await.unwrap();
    start.elapsed().as_secs_f64()
}

/// As many at a time as we take; the seconds without and with a look at the hashes.
fn curls(server: &Server, id: &str, files: &[String]) -> [f64; 2] {
    let folder = tempfile::tempdir().unwrap();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail", "-L", "-Z", "--parallel-max", "8", "-K", "-"]).current_dir(folder.path());
    let start = Instant::now();
    let mut curl = curl.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = curl.stdin.take().unwrap();
    for file in files {
        let url = server.url.join(&format!("datasets/{id}/resolve/main/{file}")).unwrap();
        writeln!(input, "url = \"{url}\"\noutput = \"{file}\"").unwrap();
    }
    drop(input);
    assert!(curl.wait().unwrap().success());
    let fetched = start.elapsed().as_secs_f64();
    let sums = Command::new("sha256sum").args(files).current_dir(folder.path()).output().unwrap();
    assert!(sums.status.success());
    [fetched, start.elapsed().as_secs_f64()]
}
