//! CPM-Bee, 1B to 10B (OpenBMB): dicts as trees of segments, a position bias by distance within a segment and by
//! the way between segments, numbered special tokens that are turned embeddings.
//! Source: OpenBMB/CPM-Bee, `cpm_live/models/bee_torch.py`.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use data::{BeeBatch, BeeRow, Column, SegmentTree, Spans};
use protocol::{Result, Text};
use serde_json::Value;

use super::cpm::{BlockPlan, CpmBlock, Scaling, Sizes, bias_table};
use super::{
    Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PairBias, PrefixPositions, Rows, in_order,
};
use crate::nn::{
    DistanceBuckets, Embedding, Norm, ParamId, Pass, Positions, Proj, Relations, Rope, RopeScaling, ops,
};

const PREFIX: &str = "cpmbee";
const SEGMENT_BUCKETS: &str = "position_bias_num_segment_buckets";

pub const FAMILY: Family = Family {
    id: "cpmbee",
    name: Text::fixed("CPM-Bee", "CPM-Bee"),
    help: Text::fixed(
        "CPM-Bee 1B to 10B, pruned ones too; learns from dicts (format cpm-bee)",
        "CPM-Bee 1B 至 10B，含剪枝版本；以字典形式学习（格式 cpm-bee）",
    ),
    model_types: &["cpmbee"],
    claims: |_| true,
    spellings: &[("cpmbee.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("inv_freq"),
    prefix: PrefixPositions::Unshifted,
    build,
    tiny: r#"{ "model_type": "cpmbee", "vocab_size": 96, "hidden_size": 32, "dim_ff": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "dim_head": 8, "position_bias_num_buckets": 32,
        "position_bias_num_segment_buckets": 64, "init_std": 0.2, "position_bias_max_distance": 64 }"#,
};

struct CpmBee {
    embedding: Embedding,
    /// 1/√hidden, on embeddings.
    scale: f64,
    /// Turns the embeddings of numbered tokens, over the whole width.
    rope: Rope,
    /// Positions that one sub id is worth.
    step: u32,
    distances: DistanceBuckets,
    bias: ParamId,
    blocks: Vec<CpmBlock>,
    norm: Norm,
    head: Proj,
}

/// What [`Decoder::positions`] arranges for the layers.
struct Arranged {
    relations: Relations,
    /// For embeddings, where a token is numbered.
    turned: Option<(Tensor<3>, Tensor<3>)>,
    /// Ids `[columns]` and turns of the columns behind the vocabulary's, where there are some.
    columns: Option<(Tensor<1, Int>, (Tensor<3>, Tensor<3>))>,
}

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let sizes = Sizes::read(config, 256);
    let segments = config.size_or(SEGMENT_BUCKETS, 256);
    if segments + 1 < SegmentTree::RELATIONS {
        config.problem(format!("`{SEGMENT_BUCKETS}` is {segments}, wanted at least 64"));
    }
    if !sizes.hidden.is_multiple_of(2) {
        config.problem(format!("a width of {} cannot be turned: wanted an even number", sizes.hidden));
    }
    let kept = kept_halves(config, sizes.layers);
    let step = config.size_or("distance_scale", 16) as u32;
    config.finish()?;
    let embedding = builder.embedding(&format!("{PREFIX}.input_embedding"), sizes.vocabulary, sizes.hidden);
    let rows = sizes.distances.buckets + segments;
    let bias = bias_table(builder, PREFIX, rows, sizes.heads);
    let path = format!("{PREFIX}.encoder");
    let plan = |(layer, (attention, mlp))| BlockPlan {
        path: &path,
        layer,
        scaling: Scaling::Original,
        attention,
        mlp,
    };
    let blocks = kept.into_iter().enumerate().map(plan);
    let blocks = blocks.map(|plan| CpmBlock::declare(builder, &sizes, &plan)).collect();
    let kind = NormKind::Rms { eps: sizes.eps };
    let norm = builder.norm(kind, &format!("{path}.output_layernorm"), sizes.hidden);
    let scale = Scaling::Original.factor(sizes.hidden);
    let head = builder.head("lm_head", Some(&embedding), sizes.hidden, sizes.vocabulary);
    let decoder = CpmBee {
        embedding,
        scale,
        rope: Rope {
            theta: 10_000.0,
            dim: sizes.hidden,
            max_position: sizes.distances.max_distance,
            scaling: RopeScaling::None,
            interleaved: false,
        },
        step,
        distances: sizes.distances,
        bias,
        blocks,
        norm,
        head: Proj { scale, ..head },
    };
    Ok((Box::new(decoder), sizes.info(sizes.vocabulary, true)))
}

