//! CPM-Ant, 1B to 10B (OpenBMB): a soft prompt in front of the text, a position bias by distance and by segment.
//! Two layouts: the original one with scaled products, and the plain one of the Hugging Face port.
//! Sources: OpenBMB/CPM-Bee, `cpm_live/models/ant_torch.py`; transformers, `models/cpmant`.

use std::sync::Arc;

use burn::tensor::Device;
use burn::tensor::{Int, Tensor};
use data::{Batch, IGNORE};
use protocol::{Result, Text};

use super::cpm::{BlockPlan, CpmBlock, Scaling, Sizes, bias_table};
use super::{
    Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PairBias, PrefixPositions, Rows, in_order,
};
use crate::nn::{DistanceBuckets, Embedding, Norm, ParamId, Pass, Positions, Proj, Relations};

const PREFIX: &str = "cpmant";
/// Which of the soft prompts the reference puts in front of text.
const TASK: usize = 2;
/// Segments of the soft prompt and of the text.
const PROMPT_SEGMENT: usize = 0;
const TEXT_SEGMENT: usize = 2;

pub const FAMILY: Family = Family {
    id: "cpmant",
    name: Text::fixed("CPM-Ant", "CPM-Ant"),
    help: Text::fixed(
        "CPM-Ant 1B to 10B, in the original layout and in that of transformers; learns from rows of token ids",
        "CPM-Ant 1B 至 10B，支持原始布局与 transformers 布局；以词元编号的数据行学习",
    ),
    model_types: &["cpmant"],
    claims: |_| true,
    spellings: &[("cpmant.", "")],
    default_targets: &["q", "v"],
    ignorable: |_| false,
    prefix: PrefixPositions::Unshifted,
    build,
    tiny: r#"{ "model_type": "cpmant", "vocab_size": 96, "hidden_size": 32, "dim_ff": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "dim_head": 8, "init_std": 0.2, "prompt_types": 3, "prompt_length": 2, "segment_types": 3,
        "position_bias_num_buckets": 16, "position_bias_max_distance": 20 }"#,
};

struct CpmAnt {
    embedding: Embedding,
    /// The table of soft prompts, and the row at which the one in use begins.
    prompts: (ParamId, usize),
    prompt_length: usize,
    segments: ParamId,
    segment_types: usize,
    /// On embeddings.
    scale: f64,
    distances: DistanceBuckets,
    bias: ParamId,
    blocks: Vec<CpmBlock>,
    norm: Norm,
    head: Proj,
}

/// What [`Decoder::positions`] arranges for the layers.
struct Arranged {
    relations: Relations,
    /// Whether this pass begins with the soft prompt.
    leads: bool,
}

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let sizes = Sizes::read(config, 512);
    let prompt_length = config.size_or("prompt_length", 32);
    let (prompts, segment_types) = (config.size_or("prompt_types", 32), config.size_or("segment_types", 32));
    if prompts <= TASK || segment_types <= TEXT_SEGMENT || segment_types > 1 << 12 {
        config
            .problem(format!("{prompts} prompt types and {segment_types} segment types: wanted more than 2"));
    }
    let scaling = if config.raw().contains_key("dim_model") { Scaling::Original } else { Scaling::Plain };
    let prompt_rows = prompts.saturating_mul(prompt_length);
    if prompt_rows > 1 << 24 {
        config.problem(format!("{prompts} soft prompts of {prompt_length} tokens"));
    }
    config.finish()?;
    let scale = scaling.factor(sizes.hidden);
    let (rows, own_prompts) = match scaling {
        Scaling::Original => (sizes.vocabulary, true),
        Scaling::Plain => (sizes.vocabulary + prompt_rows, false),
    };
    let embedding = builder.embedding(&format!("{PREFIX}.input_embedding"), rows, sizes.hidden);
    let prompts = if own_prompts {
        let name = format!("{PREFIX}.prompt_embedding.weight");
        (builder.matrix(name, [prompt_rows, sizes.hidden]), TASK * prompt_length)
    } else {
        (embedding.weight, sizes.vocabulary + TASK * prompt_length)
    };
    let segments =
        builder.matrix(format!("{PREFIX}.segment_embedding.weight"), [segment_types, sizes.hidden]);
    let table = sizes.distances.buckets + segment_types * segment_types;
    let bias = bias_table(builder, PREFIX, table, sizes.heads);
    let path = format!("{PREFIX}.encoder");
    let plan = |layer| BlockPlan { path: &path, layer, scaling, attention: true, mlp: true };
    let blocks = (0..sizes.layers).map(|layer| CpmBlock::declare(builder, &sizes, &plan(layer))).collect();
    let kind = NormKind::Rms { eps: sizes.eps };
    let norm = builder.norm(kind, &format!("{path}.output_layernorm"), sizes.hidden);
    let tied = scaling == Scaling::Original || is_tied(config);
    // A tied head has the soft prompts' columns too, as the reference's.
    let columns = if tied { rows } else { sizes.vocabulary };
    let head = builder.head("lm_head", tied.then_some(&embedding), sizes.hidden, columns);
    let info = ModelInfo { variant: Some(variant(scaling)), ..sizes.info(columns, tied) };
    let decoder = CpmAnt {
        embedding,
        prompts,
        prompt_length,
        segments,
        segment_types,
        scale,
        distances: sizes.distances,
        bias,
        blocks,
        norm,
        head: Proj { scale, ..head },
    };
    Ok((Box::new(decoder), info))
}

