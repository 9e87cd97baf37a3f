//! The Method panel: targets on the tree, forms from descriptors, schedule, recipes.

use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT, Queryable};
use protocol::{Command, Event, Language, ParamKind, RunConfig, Text};
use serde_json::{Value, json};
use ui::action::Action;
use ui::desktop::{DesktopRequest, Purpose};
use ui::panels::{StepState, method};
use ui::persisted::Preferences;

use super::{Setup, fixture, with_model};
use crate::support::{Window, silent};

fn tall() -> Window {
    Window { size: [1400.0, 1400.0], ..Window::default() }
}

fn open(config: RunConfig) -> Setup {
    Setup::new(&tall(), fixture::engine(fixture::LAYERS), &method::PANEL, Some(config))
}

fn expert(setup: &mut Setup) {
    let preferences = Preferences { expert: true, ..setup.harness.state().state().preferences.clone() };
    setup.harness.state().push(Action::Preferences(Box::new(preferences)));
    setup.settle();
}

fn params(given: Value) -> RunConfig {
    let mut config = with_model();
    config.method.params = given.as_object().unwrap().clone();
    config
}

fn targets(setup: &Setup) -> Value {
    setup.config().method.params.get("targets").cloned().unwrap_or(Value::Null)
}

/// Every matrix that the engine says is on.
fn on(setup: &Setup) -> usize {
    setup.harness.state().state().estimate.value.as_ref().unwrap().targets.len()
}

fn state(setup: &Setup) -> StepState {
    (method::PANEL.progress)(setup.harness.state().state())
}

#[test]
fn presets_and_roles_write_the_shortest_value() {
    let mut setup = open(with_model());
    assert_eq!((on(&setup), state(&setup)), (168, StepState::Done));
    for (click, wanted, count) in [
        ("Attention", json!(["q", "k", "v", "o"]), 96),
        ("k", json!(["q", "v", "o"]), 72),
        ("MLP", json!(["gate", "up", "down"]), 72),
        ("All linear", json!("auto"), 168),
        ("q", json!(["k", "v", "o", "gate", "up", "down"]), 144),
        ("q", json!("auto"), 168),
    ] {
        setup.click(click);
        assert_eq!((targets(&setup), on(&setup)), (wanted, count), "{click}");
    }
    assert!(setup.shows("168 of 169 matrices"));
}

#[test]
fn targets_are_chosen_on_the_tree_layer_by_layer() {
    let mut setup = open(params(json!({"targets": ["q"]})));
    setup.click("Unfold each layer · model.layers.0–23");
    setup.click("Train model.layers.3");
    assert_eq!(targets(&setup), json!(["q", "model.layers.3.*"]));
    assert_eq!(on(&setup), 30);
    setup.click("Unfold model.layers.4");
    setup.click("Train model.layers.4.mlp");
    assert_eq!(on(&setup), 33);
    setup.click("Unfold model.layers.4.mlp");
    setup.click("Train model.layers.4.mlp.up_proj");
    assert_eq!(on(&setup), 32);
    assert_eq!(
        targets(&setup),
        json!(["q", "model.layers.3.*", "model.layers.4.mlp.gate_proj", "model.layers.4.mlp.down_proj"])
    );
    setup.click("Train model.layers.0–23");
    assert_eq!(targets(&setup), json!("auto"));
    setup.click("Train model.layers.0–23");
    assert_eq!((targets(&setup), state(&setup)), (json!([]), StepState::Problem));
    assert!(setup.shows("No matrix of this model matches"));
}

#[test]
fn what_is_on_is_what_the_engine_says() {
    // An engine that trains nothing but the value projections, whatever it is told.
    let engine = ui::testing::FakeEngine::new(|command| match command {
        Command::Inspect { request, .. } => vec![fixture::inspected(*request, fixture::report(4))],
        Command::Estimate { request, config, .. } => {
            let mut told = (**config).clone();
            told.method.params.insert("targets".into(), json!(["v"]));
            let estimate = fixture::estimate(&told, &fixture::report(4), None);
            vec![Event::Estimated { request: *request, estimate: Box::new(estimate) }]
        }
        _ => Vec::new(),
    });
    let setup = Setup::new(&tall(), engine, &method::PANEL, Some(params(json!({"targets": ["q"]}))));
    let checked = |label: &str| {
        let node = setup.harness.get_by_label(label);
        node.accesskit_node().toggled() == Some(egui::accesskit::Toggled::True)
    };
    assert!(checked("Train model.layers.0–3.self_attn.v_proj"));
    assert!(!checked("Train model.layers.0–3.self_attn.q_proj"));
    assert!(setup.shows("4 of 29 matrices"));
}

#[test]
fn until_the_engine_answers_the_change_is_shown_as_pending() {
    let setup = Setup::new(&tall(), silent(), &method::PANEL, Some(with_model()));
    let request = setup.engine.traffic.borrow().commands.iter().find_map(|command| match command {
        Command::Inspect { request, .. } => Some(*request),
        _ => None,
    });
    setup.engine.tell(fixture::inspected(request.unwrap(), fixture::report(4)));
    let mut setup = setup;
    setup.settle();
    assert!(setup.shows("28 of 29 matrices") && setup.shows("updating…"));
}

