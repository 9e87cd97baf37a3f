//! New tokens on the Model panel.

use std::path::PathBuf;

use egui_kittest::kittest::Queryable;
use protocol::config::{InitialRows, RowsTrained, VocabularyConfig};
use protocol::{Command, Event, Language, PreviewSource, RunConfig, Text, UserError};
use ui::desktop::{DesktopEvent, DesktopRequest, Purpose};
use ui::panels::{StepState, model};
use ui::testing::FakeEngine;
use ui::words::vocabulary as words;

use super::{Setup, fixture, with_model};
use crate::support::Window;

fn tall(language: Language) -> Window {
    Window { language, size: [1280.0, 1400.0], ..Window::default() }
}

fn open(language: Language, engine: FakeEngine, config: RunConfig) -> Setup {
    Setup::new(&tall(language), engine, &model::PANEL, Some(config))
}

fn set(setup: &Setup) -> VocabularyConfig {
    setup.config().vocabulary.clone()
}

fn picked(setup: &mut Setup, purpose: Purpose, paths: &[&str]) {
    let asked = setup.desktop.requests.borrow().clone();
    let of = |request: &DesktopRequest| match request {
        DesktopRequest::PickFiles { purpose: of, .. } | DesktopRequest::PickFolder { purpose: of, .. } => {
            *of == purpose
        }
        _ => false,
    };
    assert!(asked.iter().any(of), "{purpose:?} in {asked:?}");
    let paths = paths.iter().map(PathBuf::from).collect();
    setup.desktop.answers.borrow_mut().push(DesktopEvent::Picked { purpose, paths });
    setup.settle();
}

#[test]
fn nothing_is_extended_until_somebody_asks_and_it_can_be_undone() {
    for language in [Language::English, Language::Chinese] {
        let mut setup = open(language, fixture::engine(2), with_model());
        assert!(setup.shows(words::OFF.get(language)));
        assert!(!setup.shows(words::TOKENS.get(language)) && !setup.shows(words::BEGIN.get(language)));
        setup.click(words::ADD.get(language));
        assert!(set(&setup).is_off(), "looking is not setting");
        let field = setup.harness.get_by_label(words::TOKENS.get(language));
        field.focus();
        field.type_text("虚拟机\n\nhypervisor\n");
        setup.settle();
        assert_eq!(set(&setup).tokens, ["虚拟机", "hypervisor"]);
        setup.click(words::BEGIN_MEAN.get(language));
        setup.click(words::LEARN_ALL.get(language));
        assert_eq!((set(&setup).initialise, set(&setup).train), (InitialRows::Mean, RowsTrained::All));
        assert!(!setup.shows(words::COVERAGE.get(language)), "nothing is learned from texts");
        setup.click(words::NONE.get(language));
        assert_eq!(set(&setup), VocabularyConfig::default());
        assert!(setup.shows(words::OFF.get(language)));
    }
}

#[test]
fn lists_and_texts_are_picked_and_taken_away() {
    let mut config = with_model();
    config.data.train = vec!["/data/mine.jsonl".into()];
    let mut setup = open(Language::English, fixture::engine(2), config);
    setup.click("Add new tokens");
    setup.click("From a list");
    picked(&mut setup, Purpose::VocabularyFile, &["/lists/cloud.txt"]);
    assert_eq!(set(&setup).file, PathBuf::from("/lists/cloud.txt"));
    setup.click("Learn from the training files");
    assert_eq!(set(&setup).train_on, [PathBuf::from("/data/mine.jsonl")]);
    setup.click("Learned from texts");
    picked(&mut setup, Purpose::VocabularyTexts, &["/a.txt", "/data/mine.jsonl", "/b.csv"]);
    let all = ["/data/mine.jsonl", "/a.txt", "/b.csv"].map(PathBuf::from);
    assert_eq!(set(&setup).train_on, all, "each once");
    setup.click("Remove a.txt");
    setup.click("Remove cloud.txt");
    assert_eq!((set(&setup).train_on.len(), set(&setup).file), (2, PathBuf::new()));
    setup.write("Tokens at most", "250");
    setup.write("Coverage", "0.99");
    assert_eq!((set(&setup).size, set(&setup).coverage), (250, 0.99));
}

#[test]
fn a_tokenizer_that_was_extended_stands_alone() {
    let mut config = with_model();
    config.vocabulary.extended = "/runs/a/tokenizer".into();
    let mut setup = open(Language::English, fixture::engine(2), config);
    assert!(setup.shows("Extended already") && !setup.shows("From a list"));
    setup.click("Extended already");
    picked(&mut setup, Purpose::VocabularyFolder, &["/runs/b/tokenizer"]);
    assert_eq!(set(&setup).extended, PathBuf::from("/runs/b/tokenizer"));
    setup.click("Remove tokenizer");
    assert!(set(&setup).is_off());
}

/// An engine that tells what new tokens gain, and refuses `bad`.
fn measuring() -> FakeEngine {
    FakeEngine::new(|command| match command {
        Command::Inspect { request, .. } => vec![fixture::inspected(*request, fixture::report(2))],
        Command::Preview { request, config, .. } => {
            let new = config.vocabulary.tokens.len();
            if config.vocabulary.tokens.iter().any(|token| token == "bad") {
                let what = Text::fixed("There is no new token", "没有新词元");
                let error = UserError::bad_input(what).at_item("vocabulary");
                return vec![Event::Failed { request: Some(*request), error: Box::new(error) }];
            }
            let gain = protocol::text!("{new} new tokens: 12 % shorter", "{new} 个新词元：缩短 12 %");
            let source = PreviewSource {
                total: Some(0),
                formats: Vec::new(),
                columns: Vec::new(),
                template: None,
                template_reason: None,
                template_source: String::new(),
                template_error: None,
                vocabulary: Some(gain).filter(|_| new > 0),
            };
            vec![Event::Preview { request: *request, rows: Vec::new(), source: Some(Box::new(source)) }]
        }
        _ => Vec::new(),
    })
}

#[test]
fn what_is_gained_is_told_as_soon_as_tokens_change() {
    let mut config = with_model();
    config.data.train = vec!["/data/mine.jsonl".into()];
    let mut setup = open(Language::English, measuring(), config);
    setup.click("Add new tokens");
    let write = |setup: &mut Setup, text: &str| {
        let field = setup.harness.get_by_label("Tokens, one a line");
        field.focus();
        field.type_text(text);
        setup.settle();
    };
    write(&mut setup, "one\ntwo\n");
    assert!(setup.shows("2 new tokens: 12 % shorter"));
    write(&mut setup, "three\n");
    assert!(setup.shows("3 new tokens: 12 % shorter"));
}

#[test]
fn a_refusal_stands_at_the_card_and_the_big_button_leads_there() {
    let mut config = with_model();
    config.data.train = vec!["/data/mine.jsonl".into()];
    config.vocabulary.tokens = vec!["bad".into()];
    let mut setup = open(Language::English, measuring(), config);
    assert!(setup.harness.query_all_by_label("There is no new token").count() >= 1);
    assert_eq!((model::PANEL.progress)(setup.harness.state().state()), StepState::Problem);
    setup.harness.state().push(ui::action::Action::Open(ui::panels::train::PANEL.panel_id()));
    setup.settle();
    // The last of them is the big button's, the first may be the panel's own.
    setup.harness.get_all_by_label("Look").last().unwrap().click();
    setup.settle();
    assert!(setup.harness.state().is_open(&model::PANEL));
}