/// Which layers have attention and which a feed-forward half: by `mask_modules`, whose flags are those that are
/// missing, else by the tensors that are there.
fn kept_halves(config: &ConfigJson, layers: usize) -> Vec<(bool, bool)> {
    let listed = config.raw().get("mask_modules").filter(|list| !list.is_null());
    if let Some(listed) = listed {
        let missing = |layer: &Value| -> Option<(bool, bool)> {
            let flag = |at: usize| {
                let value = layer.get(at)?;
                value.as_bool().or_else(|| value.as_u64().map(|number| number != 0))
            };
            Some((!flag(0)?, !flag(1)?))
        };
        let halves: Option<Vec<_>> = listed.as_array().and_then(|list| list.iter().map(missing).collect());
        if let Some(halves) = halves.filter(|halves| halves.len() == layers) {
            return halves;
        }
        config.problem(format!("`mask_modules` must hold two flags for each of the {layers} layers"));
    }
    let there = |layer: usize, half: &str| {
        let Some(tensors) = config.tensors() else { return true };
        let name = format!("encoder.layers.{layer}.{half}.");
        tensors.iter().any(|tensor| tensor.strip_prefix("cpmbee.").unwrap_or(tensor).starts_with(&name))
    };
    (0..layers).map(|layer| (there(layer, "self_att"), there(layer, "ffn"))).collect()
}

impl CpmBee {
    fn arranged<'a>(&self, pass: &'a Pass<'_>) -> &'a Arranged {
        let own = pass.positions.own.as_ref().and_then(|own| own.downcast_ref());
        own.expect("positions come from this family")
    }

    fn tables(&self, subs: &[u32], rows: usize, device: &Device) -> (Tensor<3>, Tensor<3>) {
        let positions: Vec<u32> = subs.iter().map(|sub| sub.saturating_mul(self.step)).collect();
        self.rope.tables(&positions, rows, |_| 0, device)
    }

    fn columns(&self, columns: &[Column], device: &Device) -> (Tensor<1, Int>, (Tensor<3>, Tensor<3>)) {
        let ids: Vec<i32> = columns.iter().map(|column| column.id as i32).collect();
        let subs: Vec<u32> = columns.iter().map(|column| column.sub).collect();
        let ids = Tensor::from_data(TensorData::new(ids, [columns.len()]), device);
        (ids, self.tables(&subs, 1, device))
    }

    /// The bias table's row for a query and a key of a row, if the query sees the key.
    fn bucket(&self, row: &BeeRow, ways: &mut Ways, query: usize, key: usize) -> Option<usize> {
        let (Some(asks), Some(seen)) = (row.context.get(query), row.context.get(key)) else {
            // Padding sees itself, so that its softmax has something to sum over.
            return (query == key).then_some(0);
        };
        let visible = *seen || (!*asks && key <= query);
        if !visible {
            return None;
        }
        let ahead = key as i64 - query as i64;
        Some(match ways.relation(row, query, key) {
            0 => self.distances.bucket(ahead),
            relation => self.distances.buckets + relation as usize - 1,
        })
    }
}

/// Relations between the segments of one row, found once for each segment that asks.
struct Ways {
    /// The lowest segment of the row: of a row that was cut, there are only some.
    first: u32,
    last: u32,
    found: Vec<Option<Vec<u32>>>,
}

impl Ways {
    fn new(row: &BeeRow) -> Self {
        let first = row.segments.iter().copied().min().unwrap_or(0);
        let last = row.segments.iter().copied().max().unwrap_or(0);
        Self { first, last, found: vec![None; (last - first) as usize + 1] }
    }

