//! What a model says of rows, held against torch and numpy (`tests/reference/make_ifd.py`), and through the engine.

use std::path::{Path, PathBuf};

use engine::analysis::k_center;
use protocol::{
    Analysis, AnalysisChecks, AnalysisRequest, Command, Event, FilterRequest, IfdPrompt, ModelRef, RequestId,
    RunConfig, TokenLosses,
};
use serde_json::Value;

use crate::common;
use crate::desk::config;
use crate::runs::support::{Engine, Project, stepped};

fn fixture(name: &str) -> PathBuf {
    common::root().join("tests/fixtures/reference/analysis").join(name)
}

/// The models whose figures are there: the starter, and a really trained one where it is at hand.
fn cases() -> Vec<(PathBuf, Value)> {
    let own = (common::root().join("assets/starter/model"), "starter.json");
    let real = common::shared("realdata/models/stories260K-hf").map(|model| (model, "stories260K.json"));
    common::skipped(usize::from(real.is_none()), "trained model whose IFD is known");
    let read = |(model, figures): (PathBuf, &str)| {
        (model, serde_json::from_slice(&std::fs::read(fixture(figures)).unwrap()).unwrap())
    };
    std::iter::once(own).chain(real).map(read).collect()
}

fn rows_with(model: &Path, max_length: u64) -> RunConfig {
    let mut config = *config("");
    config.model.path = model.to_path_buf();
    (config.data.train, config.data.max_length) = (vec![fixture("rows.jsonl")], max_length);
    // Rows without an answer are among them, and no template is needed.
    (config.data.template, config.data.allow_unlabelled) = ("alpaca".into(), true);
    config.data.validation = protocol::config::Validation::Fraction(0.0);
    config
}

fn analysed(
    engine: &mut Engine,
    config: RunConfig,
    checks: AnalysisChecks,
    filter: Option<FilterRequest>,
) -> Result<Analysis, String> {
    let request = AnalysisRequest { config: Box::new(config), base: "/".into(), checks, filter };
    engine.ask(
        |id| Command::Analyze { request: id, analysis: Box::new(request) },
        |event| match event {
            Event::Analyzed { analysis, .. } => Some(Ok(*analysis)),
            Event::Failed { error, .. } => Some(Err(error.to_string())),
            _ => None,
        },
    )
}

#[test]
fn ifd_is_that_of_torch() {
    for (model, figures) in cases() {
        let longest = figures["max_length"].as_u64().unwrap();
        for (name, prompt) in IfdPrompt::ALL.map(|prompt| (prompt.name(), prompt)) {
            let checks = AnalysisChecks { ifd: true, ifd_prompt: prompt, ..AnalysisChecks::default() };
            let analysis = analysed(&mut Engine::start(), rows_with(&model, longest), checks, None).unwrap();
            let report = analysis.ifd.unwrap();
            let expected = figures[name].as_array().unwrap();
            let scored = expected.iter().enumerate().filter(|(_, pair)| !pair.is_null());
            let expected_rows: Vec<u64> = scored.clone().map(|(row, _)| row as u64 + 1).collect();
            assert_eq!(report.scores.iter().map(|score| score.row).collect::<Vec<_>>(), expected_rows);
            assert_eq!(report.unscored, (expected.len() - expected_rows.len()) as u64);
            let mut worst = [0f64; 2];
            for (score, (_, pair)) in report.scores.iter().zip(scored) {
                let [conditioned, direct] = [0, 1].map(|at| pair[at].as_f64().unwrap());
                let away = (score.conditioned - conditioned).abs().max((score.direct - direct).abs());
                worst = [worst[0].max(away), worst[1].max((score.ifd - conditioned / direct).abs())];
            }
            println!(
                "{} {name}: {} rows scored, {} not; losses within {:.1e}, IFD within {:.1e}",
                model.display(),
                report.scores.len(),
                report.unscored,
                worst[0],
                worst[1]
            );
            assert!(worst[0] < 2e-5 && worst[1] < 1e-5, "{worst:?}");
        }
    }
}

