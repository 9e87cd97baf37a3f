//! Baichuan-7B, Baichuan2-7B, Baichuan-13B, Baichuan2-13B (Yang et al. 2023, arXiv:2309.10305): Llama with query, key
//! and value in one matrix, ALiBi instead of rotary positions in the 13B models, and a head of unit rows in the second
//! generation. Published code: baichuan-inc, `modeling_baichuan.py`.
//!
//! config.json does not name the variant. Two keys that only this program reads, for `[model] overrides`, settle it:
//! `position = "rope" | "alibi"` and `norm_head = true | false`.

use protocol::{Result, Text};
use serde_json::Value;

use super::llama_like::{LlamaLike, Names, QkvForm, Sizes};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions};
use crate::nn::ViewSpec;

pub const FAMILY: Family = Family {
    id: "baichuan",
    name: Text::fixed("Baichuan", "百川"),
    help: Text::fixed("Baichuan and Baichuan 2, 7B and 13B", "百川与百川 2，7B 和 13B"),
    model_types: &["baichuan"],
    claims: |_| true,
    spellings: &[],
    default_targets: &["qkv"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "baichuan", "vocab_size": 96, "hidden_size": 36, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 6, "model_max_length": 64, "z_loss_weight": 0 }"#,
};

/// The hidden sizes of the published 7B and 13B models.
const HIDDEN_7B: usize = 4096;
const HIDDEN_13B: usize = 5120;
/// The vocabularies of the published first and second generation.
const VOCABULARY_1: usize = 64_000;
const VOCABULARY_2: usize = 125_696;

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let mut sizes = Sizes::read(config);
    sizes.context = config.size_or("max_position_embeddings", config.size_or("model_max_length", 4096));
    let rope = has_rope(config, sizes.hidden);
    let unit_rows = has_norm_head(config, sizes.vocabulary);
    let view = if rope {
        ViewSpec::rotated(config.rope(sizes.head_dim, 10_000.0))
    } else {
        ViewSpec::alibi(sizes.heads)
    };
    let names = Names { qkv: "self_attn.W_pack", ..Names::LLAMA };
    LlamaLike {
        names,
        qkv: QkvForm::Fused,
        unit_rows,
        variant: Some(variant(rope, unit_rows)),
        ..LlamaLike::seeing(config, sizes, view)
    }
    .build(config, builder)
}

fn variant(rope: bool, norm_head: bool) -> Text {
    match (rope, norm_head) {
        (true, false) => Text::fixed("Baichuan-7B: rotary positions", "Baichuan-7B：旋转位置编码"),
        (true, true) => {
            Text::fixed("Baichuan2-7B: rotary positions, NormHead", "Baichuan2-7B：旋转位置编码、NormHead")
        }
        (false, false) => Text::fixed("Baichuan-13B: ALiBi", "Baichuan-13B：ALiBi"),
        (false, true) => Text::fixed("Baichuan2-13B: ALiBi, NormHead", "Baichuan2-13B：ALiBi、NormHead"),
    }
}

/// The 7B models write `max_position_embeddings`; sizes are the cross-check.
fn has_rope(config: &ConfigJson, hidden: usize) -> bool {
    match config.raw().get("position").map(|value| value.as_str().unwrap_or_default()) {
        None => {}
        Some("rope") => return true,
        Some("alibi") => return false,
        Some(_) => config.problem("`position` must be \"rope\" or \"alibi\"".into()),
    }
    let key = has(config, "max_position_embeddings");
    if key && hidden == HIDDEN_13B {
        config.problem(format!(
            "`max_position_embeddings` speaks for rotary positions, a hidden size of {hidden} for ALiBi: \
             say which with `position` among the overrides"
        ));
    }
    key || hidden == HIDDEN_7B
}

/// The second generation writes `z_loss_weight`; the vocabulary is the cross-check.
fn has_norm_head(config: &ConfigJson, vocabulary: usize) -> bool {
    match config.raw().get("norm_head") {
        None => {}
        Some(Value::Bool(given)) => return *given,
        Some(_) => config.problem("`norm_head` must be true or false".into()),
    }
    let key = has(config, "z_loss_weight");
    if key && vocabulary == VOCABULARY_1 {
        config.problem(format!(
            "`z_loss_weight` speaks for a NormHead, a vocabulary of {vocabulary} against it: \
             say which with `norm_head` among the overrides"
        ));
    }
    key || vocabulary == VOCABULARY_2
}

fn has(config: &ConfigJson, key: &str) -> bool {
    config.raw().get(key).is_some_and(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(changes: &Value) -> ConfigJson {
        let mut map: serde_json::Map<String, Value> = serde_json::from_str(FAMILY.tiny).unwrap();
        map.remove("z_loss_weight");
        map.extend(changes.as_object().unwrap().clone());
        ConfigJson::from_map(map)
    }

    fn variant_of(changes: &Value) -> Result<Option<Text>> {
        Ok(build(&config(changes), &mut Builder::default())?.1.variant)
    }

    #[test]
    fn keys_and_sizes_tell_the_four_models_apart() {
        let large = |hidden: usize, vocabulary: usize| json!({ "hidden_size": hidden, "vocab_size": vocabulary, "num_attention_heads": 32 });
        for (changes, want) in [
            (json!({}), variant(false, false)),
            (json!({"max_position_embeddings": 64}), variant(true, false)),
            (json!({"z_loss_weight": 0}), variant(false, true)),
            (large(4096, 64_000), variant(true, false)),
            (large(4096, 125_696), variant(true, true)),
            (large(5120, 125_696), variant(false, true)),
            (
                json!({"max_position_embeddings": 64, "position": "alibi", "norm_head": true}),
                variant(false, true),
            ),
        ] {
            assert_eq!(variant_of(&changes).unwrap(), Some(want), "{changes}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused_until_it_is_settled() {
        let mut changes = json!({"hidden_size": 5120, "num_attention_heads": 40, "max_position_embeddings": 4096,
            "vocab_size": 64_000, "z_loss_weight": 0});
        let said = variant_of(&changes).unwrap_err().details.join("\n");
        assert!(said.contains("`position`") && said.contains("`norm_head`"), "{said}");
        changes["position"] = "alibi".into();
        changes["norm_head"] = false.into();
        assert_eq!(variant_of(&changes).unwrap(), Some(variant(false, false)));
        assert!(variant_of(&json!({"position": "learned"})).is_err());
        assert!(variant_of(&json!({"norm_head": 1})).is_err());
    }
}
