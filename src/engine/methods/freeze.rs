//! Training of the last blocks, the others frozen.

use protocol::{ParamKind, ParamSpec, Result, Text, UserError, text};
use serde_json::{Map, Value as Json, json};

use super::parts::{self, Parts};
use super::{Method, peft};
use crate::models::Model;
use crate::nn::{ParamId, Role};

pub const METHOD: Method = Method {
    id: "freeze",
    name: Text::fixed("Last blocks", "只训练最后几层"),
    help: Text::fixed(
        "Trains the last blocks whole and freezes the rest. Stores only what it trained",
        "完整训练最后几层，冻结其余部分。只保存训练过的参数",
    ),
    params,
    peft_type: Some("FREEZE"),
    attach: |model, settings, context| {
        Ok(Some(Box::new(declared(model, settings)?.begin(model, context.seed))))
    },
    footprint: |model, settings, base| Ok(declared(model, settings)?.footprint(model, base)),
    load: |dir, model| Ok(Box::new(parts::read(dir, model, Parts::new, parts::declare_copy)?)),
    shapes: |dir, model| parts::shapes(dir, model, Parts::new, parts::declare_copy),
};

fn params() -> Vec<ParamSpec> {
    let switch = |key: &str, name, help| ParamSpec {
        key: key.into(),
        name,
        help,
        kind: ParamKind::Switch { default: false },
        advanced: true,
    };
    vec![
        ParamSpec {
            key: "blocks".into(),
            name: Text::fixed("Blocks", "层数"),
            help: Text::fixed("How many of the last blocks are trained", "训练最后多少层"),
            kind: ParamKind::Integer { default: 2, min: 0, max: 1000 },
            advanced: false,
        },
        switch(
            "final_norm",
            Text::fixed("Final norm", "最终归一化"),
            Text::fixed("Trains the norm behind the last block, too", "同时训练最后一层之后的归一化"),
        ),
        switch(
            "head",
            Text::fixed("Head", "输出头"),
            Text::fixed(
                "Trains the output matrix, too; with tied weights this is the embedding",
                "同时训练输出矩阵；权重共用时即为词嵌入",
            ),
        ),
        switch(
            "embedding",
            Text::fixed("Embedding", "词嵌入"),
            Text::fixed("Trains the token embedding, too", "同时训练词嵌入"),
        ),
    ]
}

fn declared(model: &Model, settings: &Map<String, Json>) -> Result<Parts> {
    let blocks = settings.get("blocks").and_then(Json::as_u64).unwrap_or(2) as usize;
    let layers = model.info.num_layers;
    if blocks > layers {
        return Err(UserError::bad_input(text!(
            "The last {blocks} blocks cannot be trained: this model has {layers}",
            "无法训练最后 {blocks} 层：该模型只有 {layers} 层"
        ))
        .at_item("method.blocks")
        .mend(text!("choose {layers} or fewer", "请选择不超过 {layers} 层")));
    }
    let chosen = chosen(model, settings, layers - blocks);
    if chosen.is_empty() {
        return Err(UserError::bad_input(Text::fixed("Nothing would be trained", "没有任何可训练的参数"))
            .at_item("method.blocks")
            .mend(Text::fixed("choose at least one block", "请至少选择一层")));
    }
    let mut parts = Parts::new(peft::config_of("FREEZE", json!({ "blocks": blocks })));
    for id in chosen {
        parts.replace(model, id, model.params.get(id).name.clone());
    }
    Ok(parts)
}

fn chosen(model: &Model, settings: &Map<String, Json>, first: usize) -> Vec<ParamId> {
    let on = |key: &str| settings.get(key).and_then(Json::as_bool).unwrap_or(false);
    let prefixes: Vec<Option<String>> =
        (0..model.info.num_layers).map(|layer| model.block_path(layer)).collect();
    let layer_of = |name: &str| {
        prefixes.iter().position(|path| path.as_ref().is_some_and(|path| name.starts_with(path.as_str())))
    };
    let has_role =
        |id: ParamId, role: Role| model.sites.iter().any(|site| site.weight == id && site.role == role);
    let wanted = |id: ParamId, name: &str| match layer_of(name) {
        Some(layer) => layer >= first,
        None if has_role(id, Role::Head) && on("head") => true,
        None if has_role(id, Role::Embedding) => on("embedding"),
        None => on("final_norm") && model.params.get(id).shape.len() == 1,
    };
    let params = model.params.iter().filter(|(id, param)| wanted(*id, &param.name));
    params.map(|(id, _)| id).collect()
}
