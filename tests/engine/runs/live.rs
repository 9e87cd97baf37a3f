//! Talking to a model while it is trained.

use std::path::PathBuf;

use protocol::{
    ChatMessage, Command, Event, GenerateRequest, ModelRef, Outcome, Prompt, RequestId, RunEvent, Sampling,
    ScoreRequest, StopReason, Wish,
};

use super::support::{Engine, Project, stepped};

const SETTINGS: &str = "max_steps = 6\neval_every = 4\nkeep_checkpoints = 9\n[method]\nkind = \"lora\"\ndropout = 0.1\n\
    targets = \"all-linear\"\n";

fn prompt(live: Option<bool>, tokens: u64) -> GenerateRequest {
    GenerateRequest {
        model: ModelRef::default(),
        adapter: None,
        live,
        prompt: Prompt::Messages(vec![ChatMessage { role: "user".into(), content: "ember wood".into() }]),
        sampling: Sampling { max_new_tokens: tokens, ignore_eos: true, ..Sampling::default() },
    }
}

fn ask(request: u64, generate: GenerateRequest) -> Command {
    Command::Generate { request: RequestId(request), generate }
}

fn step_of(event: &Event) -> Option<u64> {
    match event {
        Event::Run { update, .. } => stepped(update),
        _ => None,
    }
}

/// The ids of an answer, its text, and how it ended.
#[track_caller]
fn answer(events: &[Event], wanted: u64) -> (Vec<u32>, String, String) {
    let (mut told_ids, mut told_text) = (Vec::<u32>::new(), String::new());
    for event in events {
        match event {
            Event::Delta { request, text, ids } if request.0 == wanted => {
                told_ids.extend(ids);
                told_text += text;
            }
            Event::Generated { request, text, ids, stats } if request.0 == wanted => {
                assert_eq!((&told_text, told_ids.len()), (text, ids.len()), "the pieces are the answer");
                return (ids.clone(), text.clone(), stats.finish.clone());
            }
            _ => {}
        }
    }
    panic!("request {wanted} was not answered: {events:?}");
}

#[track_caller]
fn refusal(events: &[Event], wanted: u64) -> (usize, String) {
    let refused = |event: &Event| match event {
        Event::Failed { request: Some(request), error } if request.0 == wanted => Some(error.to_string()),
        _ => None,
    };
    let found = events.iter().enumerate().find_map(|(at, event)| Some((at, refused(event)?)));
    found.unwrap_or_else(|| panic!("request {wanted} was not refused"))
}

fn place(events: &[Event], is: impl Fn(&Event) -> bool) -> usize {
    events.iter().position(is).unwrap()
}

fn has_ended(event: &Event) -> bool {
    matches!(event, Event::Run { update: RunEvent::Ended { .. }, .. })
}

fn outcome(events: &[Event]) -> StopReason {
    match events.iter().find(|event| has_ended(event)) {
        Some(Event::Run {
            update: RunEvent::Ended { outcome: Outcome::Finished { reason, .. } }, ..
        }) => *reason,
        other => panic!("the run did not finish: {other:?}"),
    }
}

/// What a model folder and an adapter say, asked when no run is under way.
fn saved_answer(engine: &mut Engine, project: &Project, adapter: Option<PathBuf>) -> Vec<u32> {
    let mut generate = prompt(None, 12);
    generate.adapter = adapter.as_ref().map(|_| 0);
    generate.model = ModelRef {
        path: project.path("model"),
        adapters: adapter.into_iter().collect(),
        ..ModelRef::default()
    };
    engine.ask(
        |request| Command::Generate { request, generate },
        |event| match event {
            Event::Generated { ids, .. } => Some(ids),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        },
    )
}

#[test]
fn the_live_model_answers_as_its_checkpoint_of_the_same_step() {
    let project = Project::new();
    project.run(SETTINGS, "plain").finished();
    let mut engine = Engine::start();
    let events = engine.watch(project.start(SETTINGS, "a"), 1, |event, handle| {
        if step_of(event) == Some(3) {
            handle.control.save_now();
            let missing = ScoreRequest {
                model: ModelRef { path: project.path("model"), ..ModelRef::default() },
                input: project.path("missing.jsonl"),
                output: project.path("scores.jsonl"),
            };
            handle.send(Command::Score { request: RequestId(99), score: missing });
            handle.send(ask(100, prompt(Some(true), 12)));
            handle.send(ask(101, prompt(Some(false), 12)));
            handle.send(ask(102, prompt(None, 12)));
        }
    });
    assert_eq!(outcome(&events), StopReason::Completed);
    let (live, base) = (answer(&events, 100).0, answer(&events, 101).0);
    assert_eq!(live.len(), 12);
    assert_ne!(live, base, "this test wants a run that learns");
    let (refused, words) = refusal(&events, 102);
    assert!(words.contains("pause the run"), "{words}");
    assert!(refused < place(&events, |event| step_of(event) == Some(4)), "it waited for the run");
    let (failed, _) = refusal(&events, 99);
    assert!(failed > place(&events, has_ended), "what is not for the run is worked on after it");

    let checkpoint = project.path("a/checkpoints/step-00000003/adapter");
    assert_eq!(saved_answer(&mut engine, &project, Some(checkpoint)), live);
    assert_eq!(saved_answer(&mut engine, &project, None), base);
    assert_eq!(project.lines("plain"), project.lines("a"), "a talk changes nothing");
}

