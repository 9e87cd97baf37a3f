//! Answers to `train.samples`.

use protocol::{
    ChatMessage, Command, Event, GenerateRequest, MetricsLine, ModelRef, Prompt, RunEvent, SampleMetrics,
    Sampling, StopReason,
};

use super::support::{Engine, Project, Told, stepped};

const SETTINGS: &str =
    "max_steps = 7\neval_every = 3\nsamples = [\"ember light\", \"river\"]\nsample_tokens = 6\n";

fn sampled(project: &Project, run: &str) -> Vec<SampleMetrics> {
    let text = std::fs::read_to_string(project.path(run).join("metrics.jsonl")).unwrap();
    let sample = |line: &str| match serde_json::from_str(line).unwrap() {
        MetricsLine::Sample { sample, .. } => Some(sample),
        _ => None,
    };
    text.lines().filter_map(sample).collect()
}

fn told(told: &Told) -> Vec<SampleMetrics> {
    let sample = |update: &RunEvent| match update {
        RunEvent::Sampled { sample } => Some(sample.clone()),
        _ => None,
    };
    told.updates.iter().filter_map(sample).collect()
}

/// What the untrained model says, asked as a client asks.
fn greedy(project: &Project, prompt: &str) -> String {
    let sampling = Sampling { temperature: 0.0, top_p: 1.0, max_new_tokens: 6, ..Sampling::default() };
    let generate = GenerateRequest {
        model: ModelRef { path: project.path("model"), ..ModelRef::default() },
        adapter: None,
        live: None,
        prompt: Prompt::Messages(vec![ChatMessage { role: "user".into(), content: prompt.into() }]),
        sampling,
    };
    Engine::start().ask(
        |request| Command::Generate { request, generate },
        |event| match event {
            Event::Generated { text, .. } => Some(text),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        },
    )
}

#[test]
fn samples_are_taken_before_the_first_update_and_at_each_evaluation() {
    let project = Project::new();
    let run = project.run(SETTINGS, "a");
    assert_eq!(run.finished().0, StopReason::Completed);
    let samples = sampled(&project, "a");
    assert_eq!(told(&run), samples);
    let asked: Vec<(u64, &str)> =
        samples.iter().map(|sample| (sample.step, sample.prompt.as_str())).collect();
    let expected: Vec<(u64, &str)> =
        [0, 3, 6, 7].into_iter().flat_map(|step| [(step, "ember light"), (step, "river")]).collect();
    assert_eq!(asked, expected);
    for sample in &samples[..2] {
        assert_eq!(sample.answer, greedy(&project, &sample.prompt));
    }
    assert!(samples.iter().any(|sample| sample.answer != samples[0].answer), "{samples:?}");
    // They are asked about; they change nothing.
    project.run(&SETTINGS.replace("samples =", "# samples ="), "without").finished();
    let mut lines = project.lines("a");
    lines.retain(|line| !line.contains("\"kind\":\"sample\""));
    assert_eq!(lines, project.lines("without"));
}

#[test]
fn a_resumed_run_doubles_no_sample() {
    let project = Project::new();
    project.run(SETTINGS, "whole").finished();
    let mut engine = Engine::start();
    // Before the samples of step 0, between two evaluations, and before the samples of step 6.
    let mut wanted = |step: u64| {
        let command: Box<dyn FnOnce(protocol::RequestId) -> protocol::RunCommand> = match step {
            0 => Box::new(project.start(SETTINGS, "cut")),
            _ => Box::new(project.resume("cut")),
        };
        let part = engine.run(command, |update, control| {
            let planned = step == 0 && matches!(update, RunEvent::Planned { .. });
            if planned || stepped(update) == Some(step) {
                control.stop();
            }
        });
        assert_eq!(part.finished().0, StopReason::Stopped, "{step}");
    };
    [0, 4, 6].into_iter().for_each(&mut wanted);
    engine.run(project.resume("cut"), |_, _| {}).finished();
    assert_eq!(project.lines("whole"), project.lines("cut"));
}

#[test]
fn without_validation_rows_there_are_samples_all_the_same() {
    let project = Project::new();
    project.run(&format!("{SETTINGS}[data]\nvalidation = 0.0\n"), "a").finished();
    let steps: Vec<u64> = sampled(&project, "a").iter().map(|sample| sample.step).collect();
    assert_eq!(steps, [0, 0, 3, 3, 6, 6, 7, 7]);
    assert!(!project.lines("a").iter().any(|line| line.contains("eval_loss")));
}
