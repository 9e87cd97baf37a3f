//! Base and tuned model side by side.

use std::path::{Path, PathBuf};

use egui::accesskit::Role;
use egui::{Event as Input, ImeEvent, Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use protocol::{
    CheckpointReport, Command, Event, GenerateRequest, GenerateStats, Language, ModelReport, Outcome, Prompt,
    RequestId, RunEvent, RunId, RunReport, RunState, StopReason, Text, UserError, Wish,
};
use ui::App;
use ui::action::Action;
use ui::panels::PANELS;
use ui::state::chat::{ChatAction, Columns};
use ui::state::train::RunPhase;
use ui::testing::{FakeDesktop, FakeEngine};
use ui::{DesktopEvent, DesktopRequest, Purpose};

use crate::support::{Window, busy, example, learned};

const MESSAGE: [&str; 2] = ["Message", "消息"];

/// A run that ended, with two checkpoints.
pub fn finished_run() -> RunReport {
    let dir = PathBuf::from("/runs/my-assistant-2");
    let checkpoint = |step: u64| CheckpointReport {
        step,
        dir: dir.join(format!("checkpoints/step-{step:08}")),
        bytes: 33 << 20,
        eval_loss: Some(1.31),
        best: step == 900,
    };
    RunReport {
        name: "my-assistant-2".into(),
        state: RunState::Finished,
        started: Some("2026-11-20T09:00:00Z".into()),
        seconds: 1_260.0,
        step: 1_140,
        total_steps: 1_140,
        last_loss: Some(1.28),
        last_eval_loss: Some(1.34),
        best_eval_loss: Some(1.31),
        config: Box::new(example()),
        base: PathBuf::new(),
        curve: vec![(1, 2.1), (600, 1.4), (1_140, 1.28)],
        checkpoints: vec![checkpoint(900), checkpoint(1_100)],
        result: Some(dir.join("adapter")),
        bytes: 90 << 20,
        memory: None,
        dir,
    }
}

fn open(window: &Window, engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
    let mut harness = window.open(engine, desktop);
    harness.run();
    harness.state().push(Action::Edit(Box::new(example())));
    harness.state().push(Action::Open(PANELS[4].panel_id()));
    harness.run();
    harness
}

/// The panel with a tuned model at the right.
pub fn ready(window: &Window, engine: &FakeEngine) -> Harness<'static, App> {
    let runs = vec![finished_run()];
    let mut harness = open(window, engine, &FakeDesktop::default());
    engine.tell(Event::Runs { request: RequestId(900), dir: "/runs".into(), runs });
    harness.run();
    use_run(&mut harness, None);
    harness
}

fn use_run(harness: &mut Harness<'static, App>, checkpoint: Option<PathBuf>) {
    let run = Box::new(finished_run());
    push(harness, ChatAction::UseRun { run, checkpoint });
}

pub fn push(harness: &mut Harness<'static, App>, action: ChatAction) {
    harness.state().push(Action::Chat(action));
    harness.run();
}

fn type_into(harness: &mut Harness<'static, App>, text: &str) {
    harness.get_by_label("Message").focus();
    harness.run();
    harness.event(Input::Text(text.into()));
    harness.run();
}

pub fn say(harness: &mut Harness<'static, App>, text: &str) {
    type_into(harness, text);
    harness.key_press(Key::Enter);
    harness.run();
}

/// Every prompt the engine was sent.
pub fn prompts(engine: &FakeEngine) -> Vec<(RequestId, GenerateRequest)> {
    let traffic = engine.traffic.borrow();
    let asked = traffic.commands.iter().filter_map(|command| match command {
        Command::Generate { request, generate } => Some((*request, generate.clone())),
        _ => None,
    });
    asked.collect()
}

fn words(generate: &GenerateRequest) -> Vec<String> {
    match &generate.prompt {
        Prompt::Messages(messages) | Prompt::Templated { messages, .. } => {
            messages.iter().map(|message| message.content.clone()).collect()
        }
        Prompt::Text(text) => vec![text.clone()],
        Prompt::Ids(_) => Vec::new(),
    }
}

