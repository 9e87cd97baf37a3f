//! Connections that break at any byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fake::Fake;
use crate::server::Reply;
use crate::support::{Client, files_ending, model, noise};

/// What is served: one small file of the hub itself and one of its store.
fn small() -> (Fake, Vec<u8>, Vec<u8>) {
    let fake = Fake::new();
    let (config, weights) = (noise(90, 1), noise(150, 2));
    fake.add("org/tiny", &[("config.json", &config), ("model.safetensors", &weights)]);
    (fake, config, weights)
}

fn is_file(path: &str) -> bool {
    path.contains("/store/") || path.ends_with("config.json")
}

async fn comes_whole(fake: &Fake, config: &[u8], weights: &[u8], case: &str) {
    let client = Client::of(fake, false);
    let report = client.download(&model("org/tiny")).await.unwrap_or_else(|err| panic!("{case}: {err}"));
    assert_eq!(std::fs::read(report.dir.join("config.json")).unwrap(), config, "{case}");
    assert_eq!(std::fs::read(report.dir.join("model.safetensors")).unwrap(), weights, "{case}");
    assert!(files_ending(client.home.path(), ".incomplete").is_empty(), "{case}");
}

/// Every answer of a file breaks once, at each byte of head and body in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_may_break_once_at_every_byte() {
    let (fake, config, weights) = small();
    // The longest head here has less than 160 bytes.
    for cut in 0..310 {
        let mut broken = std::collections::BTreeSet::new();
        fake.twist(move |request, reply| {
            if !is_file(&request.path) || !broken.insert(request.path.clone()) {
                return reply;
            }
            Reply { cut: Some(cut), ..reply }
        });
        comes_whole(&fake, &config, &weights, &format!("cut at {cut}")).await;
    }
}

/// Every connection breaks after so many bytes of the body: the file comes in pieces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_may_come_in_pieces_of_any_size() {
    let (fake, config, weights) = small();
    for piece in 1..=weights.len() {
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        fake.twist(move |request, reply| {
            if !is_file(&request.path) || reply.body.len() <= piece {
                return reply;
            }
            count.fetch_add(1, Ordering::Relaxed);
            Reply { cut_body: Some(piece), ..reply }
        });
        comes_whole(&fake, &config, &weights, &format!("pieces of {piece}")).await;
        let needed = |bytes: usize| bytes.div_ceil(piece) - 1;
        assert_eq!(connections.load(Ordering::Relaxed), needed(90) + needed(150), "nothing came twice");
    }
}

/// Listings and facts break as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_may_break_at_every_byte() {
    let (fake, config, weights) = small();
    let longest = 620;
    for cut in (0..longest).step_by(3) {
        let mut broken = std::collections::BTreeSet::new();
        fake.twist(move |request, reply| {
            if !request.path.starts_with("/api/") || !broken.insert(request.path.clone()) {
                return reply;
            }
            Reply { cut: Some(cut), ..reply }
        });
        comes_whole(&fake, &config, &weights, &format!("cut at {cut}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_may_break_anywhere_and_often() {
    let fake = Fake::new();
    let (config, weights) = (noise(900, 3), noise(3_000_000, 4));
    fake.add("org/tiny", &[("config.json", &config), ("model.safetensors", &weights)]);
    for round in 0..12_u64 {
        let mut step = round;
        fake.twist(move |request, reply| {
            if !is_file(&request.path) {
                return reply;
            }
            step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // One answer in three comes whole.
            let place = (step >> 33) as usize % 900_000;
            if step % 3 == 0 { reply } else { Reply { cut_body: Some(place), ..reply } }
        });
        comes_whole(&fake, &config, &weights, &format!("round {round}")).await;
    }
}

/// The next process goes on where this one was stopped by a hub that gave up.
#[tokio::test]
async fn a_hub_that_gives_up_is_told_of_and_what_came_is_kept() {
    let fake = Fake::new();
    let weights = noise(80_000, 5);
    fake.add("org/tiny", &[("model.safetensors", &weights)]);
    let client = Client::of(&fake, false);
    fake.twist(|request, reply| match (request.path.contains("/store/"), request.range()) {
        (true, None) => Reply { cut_body: Some(30_000), ..reply },
        (true, Some(_)) => Reply { cut: Some(0), ..reply },
        _ => reply,
    });
    let error = client.download(&model("org/tiny")).await.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.what.en.contains("connection"), "{error}");
    let left = files_ending(client.home.path(), ".incomplete");
    assert_eq!(std::fs::metadata(&left[0]).unwrap().len(), 30_000);
    fake.twist(|_, reply| reply);
    assert_eq!(client.download(&model("org/tiny")).await.unwrap().fetched_bytes, 50_000);
}
