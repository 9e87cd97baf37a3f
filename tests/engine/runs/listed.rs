//! Run folders through the engine: listed, read, removed; and run files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use engine::files::RunLock;
use protocol::config::{Validation, parse_run_file};
use protocol::{
    Command, EvalMetrics, Event, RequestId, RunConfig, RunReport, RunState, SampleMetrics, StepMetrics,
    UserError,
};

use super::support::{Engine, Project};

fn list(engine: &mut Engine, dir: &Path) -> Vec<RunReport> {
    let dir = Some(dir.to_owned());
    engine.ask(
        |request| Command::ListRuns { request, dir },
        |event| match event {
            Event::Runs { runs, .. } => Some(runs),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        },
    )
}

/// Asks and gets the answer, or the error.
fn answer(engine: &mut Engine, command: impl FnOnce(RequestId) -> Command) -> Result<Event, UserError> {
    engine.ask(command, |event| match event {
        Event::Failed { error, .. } => Some(Err(*error)),
        Event::Deleted { .. } | Event::ProjectRead { .. } | Event::ProjectWritten { .. } => Some(Ok(event)),
        _ => None,
    })
}

fn step(step: u64, loss: f64) -> String {
    let metrics = StepMetrics {
        step,
        epoch: step as f64 / 100.0,
        tokens: 64,
        loss,
        lr: 1e-4,
        grad_norm: 0.5,
        loss_scale: None,
        tokens_per_s: 1000.0,
        mem_bytes: 1 << 30,
        seconds: step as f64,
        phases: None,
        skipped: !loss.is_finite(),
    };
    serde_json::to_string(&metrics).unwrap() + "\n"
}

/// A run folder as a run of so many steps leaves it, without the weights.
fn made_up(dir: &Path, name: &str, plan: &str, steps: u64) -> PathBuf {
    let run = dir.join(name);
    std::fs::create_dir_all(&run).unwrap();
    std::fs::write(run.join("plan.json"), plan).unwrap();
    std::fs::write(run.join("run.lock"), "1").unwrap();
    let lines: String = (1..=steps).map(|n| step(n, 3.0 - n as f64 / steps as f64)).collect();
    std::fs::write(run.join("metrics.jsonl"), lines).unwrap();
    run
}