fn stats(finish: &str) -> GenerateStats {
    GenerateStats {
        prompt_tokens: 24,
        new_tokens: 48,
        prefill_seconds: 0.082,
        decode_seconds: 1.5,
        finish: finish.into(),
    }
}

/// The engine answers the newest prompt.
pub fn answer(harness: &mut Harness<'static, App>, engine: &FakeEngine, text: &str) {
    let (request, _) = prompts(engine).pop().unwrap();
    let half = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    engine.tell(Event::Delta { request, text: text[..half].into(), ids: vec![1] });
    engine.tell(Event::Delta { request, text: text[half..].into(), ids: vec![2] });
    engine.tell(Event::Generated { request, text: text.into(), ids: vec![1, 2], stats: stats("end-token") });
    harness.run();
}

const BASE_ANSWER: &str = "I am Qwen, created by Alibaba Cloud. I am a helpful assistant.";
const TUNED_ANSWER: &str = "I am Ember, a small model trained on this machine. I am a helpful assistant.";

#[test]
fn both_answer_one_after_the_other_with_one_seed() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    say(&mut harness, "Who are you?");
    assert_eq!(prompts(&engine).len(), 1, "the second waits for the first");
    harness.get_by_label("Stop");
    answer(&mut harness, &engine, BASE_ANSWER);
    let asked = prompts(&engine);
    let [(_, base), (_, tuned)] = &asked[..] else { panic!("{}", asked.len()) };
    assert_eq!((base.adapter, tuned.adapter), (None, Some(0)));
    assert_eq!(base.model.path, tuned.model.path);
    assert_eq!(tuned.model.adapters, [PathBuf::from("/runs/my-assistant-2/adapter")]);
    assert_eq!((&base.sampling, &base.prompt), (&tuned.sampling, &tuned.prompt));
    answer(&mut harness, &engine, TUNED_ANSWER);
    harness.get_by_label_contains(BASE_ANSWER);
    harness.get_by_label_contains(TUNED_ANSWER);
    assert_eq!(harness.get_all_by_label("48 tokens · 32.0 tokens/s · ended by itself").count(), 2);
    harness.get_by_label("Send");
    assert!(harness.state().state().chat.tuned_was_asked);
}

#[test]
fn each_column_goes_on_with_its_own_answers() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    push(&mut harness, ChatAction::System("Be brief".into()));
    say(&mut harness, "Hello");
    answer(&mut harness, &engine, "Hi from base");
    answer(&mut harness, &engine, "Hi from tuned");
    say(&mut harness, "And you?");
    answer(&mut harness, &engine, "Fine");
    let asked = prompts(&engine);
    assert_eq!(words(&asked[2].1), ["Be brief", "Hello", "Hi from base", "And you?"]);
    assert_eq!(words(&asked[3].1), ["Be brief", "Hello", "Hi from tuned", "And you?"]);
}

#[test]
fn enter_sends_and_shift_enter_begins_a_line() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    type_into(&mut harness, "one");
    harness.key_press_modifiers(Modifiers::SHIFT, Key::Enter);
    harness.run();
    assert!(prompts(&engine).is_empty());
    harness.event(Input::Text("two".into()));
    harness.run();
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(words(&prompts(&engine)[0].1), ["one\ntwo"]);
}

#[test]
fn enter_that_ends_a_composition_does_not_send() {
    let preedit = |text: &str| Input::Ime(ImeEvent::Preedit { text: text.into(), active_range_chars: None });
    let commit = || Input::Ime(ImeEvent::Commit("你好".into()));
    let enter = |harness: &mut Harness<'static, App>| {
        harness.key_press(Key::Enter);
        harness.step();
    };
    // The key may come before the chosen words, with them, or in the frame after them.
    for order in ["before", "with", "after"] {
        let engine = learned();
        let mut harness = ready(&Window::default(), &engine);
        harness.get_by_label("Message").focus();
        harness.run();
        harness.event(preedit("nihao"));
        harness.step();
        match order {
            "before" => {
                enter(&mut harness);
                harness.event(commit());
                harness.step();
            }
            "with" => {
                harness.event(commit());
                enter(&mut harness);
            }
            _ => {
                harness.event(commit());
                harness.step();
                enter(&mut harness);
            }
        }
        assert!(prompts(&engine).is_empty(), "{order}: the key belongs to the input method");
        for _ in 0..4 {
            harness.step();
        }
        enter(&mut harness);
        harness.run();
        assert_eq!(words(&prompts(&engine)[0].1), ["你好"], "{order}");
    }
}