#[test]
fn a_diverse_subset_is_that_of_numpy() {
    for (model, figures) in cases() {
        let longest = figures["max_length"].as_u64().unwrap();
        let expected: Vec<u64> = serde_json::from_value(figures["k_center"].clone()).unwrap();
        let checks = AnalysisChecks { diverse: Some(expected.len() as u64), ..AnalysisChecks::default() };
        let analysis = analysed(&mut Engine::start(), rows_with(&model, longest), checks, None).unwrap();
        let chosen = analysis.diverse.unwrap();
        // Rows that ask the same are equally far from all others: which of them is taken, the last bit of a sum decides.
        assert_eq!(questions(&chosen), questions(&expected), "{}", model.display());
    }
}

/// For each row (1-based), the first one that asks the same.
fn questions(rows: &[u64]) -> Vec<usize> {
    let text = std::fs::read_to_string(fixture("rows.jsonl")).unwrap();
    let asked = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        (row["instruction"].clone(), row["input"].clone())
    };
    let asked: Vec<_> = text.lines().map(asked).collect();
    let first = |row: &u64| asked.iter().position(|one| *one == asked[*row as usize - 1]).unwrap();
    rows.iter().map(first).collect()
}

/// A number below 1, decided by another.
fn random(seed: &mut u64) -> f32 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 40) as f32 / (1 << 24) as f32
}

/// All distances again at every choice, in f64.
fn naive(points: &[Vec<f64>], count: usize) -> Vec<usize> {
    let square = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum() };
    let mean: Vec<f64> = (0..points[0].len())
        .map(|at| points.iter().map(|point| point[at]).sum::<f64>() / points.len() as f64)
        .collect();
    let least = |a: &usize, b: &usize| square(&points[*a], &mean).total_cmp(&square(&points[*b], &mean));
    let mut chosen = vec![(0..points.len()).min_by(least).unwrap()];
    while chosen.len() < count {
        let far = |row: usize| {
            chosen.iter().map(|one| square(&points[row], &points[*one])).fold(f64::MAX, f64::min)
        };
        let rest: Vec<(f64, usize)> =
            (0..points.len()).filter(|row| !chosen.contains(row)).map(|row| (far(row), row)).collect();
        chosen.push(rest.iter().rev().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1);
    }
    chosen
}

#[test]
fn the_farthest_point_is_chosen_each_time_and_the_first_of_equal_ones() {
    for (total, width, count) in [(1, 3, 1), (700, 17, 60), (1300, 64, 40)] {
        let mut seed = total as u64;
        let mut points: Vec<f32> = (0..total * width).map(|_| random(&mut seed)).collect();
        // The last quarter repeats the first.
        let quarter = total / 4 * width;
        let end = points.len() - quarter;
        points.copy_within(..quarter, end);
        let exact: Vec<Vec<f64>> =
            points.chunks_exact(width).map(|point| point.iter().map(|x| f64::from(*x)).collect()).collect();
        let chosen = k_center(&points, width, count, &mut |_| true).unwrap();
        assert_eq!(chosen, naive(&exact, count), "{total} points of {width} numbers");
    }
    let same = vec![1.0; 12];
    assert_eq!(
        k_center(&same, 3, 9, &mut |_| true).unwrap(),
        [0, 1, 2, 3],
        "equal points are chosen once each"
    );
    assert_eq!(k_center(&[], 3, 2, &mut |_| true), Some(Vec::new()));
    assert_eq!(k_center(&same, 3, 4, &mut |done| done < 2), None, "it was stopped");
}

/// Says how long a large choice takes.
#[test]
#[ignore = "measures"]
fn choices_a_second() {
    let (total, width) = (50_000, 256);
    let mut seed = 1;
    let points: Vec<f32> = (0..total * width).map(|_| random(&mut seed)).collect();
    for count in [500, 5000] {
        let begun = std::time::Instant::now();
        assert_eq!(k_center(&points, width, count, &mut |_| true).unwrap().len(), count);
        println!("{count} of {total} points of {width} numbers: {:.1} s", begun.elapsed().as_secs_f64());
    }
}

