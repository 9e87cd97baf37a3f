//! Inputs that others are made from: the seeds, and those that made a parser say something new.

use std::collections::HashMap;

use super::dice::Dice;
use super::input::Input;
use super::{Formats, mutate};

/// Inputs kept beside the seeds.
const MOST_KEPT: usize = 2000;
/// Inputs kept whose words begin alike: errors repeat what stands in the file.
const MOST_ALIKE: usize = 12;
const ALIKE: usize = 32;

pub struct Corpus {
    inputs: Vec<Input>,
    formats: Formats,
    seeds: usize,
    largest: usize,
    said: HashMap<String, usize>,
    alike: HashMap<String, usize>,
}

impl Corpus {
    pub fn new(seeds: Vec<Input>, formats: Formats) -> Self {
        // Repeated insertions must not make inputs grow without end.
        let largest = seeds.iter().map(Input::bytes).max().unwrap_or(0) * 2 + (64 << 10);
        Self {
            seeds: seeds.len(),
            inputs: seeds,
            formats,
            largest,
            said: HashMap::new(),
            alike: HashMap::new(),
        }
    }

    pub fn seeds(&self) -> &[Input] {
        &self.inputs[..self.seeds]
    }

    pub fn kept(&self) -> usize {
        self.inputs.len() - self.seeds
    }

    /// A new input: one of the corpus, changed a few times.
    pub fn next(&self, dice: &mut Dice) -> Input {
        let mut input = dice.pick(&self.inputs).clone();
        let other = dice.pick(&self.inputs);
        let changes = 1 + if dice.once_in(2) { 0 } else { dice.below(6) };
        for _ in 0..changes {
            mutate::change(&mut input, other, self.formats, dice);
        }
        let each = self.largest / input.files.len().max(1);
        for (_, bytes) in &mut input.files {
            if bytes.len() > self.largest {
                bytes.truncate(each);
            }
        }
        input
    }

    /// Keeps an input after which the parser said something for the first time.
    pub fn learn(&mut self, input: &Input, said: &str) {
        let words: String = simplified(said);
        let times = self.said.entry(words.clone()).or_default();
        *times += 1;
        if *times > 1 || self.kept() >= MOST_KEPT {
            return;
        }
        let beginning: String = words.chars().take(ALIKE).collect();
        let alike = self.alike.entry(beginning).or_default();
        *alike += 1;
        if *alike <= MOST_ALIKE {
            self.inputs.push(input.clone());
        }
    }

    /// How many different things were said.
    pub fn answers(&self) -> usize {
        self.said.len()
    }
}

/// What was said without figures and without what no message of ours contains.
fn simplified(said: &str) -> String {
    let mut words = String::new();
    for character in said.chars().take(160) {
        match character {
            '0'..='9' if words.ends_with('#') => {}
            '0'..='9' => words.push('#'),
            ' '..='~' => words.push(character),
            _ => {}
        }
    }
    words
}