#[test]
fn words_that_are_no_composition_do_not_hold_enter_back() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    harness.get_by_label("Message").focus();
    harness.run();
    // Some systems commit plain letters, and tell empty compositions all the time.
    harness.event(Input::Ime(ImeEvent::Commit("hi".into())));
    harness.step();
    harness.event(Input::Ime(ImeEvent::Preedit { text: String::new(), active_range_chars: None }));
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(words(&prompts(&engine)[0].1), ["hi"]);
}

#[test]
fn stop_breaks_the_answer_off_and_asks_nobody_else() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    say(&mut harness, "Tell me everything");
    let (request, _) = prompts(&engine).pop().unwrap();
    engine.tell(Event::Delta { request, text: "Once upon".into(), ids: vec![1] });
    harness.run();
    harness.get_by_label("Stop").click();
    harness.run();
    assert_eq!(engine.traffic.borrow().wishes.last(), Some(&Wish::StopAnswer));
    let text = "Once upon a".to_owned();
    engine.tell(Event::Generated { request, text, ids: vec![1, 2], stats: stats("stopped") });
    harness.run();
    assert_eq!(prompts(&engine).len(), 1);
    harness.get_by_label_contains("Once upon a");
    harness.get_by_label_contains("stopped");
    harness.get_by_label("Not asked");
}

#[test]
fn a_message_can_be_changed_and_later_turns_go() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    push(&mut harness, ChatAction::Show(Columns::Base));
    for (question, reply) in [("one", "first reply"), ("two", "second reply")] {
        say(&mut harness, question);
        answer(&mut harness, &engine, reply);
    }
    harness.get_all_by_label("Edit this message").next().unwrap().click();
    harness.run();
    harness.get_by_label("Ask again");
    harness.get_by_label("Cancel").click();
    harness.run();
    harness.get_by_label_contains("second reply");
    push(&mut harness, ChatAction::Edit { turn: 0, text: "uno".into() });
    assert_eq!(words(&prompts(&engine)[2].1), ["uno"]);
    assert_eq!(harness.state().state().chat.conversation.turns.len(), 1);
    assert!(harness.query_by_label_contains("second reply").is_none());
}

#[test]
fn the_last_answer_can_be_asked_for_again() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    say(&mut harness, "Who are you?");
    answer(&mut harness, &engine, BASE_ANSWER);
    answer(&mut harness, &engine, TUNED_ANSWER);
    harness.get_all_by_label("Answer again").last().unwrap().click();
    harness.run();
    let (_, again) = prompts(&engine).pop().unwrap();
    assert_eq!((prompts(&engine).len(), again.adapter), (3, Some(0)));
    answer(&mut harness, &engine, "Another answer");
    harness.get_by_label_contains("Another answer");
    harness.get_by_label_contains(BASE_ANSWER);
}