#[test]
fn rank_of_a_layer_and_of_a_module_become_patterns() {
    let mut setup = open(with_model());
    setup.click("Unfold each layer · model.layers.0–23");
    let mut edit = |label: &str, figure: &str| {
        setup.harness.get_by_label(label).focus();
        setup.settle();
        let node = setup.harness.get_by_label(label);
        node.type_text(figure);
        setup.settle();
        setup.harness.key_press(egui::Key::Enter);
        setup.settle();
        setup.config().method.params.clone()
    };
    let after = edit("rank model.layers.0–23.self_attn.q_proj", "16");
    assert_eq!(after["rank_pattern"], json!({"q": 16}));
    let after = edit("rank model.layers.3", "4");
    assert_eq!(after["rank_pattern"], json!({"q": 16, "model.layers.3.*": 4}));
    let after = edit("alpha model.layers.0–23", "64");
    assert_eq!((after["alpha"].clone(), after.get("alpha_pattern")), (json!(64), None));
    let told = setup.harness.state().state().estimate.value.clone().unwrap();
    let rank = |path: &str| told.targets.iter().find(|target| target.path == path).unwrap().rank;
    assert_eq!(rank("model.layers.3.self_attn.q_proj"), 4, "the later edit holds");
    assert_eq!(rank("model.layers.5.self_attn.q_proj"), 16);
    assert_eq!(rank("model.layers.5.mlp.up_proj"), 8);
}

#[test]
fn a_glob_counts_its_matches_before_it_is_added() {
    let mut setup = open(params(json!({"targets": ["q"]})));
    let field = setup.harness.get_by_label("Add modules by name or glob");
    field.focus();
    field.type_text("*.mlp.*");
    setup.settle();
    assert!(setup.shows("72 matches"));
    setup.click("Add");
    assert_eq!(targets(&setup), json!(["q", "*.mlp.*"]), "words stay as they were typed");
    setup.click("Remove q");
    assert_eq!((targets(&setup), on(&setup)), (json!(["*.mlp.*"]), 72));
}

#[test]
fn the_cost_is_live_and_beside_full_fine_tuning() {
    let mut setup = open(with_model());
    assert!(setup.shows("4\u{2009}399\u{2009}104") && setup.shows("(0.89 %)") && setup.shows("16.8 MB"));
    assert!(setup.shows("less than full fine-tuning"));
    setup.click("Attention");
    assert!(setup.shows("(0.22 %)"));
    assert!(setup.shows("−50.6 MB"), "what the last change did to the memory");
    setup.click("Full fine-tuning");
    assert_eq!(setup.config().method.kind, "full");
    assert!(setup.shows("(100.00 %)") && !setup.shows("less than full"));
    assert!(setup.config().method.params.is_empty(), "full has no settings of LoRA");
    setup.click("LoRA");
    assert_eq!(setup.config().method.kind, "lora");
}

#[test]
fn settings_of_any_kind_are_drawn_and_strange_ones_kept() {
    let given = json!({"odd": [1, 2], "rank": "eight", "comment": "mine"});
    let mut setup = open(params(given.clone()));
    assert_eq!(Value::Object(setup.config().method.params.clone()), given, "drawing changes nothing");
    assert!(setup.shows("Remove odd") && setup.shows("\"eight\""));
    assert!(!setup.shows("Train biases"), "advanced settings are hidden");
    assert!(setup.shows("Comment"), "but not one that is set");
    setup.click("Back to the default");
    assert_eq!(setup.config().method.params["rank"], 8);
    setup.click("Remove odd");
    assert!(!setup.config().method.params.contains_key("odd"));
    expert(&mut setup);
    setup.click("Rank-stabilised");
    assert_eq!(setup.config().method.params["rslora"], true);
    assert!(setup.shows("alpha / √rank") && setup.shows("×5.6569") | setup.shows("×5.66"));
    setup.click("Train biases");
    setup.click("lora_only");
    assert_eq!(setup.config().method.params["bias"], "lora_only");
    let modules = setup.harness.get_by_label("Modules trained whole");
    modules.focus();
    modules.type_text("lm_head, embed_tokens");
    setup.settle();
    assert_eq!(setup.config().method.params["modules_to_save"], json!(["lm_head", "embed_tokens"]));
}

#[test]
fn a_table_of_patterns_is_edited_line_by_line() {
    let mut setup = open(params(json!({"rank_pattern": {"q": 4, "v": 2}})));
    expert(&mut setup);
    let field = setup.harness.get_by_label("Rank by module 1");
    field.focus();
    field.type_text("_proj");
    setup.settle();
    let table = |setup: &Setup| setup.config().method.params["rank_pattern"].clone();
    assert_eq!(table(&setup), json!({"q": 4, "v": 2}), "not before the field is left");
    setup.harness.key_press(egui::Key::Enter);
    setup.settle();
    assert_eq!(table(&setup), json!({"q_proj": 4, "v": 2}));
    setup.click("Remove v");
    assert_eq!(table(&setup), json!({"q_proj": 4}));
    setup.click("Add a pattern");
    assert_eq!(table(&setup).as_object().unwrap().len(), 2);
}

