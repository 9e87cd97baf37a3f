//! The Model panel.

use egui_kittest::kittest::{NodeT, Queryable};
use protocol::{Command, Event, Language, Text, UserError};
use ui::action::Action;
use ui::desktop::{DesktopEvent, DesktopRequest, Purpose};
use ui::panels::{StepState, model};
use ui::persisted::Preferences;
use ui::testing::FakeEngine;

use super::{Setup, fixture, with_model};
use crate::support::{Window, silent};

fn state(setup: &Setup) -> StepState {
    (model::PANEL.progress)(setup.harness.state().state())
}

#[test]
fn nothing_chosen_says_what_to_do_and_each_button_does_it() {
    for language in [Language::English, Language::Chinese] {
        let window = Window { language, ..Window::default() };
        let mut setup = Setup::new(&window, silent(), &model::PANEL, None);
        assert_eq!(state(&setup), StepState::Open);
        assert!(setup.shows(ui::words::model::EMPTY.get(language)));
        setup.click(ui::words::model::CHOOSE.get(language));
        let asked = setup.desktop.requests.borrow().clone();
        assert!(
            asked.iter().any(|it| matches!(it, DesktopRequest::PickFolder { purpose: Purpose::Model, .. }))
        );
        // The starter lies ready; a project is open already, so that it is only offered.
        setup.harness.state().push(Action::Edit(Box::new(protocol::RunConfig {
            train: protocol::config::TrainConfig { seed: 1, ..Default::default() },
            ..Default::default()
        })));
        setup.settle();
        setup.desktop.answers.borrow_mut().push(DesktopEvent::Starter {
            project: "/starter/quickstart.toml".into(),
            project_zh: "/starter/quickstart-zh.toml".into(),
        });
        setup.settle();
        setup.click(ui::words::model::STARTER.get(language));
        let wanted = if language == Language::Chinese { "quickstart-zh.toml" } else { "quickstart.toml" };
        let read =
            setup.engine.traffic.borrow().commands.iter().any(
                |command| matches!(command, Command::ReadProject { path, .. } if path.ends_with(wanted)),
            );
        assert!(read, "{wanted} is opened");
    }
}

#[test]
fn the_facts_of_a_model_are_shown() {
    let mut setup = Setup::new(&Window::default(), fixture::engine(24), &model::PANEL, Some(with_model()));
    assert_eq!(state(&setup), StepState::Done);
    for text in [
        "Qwen2ForCausalLM",
        "494.03 M",
        "bf16",
        "32\u{2009}768 tokens",
        "shared with the embedding",
        "LICENSE",
    ] {
        assert!(setup.shows(text), "{text}");
    }
    assert!(setup.shows("tokenizer_config.json"), "where the template comes from");
    setup.click("f32");
    assert_eq!(setup.config().model.dtype, "f32");
    assert!(!setup.shows("Replace keys"), "overrides are for experts");
    setup.click("Show in the file manager");
    let opened = DesktopRequest::Open("/models/Qwen2.5-0.5B-Instruct".into());
    assert!(setup.desktop.requests.borrow().contains(&opened));
}

#[test]
fn what_is_missing_is_a_warning_and_notes_are_shown() {
    let mut report = fixture::report(2);
    report.template = None;
    report.notes = vec![Text::fixed("No chat template: choose a preset", "没有对话模板：请选择一个预设模板")];
    let engine = FakeEngine::new(move |command| match command {
        Command::Inspect { request, .. } => vec![fixture::inspected(*request, report.clone())],
        _ => Vec::new(),
    });
    let setup = Setup::new(&Window::default(), engine, &model::PANEL, Some(with_model()));
    assert_eq!(state(&setup), StepState::Warning);
    assert!(setup.shows("No chat template") && setup.shows("not found"));
}