    fn relation(&mut self, row: &BeeRow, query: usize, key: usize) -> u32 {
        let (from, to) = (row.segments[query], row.segments[key]);
        let segments = self.first..=self.last;
        let all = || segments.map(|to| row.tree.relation(from, to)).collect();
        self.found[(from - self.first) as usize].get_or_insert_with(all)[(to - self.first) as usize]
    }
}

impl Decoder for CpmBee {
    fn pair_bias(&self, info: &ModelInfo) -> Option<PairBias> {
        Some(PairBias { heads: info.heads, learned: true })
    }

    fn positions(&self, info: &ModelInfo, rows: &Rows<'_>, device: &Device) -> Result<Positions> {
        let plain;
        let side = match rows.side {
            Some(side) => side,
            None => {
                let lengths = rows.spans.map(|spans| spans.lengths(rows.len()));
                plain = BeeBatch::plain(&lengths.unwrap_or_else(|| vec![rows.len(); rows.rows]));
                &plain
            }
        };
        let (offset, time, keys) = (rows.offset, rows.time(), rows.len());
        // The dict that each position of a row is in, and where it begins.
        let offsets = rows.spans.map(Spans::offsets);
        let dicts = |row: usize| -> Vec<(usize, usize)> {
            match (rows.spans, &offsets) {
                (Some(spans), Some(offsets)) => {
                    let of_row = spans.of(row, 0..keys);
                    of_row.map(|(text, start)| (offsets[row] + text, start)).collect()
                }
                _ => vec![(row, 0); keys],
            }
        };
        let places: Vec<_> = (0..rows.rows).map(dicts).collect();
        let mut ways: Vec<Ways> = side.rows.iter().map(Ways::new).collect();
        let relations = Relations::new([rows.rows, time, keys], device, |row, query, key| {
            let (dict, start) = places[row][offset + query];
            if places[row][key].0 != dict {
                return None;
            }
            self.bucket(&side.rows[dict], &mut ways[dict], offset + query - start, key - start)
        });
        let sub = |(at, (dict, start)): (usize, &(usize, usize))| {
            side.rows[*dict].subs.get(at - start).copied().unwrap_or(0)
        };
        let subs: Vec<u32> =
            places.iter().flat_map(|of_row| of_row.iter().enumerate().skip(offset).map(sub)).collect();
        let turned = subs.iter().any(|sub| *sub > 0).then(|| self.tables(&subs, rows.rows, device));
        let columns = side.columns();
        let columns = (!columns.is_empty()).then(|| self.columns(columns, device));
        let own = Arranged { relations, turned, columns };
        Ok(Positions { own: Some(Arc::new(own)), ..in_order(info, rows, device) })
    }

    fn embed(&self, pass: &Pass<'_>, ids: Tensor<2, Int>) -> Tensor<3> {
        let embedded = self.embedding.forward(pass, ids).mul_scalar(self.scale);
        match &self.arranged(pass).turned {
            Some(tables) => turn(embedded, tables),
            None => embedded,
        }
    }

    fn block(&self, index: usize, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        let mask = self.arranged(pass).relations.mask(pass, self.bias);
        self.blocks[index].forward(pass, hidden, &mask)
    }

    fn final_norm(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        self.norm.forward(pass, hidden)
    }

    /// Behind the vocabulary's columns those of the batch's extension table.
    fn head(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        let words = self.head.forward(pass, hidden.clone());
        let Some((ids, tables)) = &self.arranged(pass).columns else { return words };
        let rows = pass.matrix(self.embedding.weight).select(0, ids.clone()).mul_scalar(self.scale);
        let rows = turn(rows.unsqueeze(), tables).squeeze_dim::<2>(0);
        Tensor::cat(vec![words, ops::linear(hidden, rows)], 2)
    }
}

/// `[batch, time, width]`, each vector turned over its whole width.
fn turn(x: Tensor<3>, (cos, sin): &(Tensor<3>, Tensor<3>)) -> Tensor<3> {
    ops::rope(x.unsqueeze_dim::<4>(1), cos.clone(), sin.clone(), false).squeeze_dim::<3>(1)
}