#[test]
fn an_answer_can_be_copied_and_its_prompt_looked_at() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    push(&mut harness, ChatAction::Show(Columns::Base));
    say(&mut harness, "Who are you?");
    answer(&mut harness, &engine, BASE_ANSWER);
    harness.get_by_label("Copy the answer").click();
    harness.step();
    let copied = harness
        .output()
        .platform_output
        .commands
        .iter()
        .any(|command| matches!(command, egui::OutputCommand::CopyText(text) if text == BASE_ANSWER));
    assert!(copied);
    harness.run();
    harness.get_by_label("Raw prompt").click();
    harness.run();
    let asked = engine.traffic.borrow().commands.iter().rev().find_map(|command| match command {
        Command::RenderPrompt { request, prompt, .. } => Some((*request, prompt.clone())),
        _ => None,
    });
    let (request, prompt) = asked.unwrap();
    assert_eq!(prompt, prompts(&engine)[0].1.prompt, "what was asked, not what would be asked now");
    let text = "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n".to_owned();
    let tokens = ["<|im_start|>", "user", "Ċ", "Who"].map(String::from).to_vec();
    engine.tell(Event::Rendered { request, text, ids: vec![151_644, 872, 198, 15_191], tokens });
    harness.run();
    harness.get_by_label_contains("<|im_start|>assistant");
    harness.get_by_label("Tokens").click();
    harness.run();
    harness.get_by_label_contains("151644");
    harness.key_press(Key::Escape);
    harness.run();
    assert!(harness.query_by_label_contains("151644").is_none());
}

#[test]
fn settings_reach_the_prompt() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    harness.get_by_label("Settings of the answer").click();
    harness.run();
    harness.get_by_role_and_label(Role::Switch, "Greedy: always the likeliest token").click();
    harness.run();
    let seed = harness.state().state().chat.sampling.seed;
    harness.get_by_label("Another seed").click();
    harness.run();
    harness.get_by_role_and_label(Role::Switch, "The tuned model answers first").click();
    harness.run();
    say(&mut harness, "hi");
    let (_, asked) = prompts(&engine).pop().unwrap();
    // Greedy is how it begins; switched off, the temperature counts.
    assert!(asked.sampling.temperature > 0.0);
    assert_eq!(asked.adapter, Some(0));
    assert_ne!(asked.sampling.seed, seed);
}

#[test]
fn what_was_set_outlives_the_window() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    push(&mut harness, ChatAction::System("Be brief".into()));
    push(&mut harness, ChatAction::Show(Columns::Tuned));
    let kept = harness.state().persist().panels["chat"].clone();
    assert_eq!((&kept["system"], &kept["columns"]), (&"Be brief".into(), &"tuned".into()));
    assert_eq!(kept["sampling"]["seed"], 42);
}

#[test]
fn an_error_is_said_in_its_column_and_the_other_one_answers() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    push(&mut harness, ChatAction::TunedFirst(true));
    say(&mut harness, "hi");
    let (request, _) = prompts(&engine).pop().unwrap();
    let error =
        UserError::bad_input(Text::fixed("The adapter does not fit this model", "适配器与该模型不匹配"))
            .mend(Text::fixed("choose the base it was trained on", "请选择训练时的基础模型"));
    engine.tell(Event::Failed { request: Some(request), error: Box::new(error) });
    harness.run();
    harness.get_by_label("The adapter does not fit this model");
    harness.get_by_label_contains("choose the base it was trained on");
    assert!(harness.state().state().toasts.all.is_empty(), "said once");
    answer(&mut harness, &engine, BASE_ANSWER);
    harness.get_by_label_contains(BASE_ANSWER);
}

#[test]
fn while_a_run_trains_its_model_answers() {
    let engine = busy();
    let mut harness = open(&Window::default(), &engine, &FakeDesktop::default());
    harness.get_by_label("The model as it trains");
    harness.get_by_label_contains("between two steps");
    say(&mut harness, "hi");
    answer(&mut harness, &engine, "base so far");
    let live: Vec<_> = prompts(&engine).into_iter().map(|(_, asked)| asked.live).collect();
    assert_eq!(live, [Some(false), Some(true)]);
    answer(&mut harness, &engine, "tuned so far");
    let run = |update| Event::Run { request: RequestId(900), run: RunId("my-assistant-3".into()), update };
    let dir = PathBuf::from("/runs/my-assistant-3/checkpoints/step-00000214");
    engine.tell(run(RunEvent::Saved { step: 214, dir: dir.clone() }));
    engine.tell(run(RunEvent::Paused { step: 214 }));
    harness.run();
    assert_eq!(harness.state().state().train.phase, RunPhase::Paused);
    harness.get_by_label("my-assistant-3 · step 214");
    push(&mut harness, ChatAction::TunedFirst(true));
    say(&mut harness, "and now?");
    let (_, paused) = prompts(&engine).pop().unwrap();
    assert_eq!((paused.live, paused.adapter), (None, Some(0)));
    assert_eq!(paused.model.adapters, [dir.join("adapter")]);
}

