//! DoRA: weight-decomposed low-rank adaptation (Liu et al. 2024, arXiv:2402.09353). LoRA with its `dora` switch on, under
//! a name of its own; its folders are LoRA's, which reads them.

use protocol::{ParamSpec, Text};
use serde_json::{Map, Value};

use super::{Method, lora};

/// LoRA's setting that this method is.
const SWITCH: &str = "dora";

pub const METHOD: Method = Method {
    id: "dora",
    name: Text::fixed("DoRA", "DoRA"),
    help: Text::fixed(
        "LoRA that learns length and direction of weights apart. Often a little better at low ranks, and slower",
        "分别学习权重长度和方向的 LoRA。低秩时往往略好，但较慢",
    ),
    params,
    peft_type: Some("LORA"),
    attach: |model, settings, context| (lora::METHOD.attach)(model, &switched_on(settings), context),
    footprint: |model, settings, base| (lora::METHOD.footprint)(model, &switched_on(settings), base),
    load: |dir, model| (lora::METHOD.load)(dir, model),
    shapes: |dir, model| (lora::METHOD.shapes)(dir, model),
};

fn params() -> Vec<ParamSpec> {
    (lora::METHOD.params)().into_iter().filter(|param| param.key != SWITCH).collect()
}

fn switched_on(settings: &Map<String, Value>) -> Map<String, Value> {
    let mut settings = settings.clone();
    settings.insert(SWITCH.into(), true.into());
    settings
}
