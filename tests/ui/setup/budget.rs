//! The memory budget on the Method panel, and what is said against it.

use egui::accesskit::Role;
use egui_kittest::kittest::Queryable;
use protocol::{Command, Event, Language, RunConfig, Text, UserError};
use ui::panels::method;
use ui::testing::FakeEngine;
use ui::words::method as words;

use super::{Setup, fixture, with_model};
use crate::support::Window;

/// An engine that reads budgets as the real one does: refuses what is no size, and what is too little.
fn engine() -> FakeEngine {
    FakeEngine::new(|command| match command {
        Command::Inspect { request, .. } => vec![fixture::inspected(*request, fixture::report(4))],
        Command::Estimate { request, config, .. } => {
            let mut estimate = fixture::estimate(config, &fixture::report(4), None);
            estimate.problems.extend(against(&config.train.memory_budget));
            vec![Event::Estimated { request: *request, estimate: Box::new(estimate) }]
        }
        _ => Vec::new(),
    })
}

fn against(budget: &str) -> Option<UserError> {
    let refuse = |en: &'static str, zh: &'static str, item: &str| {
        Some(UserError::bad_input(Text::fixed(en, zh)).at_item(item))
    };
    match budget {
        "auto" | "20 GB" => None,
        "1 GB" => {
            refuse("This run needs 2.1 GiB", "本次训练需要 2.1 GiB", "data.max_length, train.memory_budget")
        }
        _ => refuse("This is not a size of memory", "这不是内存大小", "train.memory_budget"),
    }
}

fn open(language: Language, config: RunConfig) -> Setup {
    let window = Window { language, size: [1400.0, 1400.0], ..Window::default() };
    let mut setup = Setup::new(&window, engine(), &method::PANEL, Some(config));
    setup.click(words::TAB_TRAINING.get(language));
    setup
}

#[test]
fn a_size_is_what_may_be_used_now_until_another_is_written() {
    let mut setup = open(Language::English, with_model());
    assert!(setup.shows("nine tenths of the memory that is free"));
    setup.click("At most");
    assert_eq!(setup.config().train.memory_budget, "20 GB", "what the estimate says is there");
    setup.write("Memory budget", "6.5 GB");
    assert_eq!(setup.config().train.memory_budget, "6.5 GB");
    setup.click("Auto");
    assert_eq!(setup.config().train.memory_budget, "auto");
}

#[test]
fn a_size_that_is_being_written_is_not_asked_for() {
    let mut setup = open(Language::English, with_model());
    setup.click("At most");
    setup.harness.get_by_label("Memory budget").focus();
    setup.harness.run();
    setup.harness.event(egui::Event::Text("00".into()));
    setup.settle();
    let asked = setup.engine.traffic.borrow().commands.iter().rev().find_map(|command| match command {
        Command::Estimate { config, .. } => Some(config.train.memory_budget.clone()),
        _ => None,
    });
    assert_eq!(asked.as_deref(), Some("20 GB"));
}

#[test]
fn what_is_no_size_is_said_at_the_field_and_only_there() {
    for (language, what) in [(Language::English, "not a size of memory"), (Language::Chinese, "不是内存大小")]
    {
        let mut config = with_model();
        config.train.memory_budget = "lots".into();
        let mut setup = open(language, config);
        // The big button says it, too.
        let said = |setup: &Setup| setup.harness.query_all_by_label_contains(what).count();
        let at_field = said(&setup);
        let budget = setup.harness.get_by_label(words::BUDGET.get(language)).rect();
        let below = |rect: egui::Rect| rect.top() > budget.top() && rect.left() < budget.right();
        assert!(setup.harness.query_all_by_label_contains(what).any(|node| below(node.rect())), "{what}");
        setup.click(words::TAB_METHOD.get(language));
        assert_eq!(said(&setup), at_field, "where the field is not, it stands above");
        setup.click(words::TAB_TRAINING.get(language));
        setup.write(words::BUDGET.get(language), "20 GB");
        assert_eq!(said(&setup), 0);
    }
}

#[test]
fn a_run_that_does_not_fit_is_said_above_and_at_the_budget() {
    let mut config = with_model();
    config.train.memory_budget = "1 GB".into();
    let setup = open(Language::English, config);
    let panel = setup.harness.query_all_by_label_contains("This run needs 2.1 GiB");
    assert!(panel.count() >= 2);
    assert_eq!(setup.harness.state().state().problems_at("train.memory_budget").len(), 1);
}

#[test]
fn f16_is_chosen_and_its_loss_scale_appears() {
    let mut config = with_model();
    config.model.dtype = "f16".into();
    let mut setup = open(Language::English, config);
    assert!(setup.shows("Loss scale"));
    setup.harness.state().push(ui::action::Action::Open(ui::panels::model::PANEL.panel_id()));
    setup.settle();
    // The model's own format is told by the same word.
    setup.harness.get_by_role_and_label(Role::RadioButton, "bf16").click();
    setup.settle();
    assert_eq!(setup.config().model.dtype, "bf16");
    setup.click("f16");
    assert_eq!(setup.config().model.dtype, "f16");
    let unknown = RunConfig {
        model: protocol::config::ModelConfig { dtype: "f8".into(), ..setup.config().model.clone() },
        ..setup.config().clone()
    };
    setup.harness.state().push(ui::action::Action::Edit(Box::new(unknown)));
    setup.settle();
    assert!(setup.shows("does not know this number format"));
}