#[test]
fn the_result_of_a_run_that_ends_speaks_by_itself() {
    let engine = busy();
    let mut harness = open(&Window::default(), &engine, &FakeDesktop::default());
    let result = PathBuf::from("/runs/my-assistant-3/adapter");
    let outcome = Outcome::Finished {
        reason: StopReason::Completed,
        step: 1_140,
        result: result.clone(),
        eval_loss: Some(1.3),
        seconds: 900.0,
        peak_bytes: 0,
    };
    engine.tell(Event::Run {
        request: RequestId(900),
        run: RunId("my-assistant-3".into()),
        update: RunEvent::Ended { outcome },
    });
    harness.run();
    let tuned = harness.state().state().chat.tuned.clone().unwrap();
    assert_eq!(tuned.path(), Some(result.as_path()));
    assert!(harness.get_all_by_label("my-assistant-3").count() > 0);
}

#[test]
fn who_speaks_is_chosen_from_a_menu() {
    let engine = learned();
    let desktop = FakeDesktop::default();
    let mut harness = open(&Window::default(), &engine, &desktop);
    let runs = vec![finished_run()];
    engine.tell(Event::Runs { request: RequestId(900), dir: "/runs".into(), runs });
    harness.run();
    let used = |harness: &Harness<'static, App>| {
        let tuned = harness.state().state().chat.tuned.clone();
        tuned.and_then(|tuned| tuned.path().map(Path::to_path_buf)).unwrap_or_default()
    };
    harness.get_by_label("Choose who speaks").click();
    harness.run();
    harness.get_by_label("my-assistant-2 · step 900  (best)").click();
    harness.run();
    assert_eq!(used(&harness), Path::new("/runs/my-assistant-2/checkpoints/step-00000900/adapter"));
    harness.get_by_label("my-assistant-2 · step 900").click();
    harness.run();
    harness.get_by_label("my-assistant-2 · result").click();
    harness.run();
    assert_eq!(used(&harness), Path::new("/runs/my-assistant-2/adapter"));
    harness.get_by_label("my-assistant-2").click();
    harness.run();
    harness.get_by_label("Choose an adapter folder…").click();
    harness.run();
    let asked = desktop.requests.borrow().clone();
    let picks = |request: &DesktopRequest| {
        matches!(request, DesktopRequest::PickFolder { purpose: Purpose::AdapterFolder, .. })
    };
    assert!(asked.iter().any(picks), "{asked:?}");
    let paths = vec![PathBuf::from("/elsewhere/lora")];
    desktop.answers.borrow_mut().push(DesktopEvent::Picked { purpose: Purpose::AdapterFolder, paths });
    harness.run();
    assert_eq!(used(&harness), Path::new("/elsewhere/lora"));
    harness.get_by_role_and_label(Role::Button, "lora");
}

#[test]
fn the_empty_panel_says_what_to_do_in_both_languages() {
    for (at, language) in [Language::English, Language::Chinese].into_iter().enumerate() {
        let engine = learned();
        let window = Window { language, ..Window::default() };
        let mut harness = window.open(&engine, &FakeDesktop::default());
        harness.run();
        harness.state().push(Action::Open(PANELS[4].panel_id()));
        harness.run();
        harness.get_by_label(["No model to talk to", "没有可对话的模型"][at]);
        harness.get_by_label(["Choose a model…", "选择模型…"][at]).click();
        harness.run();
        assert!(harness.state().is_open(PANELS[0]));
        let mut config = example();
        config.train.samples = vec!["What is an ember?".into()];
        harness.state().push(Action::Edit(Box::new(config)));
        harness.state().push(Action::Open(PANELS[4].panel_id()));
        harness.run();
        harness.get_by_label(MESSAGE[at]);
        harness.get_by_label(["Tell me a short story", "你是谁？"][at]);
        harness.get_by_label("What is an ember?").click();
        harness.run();
        let asked = prompts(&engine);
        assert_eq!((asked.len(), words(&asked[0].1)), (1, vec!["What is an ember?".to_owned()]));
    }
}

