//! Bottleneck adapters as AdapterHub's `adapters` 1.3 saves them (`pytorch_adapter.bin`). Facts: `methods/bottleneck.py`
//! and `methods/modeling.py` there, and where `models/{llama,mistral,gpt2}` call them.

use std::path::Path;

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value as Json};

use crate::methods::peft;
use crate::models::Model;
use crate::nn::Activation;

/// Families whose blocks call the adapters where ours do.
const FAMILIES: [&str; 3] = ["llama", "mistral", "gpt2"];

/// # Errors
/// When a folder of AdapterHub's has what our adapters have not, or one of ours an activation that nobody knows: the
/// setting is named.
pub fn require_known(dir: &Path, model: &Model) -> Result<()> {
    let config = peft::read_config(dir)?;
    // Ours say neither.
    let of_hub = config.contains_key("model_class") || config.contains_key("version");
    let of_ours = || activation(&config).is_none().then_some("non_linearity");
    let unknown = if of_hub { unknown(&config, model) } else { of_ours() };
    unknown.map_or(Ok(()), |setting| {
        Err(UserError::bad_input(text!(
            "What the adapter has for `{setting}` is not known here",
            "不支持该适配器的 `{setting}` 设置"
        ))
        .at_item(setting)
        .in_file(dir.join(peft::CONFIG))
        .mend(Text::fixed(
            "use an adapter of the form `seq_bn` or `double_seq_bn` on Llama, Mistral or GPT-2",
            "请使用 Llama、Mistral 或 GPT-2 上 `seq_bn` 或 `double_seq_bn` 形式的适配器",
        )))
    })
}

fn activation(config: &Map<String, Json>) -> Option<Activation> {
    let word = config.get("config").and_then(|inner| inner.get("non_linearity"));
    Activation::from_name(word.and_then(Json::as_str)?)
}

/// The first setting that makes an adapter another than ours.
fn unknown(config: &Map<String, Json>, model: &Model) -> Option<&'static str> {
    let inner = config.get("config").and_then(Json::as_object);
    let of = |key: &str| inner.and_then(|inner| inner.get(key));
    let flag = |key: &str, default: bool| of(key).map_or(default, |value| value == &Json::Bool(true));
    let both = flag("mh_adapter", false);
    let settings = [
        ("model_type", !FAMILIES.contains(&model.family.id)),
        // There it reads the stream before its norm.
        ("is_parallel", flag("is_parallel", false)),
        ("phm_layer", flag("phm_layer", false)),
        ("ln_before", flag("ln_before", false)),
        ("ln_after", flag("ln_after", false)),
        ("use_gating", flag("use_gating", false)),
        ("inv_adapter", of("inv_adapter").is_some_and(|value| !value.is_null())),
        ("scaling", of("scaling").is_some_and(|value| !value.is_number())),
        ("non_linearity", activation(config).is_none()),
        ("output_adapter", !flag("output_adapter", true)),
        ("original_ln_after", !flag("original_ln_after", true)),
        // After both halves before the sum, or after the block behind it.
        ("original_ln_before", flag("original_ln_before", false) == both),
        ("residual_before_ln", !both && !flag("residual_before_ln", true)),
    ];
    settings.into_iter().find_map(|(name, is_unknown)| is_unknown.then_some(name))
}