#[test]
fn a_method_nobody_knew_is_drawn_all_the_same() {
    let mut setup = open(with_model());
    let mut catalog = fixture::catalog();
    catalog.methods.push(protocol::Descriptor {
        id: "ia3".into(),
        name: Text::fixed("IA3", "IA3"),
        help: Text::fixed("Learns one number a channel", "每个通道学习一个系数"),
        params: vec![
            fixture::spec("modules", "Where", "位置", ParamKind::Targets { default: "auto".into() }, false),
            fixture::spec("warm", "Warm start", "热启动", ParamKind::Switch { default: true }, false),
        ],
    });
    let Event::Ready { device, .. } = fixture::ready(None) else { unreachable!() };
    setup.engine.tell(Event::Ready { catalog: Box::new(catalog), device, devices: Vec::new() });
    setup.settle();
    setup.click("IA3");
    setup.click("Warm start");
    setup.click("Attention");
    let config = setup.config();
    assert_eq!((config.method.kind.as_str(), &config.method.params["warm"]), ("ia3", &json!(false)));
    assert_eq!(config.method.params["modules"], json!(["q", "k", "v", "o"]));
}

#[test]
fn the_schedule_is_set_and_drawn() {
    let mut setup = open(with_model());
    setup.click("Optimizer and schedule");
    assert!(setup.shows("Learning rate over the run"));
    setup.click("Schedule");
    setup.click("Linear");
    assert_eq!(setup.config().train.scheduler, "linear");
    setup.click("End with the best checkpoint");
    assert!(setup.config().train.keep_best);
    let field = |setup: &Setup| {
        let rate = setup.harness.get_by_role_and_label(Role::SpinButton, "Learning rate");
        rate.focus();
    };
    field(&setup);
    setup.settle();
    setup.harness.input_mut().events.push(egui::Event::Text("5e-5".into()));
    setup.settle();
    setup.harness.key_press(egui::Key::Enter);
    setup.settle();
    assert_eq!(setup.config().train.learning_rate, 5e-5);
    assert!(!setup.shows("Epsilon"), "experts only");
    setup.click("All settings");
    for name in ["Epsilon", "Beta 1", "Seed", "Memory budget", "Gradient clipping", "Early stop after"] {
        assert!(setup.shows(name), "{name}");
    }
    setup.click("Add a prompt");
    let prompt = setup.harness.get_by_label("Sample prompt 1");
    prompt.focus();
    prompt.type_text("Who are you?");
    setup.settle();
    assert_eq!(setup.config().train.samples, ["Who are you?"]);
    setup.click("Remove Sample prompt 1");
    assert!(setup.config().train.samples.is_empty());
}

#[test]
fn what_the_simple_view_hides_is_named_when_it_is_unusual() {
    let mut config = with_model();
    config.train.seed = 7;
    config.train.eps = 1e-6;
    let mut setup = open(config);
    setup.click("Optimizer and schedule");
    assert!(setup.shows("Set otherwise than usual: Seed, Epsilon"));
}

#[test]
fn recipes_are_taken_saved_and_copied() {
    let mut setup = open(with_model());
    setup.click("Recipe");
    setup.click("Gentle");
    let config = setup.config();
    assert_eq!((config.train.learning_rate, &config.method.params["rank"]), (1e-5, &json!(4)));
    assert_eq!(config.model, with_model().model, "the model stays");
    setup.click("Recipe");
    setup.click("Save as recipe…");
    let asked = setup.desktop.requests.borrow().clone();
    assert!(
        asked.iter().any(|it| matches!(it, DesktopRequest::PickSave { purpose: Purpose::SaveRecipe, .. }))
    );
    setup.click("Recipe");
    setup.harness.get_by_label("Copy run file").click();
    setup.harness.step();
    let commands = &setup.harness.output().platform_output.commands;
    let copied = commands.iter().find_map(|command| match command {
        egui::OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    });
    let parsed = protocol::config::parse_run_file(&copied.unwrap(), "run.toml".as_ref()).unwrap();
    assert_eq!(&parsed.train, &setup.config().train);
}

#[test]
fn without_a_model_the_way_to_one_is_shown_in_both_languages() {
    for language in [Language::English, Language::Chinese] {
        let window = Window { language, ..tall() };
        let mut setup = Setup::new(&window, fixture::engine(2), &method::PANEL, None);
        assert_eq!(state(&setup), StepState::Open);
        setup.click(ui::words::method::GO_MODEL.get(language));
        assert!(setup.harness.state().is_open(&ui::panels::model::PANEL));
    }
}
