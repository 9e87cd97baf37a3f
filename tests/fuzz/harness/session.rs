//! The child's side: makes inputs, runs the parser on each, and judges what happened.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use protocol::{Result, Text, UserError};

use super::corpus::Corpus;
use super::dice::Dice;
use super::input::Input;
use super::supervise::{Order, findings};
use super::{Formats, Run, Target, memory, watchdog};

/// The stack of the threads that parse in the program: Rust's own choice for threads.
const STACK_BYTES: usize = 2 << 20;
/// What a parser may hold for each byte of its input.
const BYTES_A_BYTE: usize = 64;
/// What an input of ordinary size may take.
const SLOW: Duration = Duration::from_secs(2);
/// Different findings after which a session ends.
const ENOUGH: usize = 12;

/// Where and why the last panic happened.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// Runs a target as ordered.
///
/// # Panics
/// When there are findings.
pub fn fuzz(order: &Order, target: Target, formats: Formats) {
    std::panic::set_hook(Box::new(|info| {
        *PANIC.lock().unwrap() = info.to_string();
    }));
    watchdog::watch();
    let found = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(order.target.clone()).stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, || Session::new(order, target, formats).run(order)).unwrap().join()
    });
    drop(std::panic::take_hook());
    let found = found.unwrap_or_else(|_| panic!("the harness: {}", PANIC.lock().unwrap()));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

struct Session {
    corpus: Corpus,
    run: Run,
    memory: usize,
    folder: PathBuf,
    /// What lies in the folder.
    there: Input,
    /// What is wrong → the round that showed it first, and how often it was seen.
    found: BTreeMap<String, (u64, usize)>,
    refused: u64,
}

impl Session {
    fn new(order: &Order, target: Target, formats: Formats) -> Self {
        let folder = order.work.join("input");
        std::fs::create_dir_all(&folder).unwrap();
        Self {
            corpus: Corpus::new((target.seeds)(), formats),
            run: (target.start)(),
            memory: target.memory,
            folder,
            there: Input::default(),
            found: BTreeMap::new(),
            refused: 0,
        }
    }

    /// Rounds until the time is over; the findings, a line each.
    fn run(mut self, order: &Order) -> Vec<String> {
        let begin = Instant::now();
        let seeds: Vec<Input> = self.corpus.seeds().to_vec();
        let mut rounds = 0;
        for seed in &seeds {
            self.round(seed, rounds, order);
            rounds += 1;
        }
        let read = seeds.len() as u64 - self.refused;
        while begin.elapsed().as_secs_f64() < order.seconds && self.found.len() < ENOUGH {
            let mut dice = Dice::new(order.seed, rounds);
            let input = self.corpus.next(&mut dice);
            self.round(&input, rounds, order);
            rounds += 1;
        }
        println!(
            "fuzz {}: {rounds} inputs in {:.0} s ({} seeds, {read} of them read; {} refused), {} answers, {} kept, {} findings (seed {})",
            order.target,
            begin.elapsed().as_secs_f64(),
            seeds.len(),
            self.refused,
            self.corpus.answers(),
            self.corpus.kept(),
            self.found.len(),
            order.seed,
        );
        std::fs::remove_dir_all(&self.folder).unwrap();
        assert!(read > 0, "no seed is read: {:?}", self.corpus.seeds().len());
        self.found
            .into_iter()
            .map(|(what, (round, times))| {
                let place = findings(&order.target).join(round.to_string());
                format!("FINDING {what}\n  in {}, seen {times} times", place.display())
            })
            .collect()
    }

    fn round(&mut self, input: &Input, round: u64, order: &Order) {
        input.replace(&self.there, &self.folder);
        self.there = input.clone();
        watchdog::round_begins();
        let outcome = self.read(input);
        match outcome {
            Ok(said) => self.corpus.learn(input, &said),
            Err(wrong) => {
                let known = self.found.entry(wrong).or_insert((round, 0));
                known.1 += 1;
                if known.1 == 1 {
                    let place = findings(&order.target).join(round.to_string());
                    std::fs::create_dir_all(&place).unwrap();
                    input.replace(&Input::default(), &place);
                }
            }
        }
    }

    /// What the parser said; an error is what is wrong with that.
    fn read(&mut self, input: &Input) -> Result<String, String> {
        let before = memory::mark();
        let begin = Instant::now();
        let outcome = self.parse();
        let taken = begin.elapsed();
        let held = memory::peak().saturating_sub(before);
        let said = match outcome.map_err(|()| format!("panic: {}", PANIC.lock().unwrap()))? {
            Ok(said) => said,
            Err(error) => {
                self.refused += 1;
                refusal(&error)?
            }
        };
        if held > self.memory + BYTES_A_BYTE * input.bytes() {
            return Err(format!("held {} MiB: {}", held >> 20, beginning(&said)));
        }
        // Others may have had the processor: twice more, and the best counts.
        if taken > SLOW {
            let again = (0..2).map(|_| {
                let begin = Instant::now();
                drop(self.parse());
                begin.elapsed()
            });
            let taken = again.fold(taken, Duration::min);
            if taken > SLOW {
                let seconds = taken.as_secs();
                return Err(format!("took {seconds} s: {}", beginning(&said)));
            }
        }
        Ok(said)
    }

    fn parse(&mut self) -> Result<Result<String>, ()> {
        let (run, folder) = (&mut self.run, &self.folder);
        catch_unwind(AssertUnwindSafe(|| run(folder))).map_err(|_| ())
    }
}

/// The words of a refusal, if it is one as it should be: the file is at fault, in both languages.
fn refusal(error: &UserError) -> Result<String, String> {
    let Text { en, zh } = &error.what;
    let said = error.to_string();
    if error.exit_code() != 2 {
        return Err(format!("refused as a failure of ours: {}", beginning(&said)));
    }
    if en.is_empty() || zh.is_empty() {
        return Err(format!("refused without words: {said}"));
    }
    Ok(format!("{en} {}", error.details.first().map_or("", String::as_str)))
}

fn beginning(said: &str) -> String {
    said.chars().take(60).map(|c| if c.is_ascii_digit() { '#' } else { c }).collect()
}