#[test]
fn full_fine_tuning_has_no_original_beside_it() {
    let project = Project::new();
    let settings = "max_steps = 3\n[method]\nkind = \"full\"\n";
    let events = Engine::start().watch(project.start(settings, "a"), 0, |event, handle| {
        if step_of(event) == Some(1) {
            handle.send(ask(100, prompt(Some(false), 4)));
            handle.send(ask(101, prompt(Some(true), 4)));
        }
    });
    assert_eq!(outcome(&events), StopReason::Completed);
    let (_, words) = refusal(&events, 100);
    assert!(words.contains("trains the model itself"), "{words}");
    assert_eq!(answer(&events, 101).0.len(), 4);
}

#[test]
fn without_a_run_there_is_no_live_model() {
    let words = Engine::start().ask(
        |request| Command::Generate { request, generate: prompt(Some(true), 4) },
        |event| match event {
            Event::Failed { error, .. } => Some(error.to_string()),
            _ => None,
        },
    );
    assert!(words.contains("No run is under way"), "{words}");
}

/// Hears a wish at an answer's first piece; gives what was told.
fn interrupted(project: &Project, out: &str, wish: Wish) -> Vec<Event> {
    Engine::start().watch(project.start(SETTINGS, out), 0, |event, handle| match event {
        Event::Delta { request: RequestId(100), .. } => handle.control.wish(wish),
        _ if step_of(event) == Some(2) => handle.send(ask(100, prompt(Some(true), 5000))),
        _ => {}
    })
}

#[test]
fn an_answer_can_be_stopped_and_the_run_goes_on() {
    let project = Project::new();
    let events = interrupted(&project, "a", Wish::StopAnswer);
    let (ids, _, finish) = answer(&events, 100);
    assert_eq!(finish, "stopped");
    assert!(ids.len() < 5000);
    assert_eq!(outcome(&events), StopReason::Completed);
    assert_eq!(events.iter().filter_map(step_of).next_back(), Some(6));
}

#[test]
fn a_stop_of_the_run_does_not_wait_for_the_answer() {
    let project = Project::new();
    let events = interrupted(&project, "a", Wish::Stop);
    assert_eq!(answer(&events, 100).2, "stopped");
    assert_eq!(outcome(&events), StopReason::Stopped);
    assert_eq!(events.iter().filter_map(step_of).next_back(), Some(2));
}

#[test]
fn a_paused_run_leaves_the_device_to_other_models() {
    let project = Project::new();
    project.run(SETTINGS, "plain").finished();
    let mut engine = Engine::start();
    let model = ModelRef { path: project.path("model"), ..ModelRef::default() };
    let events = engine.watch(project.start(SETTINGS, "a"), 0, |event, handle| match event {
        Event::Run { update: RunEvent::Paused { .. }, .. } => {
            handle.send(ask(100, prompt(Some(true), 12)));
            handle.send(ask(101, GenerateRequest { model: model.clone(), ..prompt(None, 12) }));
        }
        Event::Generated { .. } => handle.control.resume(),
        _ if step_of(event) == Some(3) => handle.control.pause(),
        _ => {}
    });
    assert_eq!(outcome(&events), StopReason::Completed);
    let (_, words) = refusal(&events, 100);
    assert!(words.contains("paused"), "{words}");
    let said = place(&events, |event| matches!(event, Event::Generated { .. }));
    assert!(
        said < place(&events, |event| matches!(event, Event::Run { update: RunEvent::Resumed { .. }, .. }))
    );
    assert_eq!(answer(&events, 101).0, saved_answer(&mut engine, &project, None));
    assert_eq!(project.lines("plain"), project.lines("a"));
}

#[test]
fn a_shutdown_ends_a_run_and_what_waits_behind_it() {
    let project = Project::new();
    let mut shut = false;
    let mut engine = Engine::start();
    let events = engine.watch(project.start(SETTINGS, "a"), 1, |event, handle| {
        if step_of(event) == Some(2) && !shut {
            shut = true;
            handle.send(Command::Shutdown);
        }
    });
    assert_eq!(outcome(&events), StopReason::Stopped);
    assert_eq!(events.iter().filter_map(step_of).next_back(), Some(2));
    assert_eq!(events.last(), Some(&Event::Stopped));
}
