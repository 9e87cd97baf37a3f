//! The planner over a grid of budgets: what it chooses fits, and more memory is never spent on a slower step.

use std::path::Path;

use engine::memory::{Needs, forecast};
use engine::models::{ConfigJson, Front, Model, ModelFolder};
use engine::nn::ops::own::Serving;
use engine::nn::{HeldBeside, Quantization};
use engine::planner::{Choices, plan};
use engine::train::{CHUNK_BYTES, Layout, Place};
use serde_json::json;

const ALL: Choices = Choices { stream: true, host: true, paged: true, divide: true };

fn model(vocabulary: usize) -> ModelFolder {
    let serde_json::Value::Object(config) = json!({
        "model_type": "llama", "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 12,
        "num_attention_heads": 8, "vocab_size": vocabulary,
    }) else {
        panic!("an object")
    };
    ModelFolder::from_config(Path::new("."), ConfigJson::from_map(config)).unwrap()
}

fn needs(model: &Model, rows: u64, time: u64) -> Needs<'_> {
    Needs {
        model,
        frozen: model.params.elements(),
        quantization: None,
        trained: 100_000,
        element: 4,
        optimizer_bytes: 800_000,
        rows,
        time,
        front: Front::default(),
        beside: HeldBeside::default(),
        answer: time,
        accumulates: true,
        packed: false,
        base_learns: false,
        fused: true,
        own: Default::default(),
        workers: 1,
    }
}

/// What one layout costs more than another, the gravest first.
fn cost(layout: &Layout) -> [usize; 6] {
    let kept = usize::MAX - layout.kept_graphs.max(1);
    let chunk = CHUNK_BYTES / layout.head_chunk;
    let side = |place: Place| usize::from(place == Place::Host);
    [layout.pieces, chunk, side(layout.optimizer), layout.streamed, side(layout.inputs), kept]
}

/// From far too little to more than enough.
fn budgets(needs: &Needs<'_>) -> impl Iterator<Item = u64> {
    let whole = forecast(needs, &Layout::keeping(needs.model.info.num_layers), 0).total;
    (1..=160).map(move |part| whole / 150 * part)
}

#[test]
fn a_kernel_of_our_own_holds_less_than_its_composition() {
    let folder = model(40_000).quantised(Some(Quantization::Nf4));
    let composed = Needs {
        fused: false,
        element: 2,
        quantization: Some(Quantization::Nf4),
        ..needs(folder.model(), 4, 2048)
    };
    let layout = Layout::keeping(1);
    let bytes = |own| forecast(&Needs { own, ..composed.clone() }, &layout, 0).total;
    let none = bytes(Serving::default());
    let all = Serving { softmax: true, cross_entropy: true, unpacking: true, layers: true };
    assert!(bytes(all) < none);
    // The mask of all pairs of positions is not there, wherever the height of the step is.
    let softmax = bytes(Serving { softmax: true, ..Serving::default() });
    assert!(softmax + 2048 * 2048 * 4 <= none, "{softmax} of {none}");
    // Where neither scores nor logits are what a step is high with, it is norms and activations made again in f32.
    let folder = model(128);
    let short = Needs { fused: false, element: 2, ..needs(folder.model(), 64, 8) };
    let bytes = |own| forecast(&Needs { own, ..short.clone() }, &layout, 0).total;
    let without = Serving { layers: false, ..all };
    assert!(bytes(all) < bytes(without));
}

#[test]
fn every_plan_fits_its_budget_or_none_does() {
    let (small, wide) = (model(128), model(40_000));
    for (folder, rows, time) in [(&small, 8, 512), (&small, 5, 64), (&wide, 4, 300), (&wide, 1, 40)] {
        let needs = needs(folder.model(), rows, time);
        for choices in [ALL, Choices { stream: true, ..Choices::default() }, Choices::default()] {
            let least = plan(&needs, choices, 1).1.total;
            for budget in budgets(&needs) {
                let (layout, told) = plan(&needs, choices, budget);
                assert_eq!(told, forecast(&needs, &layout, budget), "{layout:?}");
                assert_eq!(told.fits, told.total <= budget, "{layout:?} {budget}");
                assert_eq!(told.fits, least <= budget, "{layout:?} {budget}: {least} would do");
                assert!(choices.stream || layout.streamed == 0);
                assert!(choices.divide || layout.pieces == 1);
                assert!(choices.host || layout.inputs == Place::Device);
            }
        }
    }
}

#[test]
fn more_memory_never_costs_more_time() {
    let folder = model(20_000);
    let needs = needs(folder.model(), 6, 400);
    let plans: Vec<Layout> = budgets(&needs)
        .map(|budget| plan(&needs, ALL, budget))
        .filter(|plan| plan.1.fits)
        .map(|plan| plan.0)
        .collect();
    assert!(plans.windows(2).all(|pair| cost(&pair[1]) <= cost(&pair[0])), "{plans:#?}");
    // All there is to choose was chosen at some budget, and nothing where there is plenty.
    let any = |wanted: fn(&Layout) -> bool| plans.iter().any(wanted);
    assert!(any(|it| it.pieces > 1) && any(|it| it.streamed > 2) && any(|it| it.inputs == Place::Host));
    assert!(any(|it| (2..12).contains(&it.kept_graphs)) && any(|it| it.optimizer == Place::Host));
    assert_eq!(plans.last(), Some(&Layout::keeping(12)));
}

#[test]
fn parts_without_end_are_too_large_and_no_more() {
    let folder = model(128);
    let (layout, told) = plan(&needs(folder.model(), u64::MAX, u64::MAX), ALL, 1 << 40);
    assert!(!told.fits, "{layout:?}");
}

#[test]
fn what_stands_in_front_is_counted() {
    let folder = model(128);
    let plain = needs(folder.model(), 4, 128);
    let with =
        |prompt, prefix| Needs { front: Front { prompt, prefix, ..Front::default() }, ..plain.clone() };
    let total = |needs: &Needs<'_>| forecast(needs, &Layout::keeping(1), 0).total;
    let longer = Needs { time: 192, ..plain.clone() };
    // A prompt is as many tokens more, but bears no loss; a prefix costs less than that.
    assert!(total(&with(64, 0)) > total(&plain) && total(&with(64, 0)) <= total(&longer));
    assert!(total(&with(0, 64)) > total(&plain));
    assert!(
        forecast(&with(0, 64), &Layout::keeping(1), 0).kv_cache
            > forecast(&plain, &Layout::keeping(1), 0).kv_cache
    );
}
