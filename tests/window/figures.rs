//! How long things take in the window with the real engine. Not tests: run them on a quiet machine, with
//! `cargo test --release --workspace --test window figures -- --ignored --nocapture --test-threads 1`.

#![expect(clippy::print_stdout, reason = "these print what they measure")]

use std::io::Write;
use std::time::{Duration, Instant};

use protocol::Language;
use protocol::config::Validation;
use ui::action::Action;
use ui::panels;

use crate::journey::Journey;

/// Bytes of the large file.
const LARGE: usize = 1 << 30;

/// Rows of a conversation each, about 1 KB.
fn write_large(file: &std::path::Path) {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
    let words =
        "the keeper of the lighthouse tells a story about the sea and the ember in the stove ".repeat(5);
    let (mut written, mut row) = (0, 0_u64);
    while written < LARGE {
        let line = format!(
            "{{\"messages\":[{{\"role\":\"user\",\"content\":\"Question {row}: {words}?\"}},{{\"role\":\"assistant\",\"content\":\"Answer {row}: {words}.\"}}]}}\n"
        );
        out.write_all(line.as_bytes()).unwrap();
        written += line.len();
        row += 1;
    }
    out.flush().unwrap();
    println!("file: {written} bytes, {row} rows");
}

/// From a dropped file to its first row on the screen, and to the verdict on all of it.
#[test]
#[ignore = "measures"]
fn a_gigabyte_shows_its_first_row_at_once() {
    let mut journey = Journey::with(Language::English, |engine| Box::new(engine));
    journey.until("the starter", |harness| harness.state().state().data.verdict.value.is_some());
    let file = journey.home.path().join("large.jsonl");
    write_large(&file);
    journey.open(&panels::data::PANEL);
    let mut config = journey.harness.state().state().project.config.clone();
    config.data.train = vec![file.clone()];
    config.data.validation = Validation::Fraction(0.01);
    let began = Instant::now();
    journey.harness.state().push(Action::Edit(Box::new(config)));
    let shows = |harness: &egui_kittest::Harness<'static, ui::App>| {
        let page = &harness.state().state().data.page;
        page.value.as_ref().is_some_and(|page| page.rows.first().is_some_and(|row| row.file == file))
    };
    journey.until_within("the first row", Duration::from_millis(2), shows);
    println!("first row: {:.3} s (0.12 s of it waiting for more changes)", began.elapsed().as_secs_f64());
    let judged = |harness: &egui_kittest::Harness<'static, ui::App>| {
        harness.state().state().data.verdict.value.as_ref().is_some_and(|verdict| verdict.rows > 100_000)
    };
    journey.until("the verdict", judged);
    println!("verdict on everything: {:.1} s", began.elapsed().as_secs_f64());
}

/// Milliseconds of the window's own work a frame while it trains.
#[test]
#[ignore = "measures"]
fn frames_while_training() {
    let mut journey = Journey::with(Language::English, |engine| Box::new(engine));
    journey.until("the starter", |harness| harness.state().state().data.verdict.value.is_some());
    journey.harness.state().push(Action::Train(ui::state::train::TrainAction::Start));
    journey.until("a step", |harness| harness.state().state().train.last_step().is_some());
    journey.harness.state_mut().frame_times().clear();
    journey.until("the run's end", |harness| harness.state().state().train.outcome.is_some());
    let times = journey.harness.state_mut().frame_times();
    let (p50, p99, count) = (times.quantile(0.5), times.quantile(0.99), times.count());
    println!("training: p50 {p50:.2} ms, p99 {p99:.2} ms over the last {count} frames");
}