#[test]
fn a_model_without_a_template_goes_on_with_the_text() {
    let engine = FakeEngine::new(|command| match command {
        Command::Inspect { request, model } => {
            let report = ModelReport { path: model.path.clone(), ..plain_model() };
            vec![Event::Inspected { request: *request, report: Box::new(report) }]
        }
        _ => Vec::new(),
    });
    let mut harness = open(&Window::default(), &engine, &FakeDesktop::default());
    harness.state_mut().set_clock(2.0);
    harness.run();
    harness.run();
    harness.get_by_label_contains("no chat template");
    say(&mut harness, "Once upon a time");
    assert_eq!(prompts(&engine)[0].1.prompt, Prompt::Text("Once upon a time".into()));
}

fn plain_model() -> ModelReport {
    ModelReport {
        family: "gpt2".into(),
        class: "GPT2LMHeadModel".into(),
        parameters: 124_000_000,
        file_bytes: 548 << 20,
        dtypes: [("f32".to_owned(), 148)].into(),
        layers: 12,
        hidden_size: 768,
        vocab_size: 50_257,
        context_length: 1024,
        tied_head: true,
        tokenizer: Some("tokenizer.json".into()),
        ..ModelReport::default()
    }
}

#[test]
fn clearing_ends_what_is_under_way() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    say(&mut harness, "hi");
    harness.get_by_label("Clear the conversation").click();
    harness.run();
    assert_eq!(engine.traffic.borrow().wishes.last(), Some(&Wish::StopAnswer));
    assert!(harness.state().state().chat.conversation.turns.is_empty());
    // What the engine still says of it concerns nobody.
    answer(&mut harness, &engine, BASE_ANSWER);
    assert!(harness.query_by_label_contains(BASE_ANSWER).is_none());
    assert!(!harness.state().state().chat.conversation.is_busy());
}

#[test]
fn a_long_conversation_draws_only_what_is_seen() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    push(&mut harness, ChatAction::Show(Columns::Base));
    for turn in 0..30 {
        push(&mut harness, ChatAction::Send(format!("question {turn}")));
        answer(&mut harness, &engine, &"a line of words\n\n".repeat(4));
    }
    harness.run();
    let drawn = harness.get_all_by_label_contains("question ").count();
    assert!((1..15).contains(&drawn), "{drawn}");
    harness.get_by_label("question 29");
}

#[test]
fn it_fits_beside_the_plots_in_both_languages() {
    for language in [Language::English, Language::Chinese] {
        let engine = learned();
        let window = Window { language, ..Window::default() };
        let mut harness = ready(&window, &engine);
        push(&mut harness, ChatAction::Send("Who are you?".into()));
        answer(&mut harness, &engine, BASE_LONG);
        answer(&mut harness, &engine, TUNED_LONG);
        harness.state().push(Action::Command(ui::command::UiCommand::SplitChat));
        harness.run();
        let right = |harness: &Harness<'static, App>, en: &str, zh: &str| {
            let label = if language == Language::Chinese { zh } else { en };
            harness.get_by_role_and_label(Role::Button, label).rect().right()
        };
        let edge = right(&harness, "Settings of the answer", "回答设置");
        assert!(right(&harness, "Send", "发送") <= edge + 12.0 && edge < 1_012.0, "{edge}");
    }
}

const BASE_LONG: &str = "I am **Qwen**, a large language model created by Alibaba Cloud.\n\nI can help with:\n\n- answering questions\n- writing text and `code`\n- translating\n\nWhat would you like to do today?";
const TUNED_LONG: &str = "I am Ember, a small model that was trained on this machine.\n\nI can help with:\n\n- answering questions\n- telling short stories by the fire\n\nWhat would you like to hear today?";