#[test]
fn a_filtered_file_holds_the_rows_as_they_stand_and_the_reasons_beside_it() {
    let project = Project::new();
    let rows = [
        "{\"b\":1.50,\"instruction\":\"say the first thing\",\"input\":\"\",\"output\":\"the first thing is said here\"}",
        "{\"instruction\":\"say the first thing\",\"input\":\"\",\"output\":\"The first thing is said here!\"}",
        "not a row",
        "{\"instruction\":\"say another thing\",\"input\":\"\",\"output\":\"an altogether different answer\"}",
    ];
    project.write("rows.jsonl", &(rows.join("\n") + "\n"));
    let mut config = *config("[data]\ntrain = [\"rows.jsonl\"]\ntemplate = \"alpaca\"\nvalidation = 0.0\n");
    (config.model.path, config.data.train) = (project.path("model"), vec![project.path("rows.jsonl")]);
    let checks = AnalysisChecks { near_duplicates: Some(0.8), ..AnalysisChecks::default() };
    let filter =
        FilterRequest { out: project.path("kept.jsonl"), near_duplicates: true, ..FilterRequest::default() };
    let mut engine = Engine::start();
    let analysis = analysed(&mut engine, config.clone(), checks.clone(), Some(filter.clone())).unwrap();
    let report = analysis.filtered.unwrap();
    assert_eq!(
        (report.kept, report.dropped.iter().map(|(_, count)| *count).collect::<Vec<_>>()),
        (2, vec![1, 1])
    );
    let kept = std::fs::read_to_string(&report.out).unwrap();
    assert_eq!(kept, format!("{}\n{}\n", rows[0].replace("1.50", "1.5"), rows[3]));
    assert_eq!(report.reasons, project.path("kept.reasons.jsonl"));
    let reasons = std::fs::read_to_string(&report.reasons).unwrap();
    let reasons: Vec<Value> = reasons.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> =
        reasons.iter().map(|one| (one["row"].as_u64().unwrap(), one["reason"].as_str().unwrap())).collect();
    assert_eq!(told, [(2, "near-duplicate"), (3, "unusable")]);
    assert_eq!(reasons[0]["told"]["en"], "as row 1, similarity 1.000");
    // What is there is not overwritten, whichever of the two it is.
    let refused = analysed(&mut engine, config.clone(), checks.clone(), Some(filter.clone())).unwrap_err();
    assert!(refused.contains("kept.jsonl") && refused.contains("not overwritten"), "{refused}");
    std::fs::remove_file(&report.out).unwrap();
    let refused = analysed(&mut engine, config.clone(), checks, Some(filter.clone())).unwrap_err();
    assert!(refused.contains("kept.reasons.jsonl"), "{refused}");
    let refused = analysed(&mut engine, config, AnalysisChecks::default(), Some(filter)).unwrap_err();
    assert!(refused.contains("not looked for"), "{refused}");
}

#[test]
fn a_later_preview_does_not_void_an_analysis() {
    let project = Project::new();
    let mut config = *config("");
    (config.model.path, config.data.train) = (project.path("model"), vec![project.path("data.jsonl")]);
    let mut engine = Engine::start();
    let control = engine.control();
    let request = AnalysisRequest {
        config: Box::new(config),
        base: project.path(""),
        checks: AnalysisChecks::default(),
        filter: None,
    };
    let rows = engine.ask(
        |id| {
            control.wish(protocol::Wish::Supersede(RequestId(id.0 + 10)));
            Command::Analyze { request: id, analysis: Box::new(request) }
        },
        |event| match event {
            Event::Analyzed { analysis, .. } => Some(analysis.rows),
            Event::Failed { error, .. } => panic!("{error}"),
            Event::Superseded { .. } => panic!("it was voided"),
            _ => None,
        },
    );
    assert_eq!(rows, 22);
}

fn row_of(project: &Project, row: u64, model: ModelRef, live: bool) -> impl FnOnce(RequestId) -> Command {
    let (config, base) = (config(""), project.path(""));
    move |request| Command::ScoreRow { request, config, base, row, model, live }
}

fn answered(event: Event) -> Option<Result<TokenLosses, String>> {
    match event {
        Event::RowScored { losses, .. } => Some(Ok(*losses)),
        Event::Failed { error, .. } => Some(Err(error.to_string())),
        _ => None,
    }
}