#[test]
fn problems_are_listed_whole_and_the_overrides_can_still_be_changed() {
    let engine = FakeEngine::new(|command| match command {
        Command::Inspect { request, .. } => {
            let error = UserError::bad_input(Text::fixed("Shards are missing", "缺少分片"))
                .details((1..=20).map(|shard| format!("model-{shard:05}-of-00020.safetensors")))
                .mend(Text::fixed("download them", "请下载"));
            vec![Event::Failed { request: Some(*request), error: Box::new(error) }]
        }
        _ => Vec::new(),
    });
    let mut config = with_model();
    config.model.overrides.insert("rope_theta".into(), 10000.into());
    let setup = Setup::new(&Window::default(), engine, &model::PANEL, Some(config));
    assert_eq!(state(&setup), StepState::Problem);
    for text in ["Shards are missing", "model-00001-of", "model-00020-of", "download them", "Replace keys"] {
        assert!(setup.shows(text), "{text}");
    }
}

#[test]
fn loading_is_seen() {
    let setup = Setup::new(&Window::default(), silent(), &model::PANEL, Some(with_model()));
    assert_eq!(state(&setup), StepState::Busy);
    assert!(setup.shows("Reading the model's files"));
}

#[test]
fn the_tree_folds_unfolds_and_is_searched() {
    let mut setup = Setup::new(&Window::default(), fixture::engine(24), &model::PANEL, Some(with_model()));
    assert!(setup.shows("model.layers.0–23") && setup.shows("q_proj"));
    setup.click("Fold model.layers.0–23.self_attn");
    assert!(!setup.shows("q_proj"));
    setup.click("Unfold each layer · model.layers.0–23");
    assert!(setup.shows("layer 3"));
    let search = setup.harness.get_by_label("Search modules");
    search.focus();
    search.type_text("layers.7.mlp");
    setup.settle();
    assert!(setup.shows("model.layers.7.mlp.gate_proj") && !setup.shows("model.layers.0–23"));
    setup.click("Clear the search");
    assert!(setup.shows("model.layers.0–23"));
}

#[test]
fn ten_thousand_matrices_are_drawn_a_screenful_at_a_time() {
    let mut setup = Setup::new(&Window::default(), fixture::engine(1500), &model::PANEL, Some(with_model()));
    assert!(setup.shows("10\u{2009}501 matrices"));
    setup.click("Unfold each layer · model.layers.0–1499");
    let rows = setup.harness.query_all_by_label_contains("Unfold model.layers.").count();
    assert!((1..60).contains(&rows), "{rows} rows are drawn of 1500");
    let search = setup.harness.get_by_label("Search modules");
    search.focus();
    search.type_text("up_proj");
    setup.settle();
    let shown = setup.harness.query_all_by_label_contains("mlp.up_proj").count();
    assert!((1..60).contains(&shown), "{shown} rows are drawn of 1500");
}

#[test]
fn recent_models_are_chosen_again() {
    let mut setup = Setup::new(&Window::default(), fixture::engine(2), &model::PANEL, Some(with_model()));
    let recent_models = vec!["/models/other".into(), "/models/Qwen2.5-0.5B-Instruct".into()];
    let preferences = Preferences { recent_models, ..setup.harness.state().state().preferences.clone() };
    setup.harness.state().push(Action::Preferences(Box::new(preferences)));
    setup.settle();
    setup.click("Recent");
    setup.click("other");
    assert_eq!(setup.config().model.path.to_str(), Some("/models/other"));
}

#[test]
fn experts_replace_keys_of_the_config() {
    let mut setup = Setup::new(&Window::default(), fixture::engine(2), &model::PANEL, Some(with_model()));
    let preferences = Preferences { expert: true, ..setup.harness.state().state().preferences.clone() };
    setup.harness.state().push(Action::Preferences(Box::new(preferences)));
    setup.settle();
    let field = setup.harness.get_by_label("Replace keys of config.json");
    assert!(field.accesskit_node().is_text_input(), "the label names the field");
    field.focus();
    field.type_text("rope_theta = ");
    setup.settle();
    assert!(setup.shows("Neither TOML nor JSON"), "half a line is not taken over");
    setup.harness.get_by_label("Replace keys of config.json").type_text("1000");
    setup.settle();
    assert_eq!(setup.config().model.overrides["rope_theta"], 1000);
    assert!(!setup.shows("Neither TOML nor JSON"));
}
