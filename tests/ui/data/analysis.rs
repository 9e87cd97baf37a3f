//! What is in the data, what the model finds hard, and the data in another format.

use std::path::PathBuf;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use protocol::{
    Analysis, Command, ConvertReport, ConvertedRow, Event, FilterReport, Frequent, Histogram, IfdReport,
    IfdScore, Language, LanguageShare, NearDuplicates, Overlap, PreviewRow, RequestId, RoleLengths, Text,
    TokenLosses, TokenRole, Wish,
};
use ui::App;
use ui::testing::{FakeDesktop, FakeEngine};
use ui::{DesktopEvent, DesktopRequest, Purpose};

use super::workshop::{Workshop, commands};
use super::{press, settle};
use crate::support::Window;

/// What the engine says of a dataset of 400 rows; `row` makes one of them.
pub fn answer(command: &Command, row: impl Fn(u64) -> PreviewRow) -> Option<Event> {
    Some(match command {
        Command::Analyze { request, analysis } => {
            let filtered = analysis.filter.as_ref().map(|filter| FilterReport {
                out: filter.out.clone(),
                reasons: "/out/kept.jsonl.reasons.jsonl".into(),
                kept: 371,
                dropped: vec![(Text::fixed("near-duplicates of an earlier row", "与之前的行近似重复"), 27)],
            });
            let checks = &analysis.checks;
            let found = Analysis {
                filtered,
                near_duplicates: checks.near_duplicates.map(|_| near()),
                near_duplicate_rows: 7,
                leaked_rows: 2,
                leaks: checks.leaks.then(leaks),
                contamination: (!checks.contamination.is_empty()).then(Vec::new),
                ifd: checks.ifd.then(ifd),
                diverse: checks.diverse.map(|rows| (1..=rows.min(400)).collect()),
                ..always()
            };
            Event::Analyzed { request: *request, analysis: Box::new(found) }
        }
        Command::ScoreRow { request, row: number, .. } => {
            Event::RowScored { request: *request, losses: Box::new(losses(&row(*number))) }
        }
        Command::PreviewConversion { request, convert, first, count } => {
            let rows = (*first..(*first + *count).min(3)).map(|index| converted(index + 1, &convert.to));
            Event::Conversion { request: *request, rows: rows.collect() }
        }
        Command::Convert { request, out, .. } => {
            let report = ConvertReport {
                out: out.clone(),
                rows: 398,
                left_out: 2,
                left_out_rows: vec![12, 40],
                bytes: 812_000,
                notes: Vec::new(),
            };
            Event::Converted { request: *request, report: Box::new(report) }
        }
        _ => return None,
    })
}

fn always() -> Analysis {
    let histogram =
        |edges: &[u64], counts: &[u64]| Histogram { edges: edges.to_vec(), counts: counts.to_vec() };
    let lengths = |role, turns, tokens, longest, counts: &[u64]| RoleLengths {
        role,
        turns,
        tokens,
        longest,
        lengths: histogram(&[0, 8, 16, 32, 64, 128, 232], counts),
    };
    let language = |code: &str, name, rows, first| LanguageShare {
        code: code.into(),
        name,
        rows,
        examples: (0..8_u64).map(|at| first + at * 31).collect(),
    };
    let frequent = |text: &str, count, first| Frequent {
        text: text.into(),
        count,
        rows: (0..count.min(100)).map(|at| first + at).collect(),
    };
    Analysis {
        rows: 400,
        unusable: 2,
        lengths: vec![
            lengths(TokenRole::System, 398, 2_786, 7, &[398, 0, 0, 0, 0, 0]),
            lengths(TokenRole::User, 398, 4_120, 14, &[60, 338, 0, 0, 0, 0]),
            lengths(TokenRole::Assistant, 398, 18_870, 208, &[0, 4, 120, 220, 37, 17]),
        ],
        languages: vec![
            language("eng", Text::fixed("English", "英语"), 372, 1),
            language("cmn", Text::fixed("Chinese", "汉语"), 24, 30),
            language("", Text::fixed("", ""), 4, 12),
        ],
        openings: vec![
            frequent("It says that learning", 371, 1),
            frequent("这一行说的是", 24, 30),
            frequent("I cannot help with", 3, 200),
        ],
        endings: vec![frequent("is a fair start.\n\n", 260, 1), frequent("}\n```\n", 131, 2)],
        ..Analysis::default()
    }
}

fn near() -> Vec<NearDuplicates> {
    let group = |first: u64, count: u64, similarity, text: &str| NearDuplicates {
        rows: (0..count).map(|at| first + at * 17).collect(),
        count,
        similarity,
        text: text.into(),
    };
    vec![
        group(12, 5, 0.97, "What is said in row 12? It says that learning rates matter"),
        group(40, 3, 0.91, "What is said in row 40? It says that learning rates matter"),
        group(61, 2, 0.84, "请问：第 61 行说的是什么？"),
    ]
}