/// Older files have no head of their own and say nothing of it.
fn is_tied(config: &ConfigJson) -> bool {
    let absent = config.tensors().is_some_and(|names| !names.contains("lm_head.weight"));
    config.flag("tie_word_embeddings", true) || absent
}

fn variant(scaling: Scaling) -> Text {
    match scaling {
        Scaling::Original => Text::fixed("original layout, scaled products", "原始布局，带缩放的矩阵乘"),
        Scaling::Plain => {
            Text::fixed("layout of transformers, plain products", "transformers 布局，普通矩阵乘")
        }
    }
}

/// The text of a row.
struct TextIn {
    /// Behind padding on the left.
    start: usize,
    /// Which of its tokens are context, seen by all; the others are seen by those behind them. No padding.
    context: Vec<bool>,
}

/// In training, what stands before the first learned token is context (transformers' own loss would let every token
/// see what it is to predict); of ids alone nothing is.
fn texts(rows: &Rows<'_>) -> Vec<TextIn> {
    let start =
        |row: usize| rows.spans.and_then(|spans| spans.starts(row).last()).map_or(0, |at| *at as usize);
    // Padding on the left counts as a text.
    let entry = |row: usize| match rows.spans {
        Some(spans) => spans.offsets()[row] + spans.starts(row).len() - 1,
        None => row,
    };
    let context = |row: usize| match (rows.side, rows.batch) {
        (Some(side), _) => side.rows[entry(row)].context.clone(),
        (None, Some(batch)) => learned_context(batch, row),
        (None, None) => vec![false; rows.len() - start(row)],
    };
    (0..rows.rows).map(|row| TextIn { start: start(row), context: context(row) }).collect()
}

fn learned_context(batch: &Batch, row: usize) -> Vec<bool> {
    let labels = &batch.labels[row * batch.len..(row + 1) * batch.len];
    let first = labels.iter().position(|label| *label != IGNORE).unwrap_or(labels.len());
    let length = batch.lengths.get(row).map_or(batch.len, |length| *length as usize);
    (0..length).map(|at| at < first).collect()
}

impl CpmAnt {
    fn arranged<'a>(pass: &'a Pass<'_>) -> &'a Arranged {
        let own = pass.positions.own.as_ref().and_then(|own| own.downcast_ref());
        own.expect("positions come from this family")
    }

    /// The bias table's row for a query and a key, counted from the soft prompt on.
    fn bucket(&self, row: &TextIn, query: usize, key: usize) -> Option<usize> {
        let text = |at: usize| at.checked_sub(self.prompt_length);
        let of_text = |at: usize| row.context.get(at.checked_sub(row.start)?).copied();
        let is_context = |at: usize| text(at).map_or(Some(true), of_text);
        let (Some(asks), Some(seen)) = (is_context(query), is_context(key)) else {
            // Padding sees itself, so that its softmax has something to sum over.
            return (query == key).then_some(0);
        };
        if !seen && (asks || key > query) {
            return None;
        }
        let segment = |at: usize| if text(at).is_some() { TEXT_SEGMENT } else { PROMPT_SEGMENT };
        let (from, to) = (segment(query), segment(key));
        Some(if from == to {
            self.distances.bucket(key as i64 - query as i64)
        } else {
            self.distances.buckets + from * self.segment_types + to
        })
    }

    /// A row of a table, `[1, 1, hidden]`.
    fn row(pass: &Pass<'_>, table: ParamId, row: usize) -> Tensor<3> {
        pass.matrix(table).narrow(0, row, 1).unsqueeze()
    }
}

impl Decoder for CpmAnt {
    fn pair_bias(&self, info: &ModelInfo) -> Option<PairBias> {
        Some(PairBias { heads: info.heads, learned: true })
    }

    fn lead(&self) -> usize {
        self.prompt_length
    }

    /// The soft prompt reads the text that it stands before: each text needs its own.
    fn packs(&self) -> bool {
        false
    }

    fn positions(&self, info: &ModelInfo, rows: &Rows<'_>, device: &Device) -> Result<Positions> {
        let leads = rows.offset == 0;
        let keys = self.prompt_length + rows.len();
        let first = if leads { 0 } else { self.prompt_length + rows.offset };
        let texts = texts(rows);
        let relations = Relations::new([rows.rows, keys - first, keys], device, |row, query, key| {
            self.bucket(&texts[row], first + query, key)
        });
        Ok(Positions { own: Some(Arc::new(Arranged { relations, leads })), ..in_order(info, rows, device) })
    }

    /// `[batch, time, hidden]`, and the soft prompt's positions in front where the pass begins.
    fn embed(&self, pass: &Pass<'_>, ids: Tensor<2, Int>) -> Tensor<3> {
        let batch = ids.dims()[0];
        let text = self.embedding.forward(pass, ids) + Self::row(pass, self.segments, TEXT_SEGMENT);
        if !Self::arranged(pass).leads {
            return text.mul_scalar(self.scale);
        }
        let (table, first) = self.prompts;
        let prompt: Tensor<3> = pass.matrix(table).narrow(0, first, self.prompt_length).unsqueeze();
        let prompt = prompt + Self::row(pass, self.segments, PROMPT_SEGMENT);
        Tensor::cat(vec![prompt.repeat_dim(0, batch), text], 1).mul_scalar(self.scale)
    }

    fn block(&self, index: usize, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        let mask = Self::arranged(pass).relations.mask(pass, self.bias);
        self.blocks[index].forward(pass, hidden, &mask)
    }

    fn final_norm(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        self.norm.forward(pass, hidden)
    }

    fn head(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        self.head.forward(pass, hidden)
    }
}
