//! CPM-Bee's binary folders: the list of files, their blocks, and the pickles in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::{Dataset, Silent, Unencoded};
use protocol::config::DataConfig;

use crate::common::root;
use crate::harness::{Input, Run, Target};

const LIST: &str = "meta.bin";
const FILES: [&str; 4] = ["part_1", "part_2", "part_5", "part_masked"];
/// Rows that are looked at.
const MOST: usize = 24;

pub fn target() -> Target {
    Target::new(seeds, start)
}

fn start() -> Run {
    Box::new(|folder| {
        let whole = read(folder)?;
        // A file beside no list has blocks of the usual size.
        let list = fs::read(folder.join(LIST)).unwrap_or_default();
        fs::remove_file(folder.join(LIST)).ok();
        let alone = read(&folder.join(FILES[0]));
        fs::write(folder.join(LIST), list).unwrap();
        Ok(format!("{whole} {}", alone.unwrap_or_else(|_| "-".into())))
    })
}

fn read(path: &Path) -> protocol::Result<String> {
    let config = DataConfig { train: vec![PathBuf::from(path)], ..DataConfig::default() };
    let dataset = Dataset::open(&config, "".as_ref(), Arc::new(Unencoded), &Silent)?;
    let mut said = format!("{} ", dataset.sources().len());
    for row in 0..dataset.len().min(MOST) {
        match dataset.record(row) {
            Ok(_) => said += "y",
            Err(error) => {
                assert_eq!(error.exit_code(), 2, "{error}");
                said += "n";
            }
        }
    }
    Ok(said)
}

fn seeds() -> Vec<Input> {
    let folder = root().join("tests/fixtures/bee");
    let all = Input::copied(&folder, &[&[LIST], &FILES[..]].concat());
    // Each file with a list of its own, so that changes meet it more often.
    let list = fs::read_to_string(folder.join(LIST)).unwrap();
    let one = |line: &str| {
        let name = FILES.iter().find(|name| line.contains(&format!("\"{name}\"")))?;
        Some(Input::of(LIST, format!("{line}\n")).and(name, fs::read(folder.join(name)).unwrap()))
    };
    std::iter::once(all).chain(list.lines().filter_map(one)).collect()
}