fn leaks() -> Vec<Overlap> {
    let leak = |row, similarity| Overlap {
        row,
        file: "/data/held-out.jsonl".into(),
        file_row: row / 7 + 1,
        similarity,
        text: format!("What is said in row {row}?"),
    };
    vec![leak(77, 1.0), leak(140, 0.93)]
}

fn ifd() -> IfdReport {
    let score = |row: u64| {
        let ifd = 0.25 + 0.9 * ((row * 37 % 400) as f64 / 400.0).powf(0.7);
        IfdScore { row, conditioned: 2.0 * ifd, direct: 2.0, ifd }
    };
    IfdReport { scores: (1..=380).map(score).collect(), unscored: 18 }
}

/// The further on, the less certain, with a few surprises.
fn losses(row: &PreviewRow) -> TokenLosses {
    let loss = |index: usize| match index * 7919 % 23 {
        0 | 9 => 5.4,
        4 => 2.8,
        n => 0.02 + n as f32 * 0.06,
    };
    TokenLosses {
        row: row.row,
        ids: row.ids.clone(),
        tokens: row.tokens.clone(),
        losses: (0..row.ids.len()).map(|index| (index > 0).then(|| loss(index))).collect(),
        best: (0..row.ids.len()).map(|index| (index > 0).then(|| "_the".to_owned())).collect(),
        loss_mask: row.loss_mask.clone(),
    }
}

fn converted(row: u64, to: &str) -> ConvertedRow {
    let before = format!(
        "{{\n  \"messages\": [\n    {{\"role\": \"user\", \"content\": \"What is said in row {row}?\"}},\n    {{\"role\": \"assistant\", \"content\": \"It says that learning rates matter.\"}}\n  ]\n}}"
    );
    let after = format!(
        "{{\n  \"instruction\": \"What is said in row {row}?\",\n  \"output\": \"It says that learning rates matter.\",\n  \"format\": \"{to}\"\n}}"
    );
    let tools = (row == 3).then(|| Text::fixed("alpaca has no place for tools", "alpaca 无法表示工具调用"));
    ConvertedRow { row, before, after: if tools.is_some() { String::new() } else { after }, error: tools }
}

type Panel = Harness<'static, App>;

fn open(language: Language) -> (Panel, FakeEngine) {
    Workshop::default().open(&Window { language, ..Window::default() })
}

/// The sheet with everything looked for and found.
pub fn found(window: &Window) -> (Panel, FakeEngine) {
    let (mut harness, engine) = Workshop::default().open(window);
    harness.get_by_label(ui::words::analysis::SHEET_ANALYSIS.get(window.language)).click();
    harness.run();
    let mut checks = harness.state().state().data.analysis.checks.clone();
    (checks.ifd, checks.diverse) = (true, Some(50));
    checks.contamination = vec!["/sets/ceval".into()];
    use ui::action::Action;
    use ui::state::analysis::AnalysisAction;
    use ui::state::data::DataAction;
    let push = |harness: &mut Panel, action| {
        harness.state().push(Action::Data(DataAction::Analysis(action)));
        harness.run();
    };
    push(&mut harness, AnalysisAction::Checks(Box::new(checks)));
    push(&mut harness, AnalysisAction::Start);
    harness.run();
    (harness, engine)
}

#[test]
fn an_analysis_asks_what_is_chosen_and_nothing_else() {
    let (mut harness, engine) = open(Language::English);
    press(&mut harness, "Analysis");
    harness.get_by_label("Know what you train on");
    press(&mut harness, "Leaks into validation");
    press(&mut harness, "Analyse");
    let asked = commands(&engine, |command| match command {
        Command::Analyze { analysis, .. } => Some(analysis.clone()),
        _ => None,
    });
    let [asked] = asked.as_slice() else { panic!("once: {asked:?}") };
    assert_eq!(
        (asked.checks.near_duplicates, asked.checks.leaks, asked.checks.ifd),
        (Some(0.8), false, false)
    );
    assert!(asked.filter.is_none());
    harness.get_by_label_contains("7 rows too many");
    assert!(harness.query_by_label_contains("held-out").is_none());
}

#[test]
fn what_was_found_leads_to_its_rows() {
    let (mut harness, _) = found(&Window::default());
    harness.get_by_label_contains("What is said in row 40?").click();
    settle(&mut harness);
    harness.get_by_label_contains("Tokens of row 40: ");
    harness.get_by_label("(1 / 3)");
    press(&mut harness, "Next row");
    harness.get_by_label_contains("Tokens of row 57: ");
    harness.get_by_label("3 Near-duplicates");
    press(&mut harness, "Analysis");
    harness.get_by_label("Chinese 6.0 %").click();
    settle(&mut harness);
    harness.get_by_label_contains("Tokens of row 30: ");
    press(&mut harness, "All");
    assert!(harness.query_by_label("(1 / 8)").is_none());
}