fn model(project: &Project, adapter: Option<PathBuf>) -> ModelRef {
    ModelRef { path: project.path("model"), adapters: adapter.into_iter().collect(), ..ModelRef::default() }
}

const SETTINGS: &str = "max_steps = 4\nlearning_rate = 2e-2\nkeep_checkpoints = 9\n[method]\nkind = \"lora\"\ntargets = \"all-linear\"\n";

#[test]
fn every_token_of_a_row_has_its_loss() {
    let project = Project::new();
    let mut engine = Engine::start();
    let losses = engine.ask(row_of(&project, 3, model(&project, None), false), answered).unwrap();
    let count = losses.ids.len();
    assert_eq!(losses.row, 3);
    assert_eq!(
        [losses.tokens.len(), losses.losses.len(), losses.best.len(), losses.loss_mask.len()],
        [count; 4]
    );
    assert!(losses.losses[0].is_none() && losses.best[0].is_none());
    assert!(losses.losses[1..].iter().all(|loss| loss.is_some_and(|loss| loss.is_finite() && loss >= 0.0)));
    assert!(
        losses.loss_mask.iter().any(|learned| *learned) && losses.loss_mask.iter().any(|learned| !learned)
    );
    // The same as the file of scores says.
    project.write("ids.jsonl", &(serde_json::json!({ "ids": losses.ids }).to_string() + "\n"));
    let score = protocol::ScoreRequest {
        model: model(&project, None),
        input: project.path("ids.jsonl"),
        output: project.path("scores.jsonl"),
    };
    engine.ask(
        |request| Command::Score { request, score },
        |event| matches!(event, Event::Scored { .. } | Event::Failed { .. }).then_some(()),
    );
    let scores: Value =
        serde_json::from_str(&std::fs::read_to_string(project.path("scores.jsonl")).unwrap()).unwrap();
    for (loss, logprob) in losses.losses.iter().zip(scores["logprobs"].as_array().unwrap()).skip(1) {
        assert!((f64::from(loss.unwrap()) + logprob.as_f64().unwrap()).abs() < 1e-6);
    }
    let refused = engine.ask(row_of(&project, 23, model(&project, None), false), answered).unwrap_err();
    assert!(refused.contains("no row 23"), "{refused}");
    let refused = engine.ask(row_of(&project, 1, ModelRef::default(), true), answered).unwrap_err();
    assert!(refused.contains("No run is under way"), "{refused}");
}

#[test]
fn a_row_is_scored_by_the_live_model_as_by_its_checkpoint() {
    let project = Project::new();
    let mut engine = Engine::start();
    let ask = |request: u64, live: bool| row_of(&project, 5, model(&project, None), live)(RequestId(request));
    let events = engine.watch(project.start(SETTINGS, "a"), 0, |event, handle| {
        let step = match event {
            Event::Run { update, .. } => stepped(update),
            _ => None,
        };
        if step == Some(3) {
            handle.control.save_now();
            handle.send(ask(100, true));
            handle.send(ask(101, false));
        }
    });
    let find = |wanted: u64| {
        let of = |event: &Event| event.request().is_some_and(|request| request.0 == wanted);
        events.iter().filter(|event| of(event)).cloned().find_map(answered).unwrap()
    };
    let live = find(100).unwrap();
    assert!(find(101).unwrap_err().contains("belongs to the run"));
    let saved = Some(project.path("a/checkpoints/step-00000003/adapter"));
    let after = engine.ask(row_of(&project, 5, model(&project, saved), false), answered).unwrap();
    let before = engine.ask(row_of(&project, 5, model(&project, None), false), answered).unwrap();
    assert_eq!((&live.ids, &live.loss_mask), (&after.ids, &after.loss_mask));
    let away = |a: &TokenLosses, b: &TokenLosses| {
        let pairs = a.losses.iter().flatten().zip(b.losses.iter().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(away(&live, &after) < 1e-5, "{}", away(&live, &after));
    assert!(away(&live, &before) > 1e-3, "the run has learned something");
}
