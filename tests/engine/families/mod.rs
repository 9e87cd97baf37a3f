//! The contract that every family keeps, checked on a very small model of each, and the table in the README that
//! says so.

mod contract;
pub mod made;
mod members;
mod methods;
mod packed;
mod side_by_side;
mod slices;
mod stacks;

use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::models::{FAMILIES, Family};
use protocol::Language;

use crate::common;

pub use contract::ROW;

/// Panics where a family does not do what it should.
type Check = fn(&Family);

/// Column of the table, and the check behind it.
const CHECKS: [(&str, Check); 7] = [
    ("load", contract::loads),
    ("score", contract::scores),
    ("full", contract::trains_whole),
    ("LoRA", contract::adapts),
    ("merge", contract::merges),
    ("chat", contract::chats),
    ("bf16", contract::runs_in_bf16),
];

const BEGIN: &str = "<!-- families: written by `UPDATE_README=1 cargo test --test engine families` -->\n";
const END: &str = "<!-- end of families -->";

#[test]
fn every_family_keeps_the_contract_and_the_readme_says_so() {
    let mut failures = Vec::new();
    let mut table = heading();
    for family in FAMILIES {
        table +=
            &format!("| {} | `{}` |", family.name.get(Language::English), family.model_types.join("`, `"));
        for (word, check) in CHECKS {
            let kept = catch_unwind(AssertUnwindSafe(|| check(family))).is_ok();
            table += if kept { " ✓ |" } else { " – |" };
            if !kept {
                failures.push(format!("{}: {word}", family.id));
            }
        }
        table.push('\n');
    }
    assert!(failures.is_empty(), "the contract is not kept: {failures:?}\n{table}");
    readme_holds(&table);
}

fn heading() -> String {
    let words: Vec<_> = CHECKS.iter().map(|(word, _)| *word).collect();
    format!("| family | `model_type` | {} |\n|---|---|{}\n", words.join(" | "), ":-:|".repeat(words.len()))
}

/// Compares, or with `UPDATE_README` writes.
fn readme_holds(table: &str) {
    let file = common::root().join("README.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let start = text.find(BEGIN).expect("the README has a place for the table") + BEGIN.len();
    let end = start + text[start..].find(END).unwrap();
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&file, format!("{}{table}{}", &text[..start], &text[end..])).unwrap();
        return;
    }
    assert_eq!(&text[start..end], table, "the README's table of families is old: {BEGIN}");
}