#[test]
fn a_list_tells_what_runs_hold_and_survives_damage() {
    let project = Project::new();
    project.run("max_steps = 8\neval_every = 4\nsave_every = 4\n", "runs/good").finished();
    let runs = project.path("runs");
    let plan = std::fs::read_to_string(runs.join("good/plan.json")).unwrap();
    for (name, file, text) in [
        ("broken", "plan.json", "{\"config\": 3"),
        ("empty", "plan.json", ""),
        ("stranger", "notes.txt", "mine"),
        (".hidden.tmp-removed-1", "plan.json", plan.as_str()),
        ("fresh", "plan.json", plan.as_str()),
    ] {
        std::fs::create_dir_all(runs.join(name)).unwrap();
        std::fs::write(runs.join(name).join(file), text).unwrap();
    }
    std::fs::write(runs.join("a-file"), "x").unwrap();
    std::fs::create_dir_all(runs.join("odd/plan.json")).unwrap();
    let cut = made_up(&runs, "cut", &plan, 200);
    let half = std::fs::read(cut.join("metrics.jsonl")).unwrap();
    let half = [b"\xff\xfe\n", &half[..half.len() - 30]].concat();
    std::fs::write(cut.join("metrics.jsonl"), half).unwrap();

    let mut engine = Engine::start();
    let listed = list(&mut engine, &runs);
    let mut names: Vec<_> = listed.iter().map(|run| run.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["cut", "fresh", "good"]);
    let of = |listed: &[RunReport], name: &str| listed.iter().find(|run| run.name == name).unwrap().clone();

    let good = of(&listed, "good");
    assert_eq!((good.state, good.step, good.total_steps), (RunState::Finished, 8, 8));
    assert_eq!(good.curve.iter().map(|(step, _)| *step).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert_eq!(good.last_loss, good.curve.last().map(|(_, loss)| *loss));
    assert_eq!(good.checkpoints.iter().map(|point| point.step).collect::<Vec<_>>(), [4, 8]);
    assert!(good.checkpoints.iter().all(|point| point.bytes > 1000 && point.eval_loss.is_some()));
    assert_eq!(good.checkpoints.iter().filter(|point| point.best).count(), 1);
    assert_eq!(good.result, Some(runs.join("good/adapter")));
    assert!(good.best_eval_loss.unwrap() <= good.last_eval_loss.unwrap());
    assert!(good.bytes > good.checkpoints.iter().map(|point| point.bytes).sum());
    assert!(good.started.is_some_and(|started| started.starts_with("20")) && good.seconds > 0.0);
    assert_eq!((good.base.as_path(), good.config.train.max_steps), (project.dir.path(), 8));

    assert_eq!((of(&listed, "fresh").state, of(&listed, "fresh").step), (RunState::Empty, 0));
    let cut = of(&listed, "cut");
    assert_eq!((cut.state, cut.step, cut.curve.len()), (RunState::Empty, 199, 64));

    std::fs::remove_dir_all(runs.join("good/adapter")).unwrap();
    let lock = RunLock::acquire(&runs.join("good")).unwrap();
    assert_eq!(of(&list(&mut engine, &runs), "good").state, RunState::Running);
    drop(lock);
    assert_eq!(of(&list(&mut engine, &runs), "good").state, RunState::Unfinished);
    assert_eq!(list(&mut engine, &project.path("nowhere")), []);
}

#[test]
fn hundreds_of_runs_are_listed_at_once() {
    let project = Project::new();
    project.run("max_steps = 1\n", "one").finished();
    let plan = std::fs::read_to_string(project.path("one/plan.json")).unwrap();
    let runs = project.path("runs");
    for n in 0..300 {
        made_up(&runs, &format!("run-{n:03}"), &plan, 2000);
    }
    let mut engine = Engine::start();
    let began = Instant::now();
    assert_eq!(list(&mut engine, &runs).len(), 300);
    let first = began.elapsed();
    // One goes on, the others have not changed.
    let grown = std::fs::read_to_string(runs.join("run-007/metrics.jsonl")).unwrap() + &step(2001, 1.5);
    std::fs::write(runs.join("run-007/metrics.jsonl"), grown).unwrap();
    let began = Instant::now();
    let listed = list(&mut engine, &runs);
    let second = began.elapsed();
    println!("300 runs of 2 000 steps: {first:?}, again {second:?}");
    assert_eq!(listed.iter().find(|run| run.name == "run-007").unwrap().step, 2001);
    assert!(first.as_secs_f64() < 5.0 && second < first / 2);
}

#[test]
fn a_history_comes_in_parts_and_whole() {
    let project = Project::new();
    project.run("max_steps = 1\n", "one").finished();
    let plan = std::fs::read_to_string(project.path("one/plan.json")).unwrap();
    let run = made_up(&project.path("runs"), "long", &plan, 0);
    let mut text = String::new();
    for n in 1..=25_003 {
        text += &step(n, if n % 1000 == 0 { f64::NAN } else { 2.0 });
        if n % 5000 == 0 {
            let eval =
                EvalMetrics { step: n, epoch: 1.0, eval_loss: f64::INFINITY, eval_tokens: 9, best: false };
            writeln!(text, "{}", serde_json::to_string(&protocol::MetricsLine::from(eval)).unwrap()).unwrap();
            let sample = SampleMetrics { step: n, prompt: "问".into(), answer: "答\n".into() };
            writeln!(text, "{}", serde_json::to_string(&protocol::MetricsLine::from(sample)).unwrap())
                .unwrap();
        }
    }
    std::fs::write(run.join("metrics.jsonl"), text + "{\"step\": 25004, \"epo").unwrap();
    let (mut sizes, mut steps, mut evals, mut samples) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let report = Engine::start().ask(
        |request| Command::ReadRun { request, dir: run.clone() },
        |event| match event {
            Event::RunRead { steps: some, evals: judged, samples: said, report, .. } => {
                sizes.push(some.len());
                steps.extend(some);
                evals.extend(judged);
                samples.extend(said);
                report
            }
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        },
    );
    assert_eq!(sizes, [10_000, 10_000, 5_003]);
    assert!(steps.iter().map(|step| step.step).eq(1..=25_003));
    assert_eq!(steps.iter().filter(|step| step.loss.is_nan() && step.skipped).count(), 25);
    assert_eq!((evals.len(), samples.len()), (5, 5));
    assert!(evals.iter().all(|eval| !eval.eval_loss.is_finite()));
    assert_eq!((report.step, report.curve.len(), report.best_eval_loss), (25_003, 64, None));
}

#[test]
fn only_a_run_that_nobody_works_in_is_removed() {
    let project = Project::new();
    project.run("max_steps = 2\n", "runs/a").finished();
    let mut engine = Engine::start();
    let mut delete = |dir: PathBuf| answer(&mut engine, |request| Command::DeleteRun { request, dir });
    for wrong in ["model", "data.jsonl", "runs", "runs/nowhere", ""] {
        assert_eq!(delete(project.path(wrong)).unwrap_err().exit_code(), 2, "{wrong}");
    }
    assert!(project.path("model/config.json").exists() && project.path("data.jsonl").exists());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(project.path("runs/a"), project.path("runs/link")).unwrap();
        assert!(delete(project.path("runs/link")).unwrap_err().what.en.contains("link"));
        std::fs::remove_file(project.path("runs/link")).unwrap();
        // A link within a run is removed, what it points to is not.
        std::os::unix::fs::symlink(project.path("model"), project.path("runs/a/model-link")).unwrap();
    }
    let lock = RunLock::acquire(&project.path("runs/a")).unwrap();
    assert!(delete(project.path("runs/a")).unwrap_err().what.en.contains("in use"));
    drop(lock);
    assert!(project.path("runs/a/adapter").exists());
    delete(project.path("runs/a")).unwrap();
    assert_eq!(project.names("runs"), [] as [&str; 0]);
    assert!(project.path("model/config.json").exists());
}

