//! How fast a whole check goes, and that its figures do not depend on how many threads it has.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use data::{Dataset, Encoder, ModelTokens, Silent, Survey};
use protocol::config::{DataConfig, Validation};

/// Says how many rows a second are checked, of the file `EMBERWRIGHT_SPEED_DATA` with the tokenizer of the folder
/// `EMBERWRIGHT_SPEED_MODEL`.
#[test]
#[ignore = "measures; needs a large file"]
fn rows_a_second() {
    let path = |name: &str| PathBuf::from(std::env::var_os(name).unwrap());
    let config = DataConfig {
        train: vec![path("EMBERWRIGHT_SPEED_DATA")],
        template: std::env::var("EMBERWRIGHT_SPEED_TEMPLATE").unwrap_or_else(|_| "chatml".to_owned()),
        validation: Validation::Fraction(0.05),
        ..DataConfig::default()
    };
    let begun = Instant::now();
    let encoder = Encoder::open(&path("EMBERWRIGHT_SPEED_MODEL"), &config, "".as_ref(), None).unwrap();
    println!("tokenizer {:?}", begun.elapsed());
    let begun = Instant::now();
    let dataset = Dataset::open(&config, "".as_ref(), Arc::new(encoder), &Silent).unwrap();
    println!("index {:?}", begun.elapsed());
    let begun = Instant::now();
    let survey = Survey::new(&dataset, &ModelTokens::default(), 42, &Silent).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let verdict = &survey.verdict;
    let sum: u64 = survey.lengths.iter().enumerate().map(|(at, length)| u64::from(*length) * (at as u64 + 1)).sum();
    println!("check {seconds:.2} s, {:.0} rows a second", verdict.rows as f64 / seconds);
    println!("{} tokens, {} learned, longest {}, lengths {sum}", verdict.tokens, verdict.learned_tokens, verdict.longest);
    for finding in &verdict.findings {
        println!("{:?} {} {:?}", finding.kind, finding.count, finding.rows.iter().take(5).collect::<Vec<_>>());
    }
}
