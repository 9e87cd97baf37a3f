//! Several devices for a run, on the Method panel.

use protocol::config::Parallel;
use protocol::{
    Command, DeviceForecast, DeviceKind, DeviceReport, Event, Language, RunConfig, Text, UserError,
};
use ui::panels::method;
use ui::testing::FakeEngine;
use ui::words::method as words;

use super::{Setup, fixture, with_model};
use crate::support::Window;

/// An engine with two cards, of which the second is too small for half of a run.
fn engine() -> FakeEngine {
    FakeEngine::new(|command| match command {
        Command::Inspect { request, .. } => vec![fixture::inspected(*request, fixture::report(4))],
        Command::Estimate { request, config, .. } => {
            let mut estimate = fixture::estimate(config, &fixture::report(4), None);
            let part = |(at, name): (usize, &String)| DeviceForecast {
                device: name.clone(),
                blocks: if config.train.parallel == Parallel::Layers { 14 } else { 0 },
                total: 6 << 30,
                available: [20 << 30, 4 << 30][at.min(1)],
            };
            estimate.forecast.devices = config.train.devices.iter().enumerate().map(part).collect();
            estimate.problems.extend(config.train.devices.iter().find(|name| *name == "cuda:7").map(|_| {
                UserError::bad_input(Text::fixed("There is no GPU 7", "没有 7 号显卡"))
                    .at_item("train.devices")
            }));
            vec![Event::Estimated { request: *request, estimate: Box::new(estimate) }]
        }
        _ => Vec::new(),
    })
}

fn open(language: Language, config: RunConfig) -> Setup {
    let window = Window { language, size: [1400.0, 1500.0], ..Window::default() };
    let mut setup = Setup::new(&window, engine(), &method::PANEL, Some(config));
    let Event::Ready { catalog, device, .. } = fixture::ready(None) else { unreachable!() };
    let card = |index| DeviceReport {
        kind: DeviceKind::Cuda,
        index,
        name: "NVIDIA RTX 4090".into(),
        memory_bytes: 24 << 30,
        note: None,
    };
    setup.engine.tell(Event::Ready { catalog, device, devices: vec![card(0), card(1)] });
    setup.settle();
    setup.click(words::TAB_TRAINING.get(language));
    setup
}

#[test]
fn cards_are_chosen_by_clicks_and_say_what_they_do() {
    let mut setup = open(Language::English, with_model());
    assert!(setup.shows("the engine's own device trains"));
    // In whichever order they are clicked.
    setup.click("cuda:1: NVIDIA RTX 4090, 24.0 GB");
    setup.click("cuda:0: NVIDIA RTX 4090, 24.0 GB");
    assert_eq!(setup.config().train.devices, ["cuda:0", "cuda:1"]);
    assert!(setup.shows("Each card trains its share where the model fits on one"));
    assert!(setup.shows("6.00 GB"));
    setup.click("Spread layers");
    assert_eq!(setup.config().train.parallel, Parallel::Layers);
    assert!(setup.shows("14 layers") && setup.shows("The layers are spread over the cards"));
    setup.click("Share rows");
    assert_eq!(setup.config().train.parallel, Parallel::Data);
    setup.click("cuda:1: NVIDIA RTX 4090, 24.0 GB");
    assert_eq!(setup.config().train.devices, ["cuda:0"]);
}

#[test]
fn a_card_of_another_machine_is_said_at_its_field_and_can_be_taken_away() {
    for (language, what) in [(Language::English, "There is no GPU 7"), (Language::Chinese, "没有 7 号显卡")]
    {
        let mut config = with_model();
        config.train.devices = vec!["cuda:0".into(), "cuda:7".into()];
        let mut setup = open(language, config);
        assert!(setup.shows(what));
        setup.click("cuda:7");
        assert_eq!(setup.config().train.devices, ["cuda:0"]);
        assert!(!setup.shows(what));
    }
}

#[test]
fn a_machine_with_one_device_has_nothing_to_choose() {
    let window = Window { size: [1400.0, 1400.0], ..Window::default() };
    let mut setup = Setup::new(&window, engine(), &method::PANEL, Some(with_model()));
    setup.click(words::TAB_TRAINING.get(Language::English));
    assert!(!setup.shows("Share rows") && !setup.shows("cuda:0"));
}