#[test]
fn a_project_comes_back_to_the_same_settings() {
    let project = Project::new();
    project.write("my.jinja", "{{ messages }}");
    let mut inside = RunConfig::default();
    inside.model.path = "model".into();
    inside.data.train = vec!["data.jsonl".into(), "../elsewhere.csv".into(), project.path("deep/er/b.json")];
    inside.data.template = "my.jinja".into();
    inside.method.init_from = "/somewhere/else".into();
    inside.method.params.insert("rank".into(), 4.into());
    let mut validated = inside.clone();
    validated.data.validation = Validation::Files(vec!["held out.jsonl".into()]);
    validated.data.template = "chatml".into();
    let mut written = RunConfig::default();
    written.data.template = "{% for m in messages %}{{ m.content }}\n{% endfor %}".into();
    let mut engine = Engine::start();
    for (n, config) in [inside.clone(), validated, written, RunConfig::default()].into_iter().enumerate() {
        for folder in ["", "deep", "other/place"] {
            let path = project.path(folder).join(format!("p{n}.toml"));
            let (base, boxed) = (project.dir.path().to_owned(), Box::new(config.clone()));
            let at = path.clone();
            answer(&mut engine, |request| Command::WriteProject {
                request,
                path: at,
                config: boxed,
                base: base.clone(),
            })
            .unwrap();
            let at = path.clone();
            let read = answer(&mut engine, |request| Command::ReadProject { request, path: at }).unwrap();
            let Event::ProjectRead { config: back, .. } = read else { panic!("{read:?}") };
            let resolved = |config: &RunConfig, base: &Path| {
                let mut config = engine::plan::absolute(config.clone(), base);
                if config.data.template.ends_with(".jinja") {
                    let file = base.join(&config.data.template);
                    assert!(file.is_file(), "{}", file.display());
                    config.data.template = std::fs::canonicalize(file).unwrap().display().to_string();
                }
                config
            };
            assert_eq!(resolved(&back, path.parent().unwrap()), resolved(&config, &base));
        }
    }
    let text = std::fs::read_to_string(project.path("p0.toml")).unwrap();
    assert!(text.contains("path = \"model\"") && text.contains("\"deep/er/b.json\""), "{text}");
    assert!(text.contains("template = \"my.jinja\""), "{text}");
    assert_eq!(parse_run_file(&text, Path::new("p0.toml")).unwrap().data.train[0], Path::new("data.jsonl"));

    project.write("bad.toml", "[train]\nepocs = 3\n");
    let path = project.path("bad.toml");
    let error = answer(&mut engine, |request| Command::ReadProject { request, path }).unwrap_err();
    assert!(error.to_string().contains("`epochs`"), "{error}");
    // What cannot be written leaves the old file as it was.
    let mut impossible = inside;
    impossible.model.overrides.insert("x".into(), serde_json::Value::Null);
    let (path, base) = (project.path("p0.toml"), project.dir.path().to_owned());
    let command = |request| Command::WriteProject { request, path, config: Box::new(impossible), base };
    assert!(answer(&mut engine, command).unwrap_err().to_string().contains("model.overrides.x"));
    assert_eq!(std::fs::read_to_string(project.path("p0.toml")).unwrap(), text);
}
