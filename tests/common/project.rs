//! A small project to train in: run files, data, and what a run wrote. For the engine's tests and the program's.

use std::path::Path;

/// The lines of a run's metrics.jsonl without what the clock and the machine decide; as text, so that two
/// lines are equal only if every figure is, bit for bit.
pub fn steady_lines(run: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines().map(steady).collect()
}

fn steady(line: &str) -> String {
    match (line.find(",\"tokens_per_s\""), line.find(",\"skipped\"")) {
        (Some(cut), Some(skipped)) => format!("{}{}", &line[..cut], &line[skipped..]),
        (Some(cut), None) => line[..cut].to_owned(),
        (None, _) => line.to_owned(),
    }
}

/// What the run file of a test says unless the test says otherwise: section, key, value.
const DEFAULTS: [(&str, &str, &str); 6] = [
    ("model", "path", "\"model\""),
    ("data", "train", "[\"data.jsonl\"]"),
    ("data", "max_length", "48"),
    ("data", "validation", "0.2"),
    ("train", "batch_size", "2"),
    ("train", "learning_rate", "4e-3"),
];

/// A run file over the project's model and data. `settings` begins among the keys of `[train]`.
pub fn run_file(settings: &str) -> String {
    let mut sections = vec![
        ("train", String::new()),
        ("model", String::new()),
        ("data", String::new()),
        ("method", String::new()),
        ("vocabulary", String::new()),
    ];
    let mut current = "train";
    for line in settings.lines() {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(section) => current = sections.iter().find(|(name, _)| *name == section).unwrap().0,
            None => sections.iter_mut().find(|(name, _)| *name == current).unwrap().1 += &format!("{line}\n"),
        }
    }
    for (section, key, value) in DEFAULTS {
        let (_, text) = sections.iter_mut().find(|(name, _)| *name == section).unwrap();
        if !text.lines().any(|line| line.starts_with(&format!("{key} ="))) {
            *text += &format!("{key} = {value}\n");
        }
    }
    sections.into_iter().map(|(name, text)| format!("[{name}]\n{text}")).collect()
}

/// Rows of different lengths.
pub fn conversations(rows: usize) -> String {
    const WORDS: [&str; 7] = ["ember", "light", "wood", "iron", "river", "stone", "cloud"];
    let line = |row: usize| {
        let words = |from: usize, count: usize| {
            (from..from + count).map(|n| WORDS[n * n % 7]).collect::<Vec<_>>().join(" ")
        };
        let (question, answer) = (words(row, 1 + row % 3), words(row * 3 + 1, 1 + row % 4));
        let turns = serde_json::json!([{"role": "user", "content": question}, {"role": "assistant", "content": answer}]);
        serde_json::json!({ "messages": turns }).to_string() + "\n"
    };
    (0..rows).map(line).collect()
}

/// A folder and all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// Turns one bit of a file around, in its middle.
pub fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}
