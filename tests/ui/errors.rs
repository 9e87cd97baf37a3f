//! Whatever the engine refuses is said where it was asked, with its mend and the buttons that mend it, in both languages.

use egui_kittest::kittest::Queryable;
use protocol::{
    Command, Event, Language, Outcome, Remedy, RequestId, RunCommand, RunEvent, RunId, Text, UserError,
};
use ui::action::Action;
use ui::panels::{self, PanelInfo};
use ui::state::chat::ChatAction;
use ui::state::train::TrainAction;
use ui::testing::{FakeDesktop, FakeEngine};

use crate::support::{Window, example, ready, silent};

/// What is asked, where its error must stand, and how it is asked for beyond what the window asks by itself.
type Case = (&'static str, &'static PanelInfo, fn(&Command) -> Option<RequestId>, Option<fn() -> Action>);

static CASES: [Case; 6] = [
    (
        "a model that cannot be read",
        &panels::model::PANEL,
        |command| match command {
            Command::Inspect { request, .. } => Some(*request),
            _ => None,
        },
        None,
    ),
    (
        "rows that cannot be shown",
        &panels::data::PANEL,
        |command| match command {
            Command::Preview { request, .. } => Some(*request),
            _ => None,
        },
        None,
    ),
    (
        "data that cannot be judged",
        &panels::data::PANEL,
        |command| match command {
            Command::Check { request, .. } => Some(*request),
            _ => None,
        },
        None,
    ),
    (
        "settings that cannot be weighed",
        &panels::method::PANEL,
        |command| match command {
            Command::Estimate { request, .. } => Some(*request),
            _ => None,
        },
        None,
    ),
    (
        "a run that is refused",
        &panels::train::PANEL,
        |command| match command {
            Command::Run(RunCommand::Start { request, .. }) => Some(*request),
            _ => None,
        },
        Some(|| Action::Train(TrainAction::Start)),
    ),
    (
        "an answer that fails",
        &panels::chat::PANEL,
        |command| match command {
            Command::Generate { request, .. } => Some(*request),
            _ => None,
        },
        Some(|| Action::Chat(ChatAction::Send("hello".into()))),
    ),
];

fn error() -> UserError {
    UserError::bad_input(Text::fixed("It does not fit", "无法容纳"))
        .mend(Text::fixed("take fewer rows", "减少行数"))
        .remedy(Remedy {
            label: Text::fixed("Halve the batch", "批大小减半"),
            changes: vec![("train.batch_size".into(), 2.into())],
        })
}

/// An engine that refuses one kind of request.
fn refusing(asks: fn(&Command) -> Option<RequestId>) -> FakeEngine {
    FakeEngine::new(move |command| match (asks(command), command) {
        (Some(request), Command::Run(_)) => vec![Event::Run {
            request,
            run: RunId("a-1".into()),
            update: RunEvent::Ended { outcome: Outcome::Failed { error: Box::new(error()) } },
        }],
        (Some(request), _) => vec![Event::Failed { request: Some(request), error: Box::new(error()) }],
        (None, _) => Vec::new(),
    })
}

#[test]
fn every_refusal_is_said_where_it_was_asked_with_its_mend() {
    for (what, panel, asks, action) in &CASES {
        for language in [Language::English, Language::Chinese] {
            let engine = refusing(*asks);
            let mut harness = Window { language, ..Window::default() }.open(&engine, &FakeDesktop::default());
            harness.run_steps(3);
            harness.state().push(Action::Edit(Box::new(example())));
            harness.run_steps(3);
            harness.state_mut().set_clock(5.0);
            harness.run_steps(4);
            if let Some(action) = action {
                harness.state().push(action());
                harness.run_steps(4);
            }
            harness.state().push(Action::Open(panel.panel_id()));
            harness.run_steps(4);
            let error = error();
            for words in [&error.what, error.mend.as_ref().unwrap(), &error.remedies[0].label] {
                let words = words.get(language);
                assert!(harness.query_all_by_label_contains(words).count() > 0, "{what}: {words}");
            }
            let button = error.remedies[0].label.get(language);
            harness.get_all_by_label(button).next().unwrap().click();
            harness.run_steps(3);
            assert_eq!(harness.state().state().project.config.train.batch_size, 2, "{what}");
        }
    }
}

#[test]
fn an_engine_that_cannot_start_says_why() {
    let engine = silent();
    let mut harness = Window::default().open(&engine, &FakeDesktop::default());
    engine.tell(ready());
    engine.tell(Event::Failed { request: None, error: Box::new(error()) });
    harness.run_steps(4);
    assert!(harness.query_all_by_label_contains("It does not fit").count() > 0);
}