#[test]
fn the_filtered_file_is_written_and_can_be_trained_on() {
    let desktop = FakeDesktop::default();
    let (mut harness, engine) = Workshop::default().open_with(&Window::default(), &desktop);
    press(&mut harness, "Analysis");
    press(&mut harness, "Write the filtered file…");
    let asked = |request: &DesktopRequest| matches!(request, DesktopRequest::PickSave { purpose, .. } if *purpose == Purpose::FilteredFile);
    assert!(desktop.requests.borrow().iter().any(asked));
    let paths = vec![PathBuf::from("/out/kept.jsonl")];
    desktop.answers.borrow_mut().push(DesktopEvent::Picked { purpose: Purpose::FilteredFile, paths });
    settle(&mut harness);
    let filters = commands(&engine, |command| match command {
        Command::Analyze { analysis, .. } => analysis.filter.clone(),
        _ => None,
    });
    assert!(filters.len() == 1 && filters[0].near_duplicates && !filters[0].contaminated);
    harness.get_by_label("371 rows written to kept.jsonl");
    harness.get_by_label_contains("near-duplicates of an earlier row");
    press(&mut harness, "Train on it");
    let train = &harness.state().state().project.config.data.train;
    assert_eq!(*train, [PathBuf::from("/out/kept.jsonl")]);
}

#[test]
fn an_analysis_is_stopped_and_a_run_is_not() {
    let engine = FakeEngine::new(|_| Vec::new());
    let mut harness = Window::default().open(&engine, &FakeDesktop::default());
    harness.run();
    harness.state().push(ui::action::Action::Edit(Box::new(crate::support::example())));
    harness.state().push(ui::action::Action::Open(ui::panels::data::PANEL.panel_id()));
    harness.run();
    press(&mut harness, "Analysis");
    press(&mut harness, "Analyse");
    let request = harness.state().state().data.analysis.work.request.unwrap();
    press(&mut harness, "Stop");
    assert_eq!(engine.traffic.borrow().wishes.last(), Some(&Wish::Cancel(request)));
    engine.tell(Event::Superseded { request });
    settle(&mut harness);
    harness.get_by_label("The analysis was stopped");
    press(&mut harness, "Analyse");
    let request = harness.state().state().data.analysis.work.request.unwrap();
    // A run must not end because of it.
    let update = protocol::RunEvent::Resumed { step: 1 };
    engine.tell(Event::Run { request: RequestId(800), run: protocol::RunId("r".into()), update });
    settle(&mut harness);
    press(&mut harness, "Stop");
    assert_eq!(engine.traffic.borrow().wishes.last(), Some(&Wish::Cancel(request)));
    assert!(!engine.traffic.borrow().wishes.contains(&Wish::Stop));
}

#[test]
fn what_the_model_finds_hard_is_asked_row_by_row() {
    for (language, show, legend) in [
        (Language::English, "How hard each token is", "loss in nats"),
        (Language::Chinese, "各词元的难度", "损失（nats）"),
    ] {
        let (mut harness, engine) = open(language);
        let asked = |engine: &FakeEngine| {
            commands(engine, |command| match command {
                Command::ScoreRow { row, live, .. } => Some((*row, *live)),
                _ => None,
            })
        };
        assert!(asked(&engine).is_empty());
        press(&mut harness, show);
        harness.get_by_label(legend);
        assert_eq!(asked(&engine), [(1, false)]);
        let next = ui::words::data::NEXT.get(language);
        press(&mut harness, next);
        settle(&mut harness);
        assert_eq!(asked(&engine), [(1, false), (2, false)]);
        press(&mut harness, ui::words::analysis::HEAT_OFF.get(language));
        assert!(harness.query_by_label(legend).is_none());
        press(&mut harness, next);
        assert_eq!(asked(&engine).len(), 2, "nobody looks");
    }
}

#[test]
fn the_data_is_converted_and_what_is_left_out_is_told() {
    let desktop = FakeDesktop::default();
    let (mut harness, engine) = Workshop::default().open_with(&Window::default(), &desktop);
    press(&mut harness, "Convert…");
    harness.get_by_label("Convert the data");
    harness.get_by_label("alpaca has no place for tools");
    let targets = commands(&engine, |command| match command {
        Command::PreviewConversion { convert, .. } => Some(convert.to.clone()),
        _ => None,
    });
    assert_eq!(targets, ["alpaca"], "another format than the file's own, asked once");
    press(&mut harness, "Write…");
    let paths = vec![PathBuf::from("/out/chats-alpaca.jsonl")];
    desktop.answers.borrow_mut().push(DesktopEvent::Picked { purpose: Purpose::ConvertedFile, paths });
    settle(&mut harness);
    harness.get_by_label_contains("398 rows written to chats-alpaca.jsonl");
    harness.get_by_label("2 rows left out: 12, 40");
    press(&mut harness, "Train on it");
    let data = &harness.state().state().project.config.data;
    assert_eq!(
        (data.train.as_slice(), data.format.as_str()),
        (&["/out/chats-alpaca.jsonl".into()][..], "auto")
    );
    assert!(harness.query_by_label("Convert the data").is_none());
}
