//! What a filtered file keeps.

use data::analysis::{Chosen, Filter, check_filter};
use protocol::config::{DataConfig, Validation};
use protocol::{AnalysisChecks, FilterRequest, IfdReport, IfdScore};

use super::{known, row};
use crate::support::{Folder, config, open};

fn score(row: u64, ifd: f64) -> IfdScore {
    IfdScore { row, conditioned: ifd, direct: 1.0, ifd }
}

#[test]
fn a_row_is_left_out_for_the_first_of_its_reasons() {
    let folder = Folder::new();
    let question = "A farmer has twelve sheep and sells five of them on Monday, how many are left over?";
    let text =
        |n: usize| format!("this is the number {n} in a longer sentence that is told in plain English words");
    let rows = [
        row("one", &text(1)),
        row("one", &text(1)),
        "{\"broken\":1}\n".to_owned(),
        row("两个", "这是一个用中文写成的比较长的句子，说的是数字二。"),
        row(question, "five"),
        row("three", &text(3)),
        row("four", &text(4)),
    ];
    folder.write("a.jsonl", rows.concat());
    folder.write("v.jsonl", row("three", &text(3)));
    folder.write("eval.jsonl", format!("{{\"question\":\"{question}\"}}\n"));
    let checks = AnalysisChecks {
        near_duplicates: Some(0.8),
        leaks: true,
        contamination: vec![folder.path().join("eval.jsonl")],
        ..AnalysisChecks::default()
    };
    let config = DataConfig { validation: Validation::Files(vec!["v.jsonl".into()]), ..config(&["a.jsonl"]) };
    let known = known(&config, &folder, &checks);
    let dataset = open(&config, &folder).unwrap();
    let wanted = FilterRequest {
        near_duplicates: true,
        leaks: true,
        contaminated: true,
        languages: vec!["eng".into()],
        ..FilterRequest::default()
    };
    let filter = Filter::new(&wanted, &known, &dataset, Chosen::default());
    let reasons: Vec<_> = filter.rows().map(|row| filter.reason(row).map(|reason| reason.id)).collect();
    let expected = [
        None,
        Some("near-duplicate"),
        Some("unusable"),
        Some("language"),
        Some("contaminated"),
        Some("leak"),
        None,
    ];
    assert_eq!(reasons, expected);
    let told = |row: usize| filter.reason(row).unwrap().told.en.to_string();
    assert_eq!(told(1), "as row 1, similarity 1.000");
    assert_eq!(told(3), "Chinese, simplified");
    assert!(
        told(4).starts_with("has 100 % of row 1 of ") && told(5).contains("v.jsonl"),
        "{} {}",
        told(4),
        told(5)
    );
    let nothing = FilterRequest::default();
    let filter = Filter::new(&nothing, &known, &dataset, Chosen::default());
    assert_eq!(
        filter.rows().filter(|row| filter.reason(*row).is_none()).count(),
        6,
        "only what cannot be read is left out"
    );
}

#[test]
fn of_the_scored_rows_the_highest_share_up_to_one_is_kept() {
    let (folder, _) = Folder::with("a.jsonl", crate::support::alpaca_lines(12));
    let config = config(&["a.jsonl"]);
    let known = known(&config, &folder, &AnalysisChecks::default());
    let dataset = open(&config, &folder).unwrap();
    let mut scores: Vec<IfdScore> = (1..=10).map(|row| score(row, row as f64 / 10.0)).collect();
    scores.push(score(11, 1.2));
    let ifd = IfdReport { scores, unscored: 1 };
    let wanted = FilterRequest { ifd_share: Some(0.3), ..FilterRequest::default() };
    let chosen = Chosen { ifd: Some(&ifd), diverse: None };
    let filter = Filter::new(&wanted, &known, &dataset, chosen);
    let kept: Vec<usize> =
        filter.rows().filter(|row| filter.reason(*row).is_none()).map(|row| row + 1).collect();
    assert_eq!(kept, [8, 9, 10]);
    let kind = |row: usize| filter.reason(row - 1).unwrap().kind.en;
    assert_eq!(
        [kind(1), kind(11), kind(12)],
        ["IFD below the share that is kept", "IFD above 1", "has no IFD"]
    );
    let wanted = FilterRequest { diverse: true, ..FilterRequest::default() };
    let chosen = Chosen { ifd: None, diverse: Some(&[5, 2]) };
    let filter = Filter::new(&wanted, &known, &dataset, chosen);
    assert_eq!(filter.rows().filter(|row| filter.reason(*row).is_none()).collect::<Vec<_>>(), [1, 4]);
}

#[test]
fn a_filter_by_what_is_not_looked_for_is_refused() {
    let near = FilterRequest { near_duplicates: true, ..FilterRequest::default() };
    let err = check_filter(&near, &AnalysisChecks::default()).unwrap_err();
    assert!(err.exit_code() == 2 && err.to_string().contains("near-duplicates"), "{err}");
    let checks = AnalysisChecks { ifd: true, near_duplicates: Some(0.8), ..AnalysisChecks::default() };
    assert!(check_filter(&near, &checks).is_ok());
    for share in [0.0, 1.1, f64::NAN] {
        let wanted = FilterRequest { ifd_share: Some(share), ..FilterRequest::default() };
        assert!(check_filter(&wanted, &checks).is_err());
    }
}
