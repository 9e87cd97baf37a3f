//! ChatGLM-6B, the first (Du et al. 2022, arXiv:2103.10360): LayerNorm, query, key and value head by head in one matrix,
//! and an order of its own. What stands before `<sop>` is the context: its tokens see one another. The answer begins with
//! `<sop>`; each of its tokens stands where `[gMASK]` (or `[MASK]`) does in the context, and counts on a second axis.
//! Half of each head is turned by the one position, half by the other. Published code: THUDM, `modeling_chatglm.py`.

use burn::tensor::{Device, Int, Tensor, TensorData};
use protocol::{Result, Text};

use super::llama_like::{Biases, LlamaLike, MlpForm, Names, QkvForm, Sizes};
use super::{
    Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PairBias, PrefixPositions, Rows, in_order,
};
use crate::nn::ops::{Causal, Mask};
use crate::nn::{Activation, Order, Pass, Positions, Rope, RopeScaling, Rotary, Stack, View};

pub const FAMILY: Family = Family {
    id: "chatglm-6b",
    name: Text::fixed("ChatGLM-6B", "ChatGLM-6B"),
    help: Text::fixed("The first ChatGLM-6B", "第一代 ChatGLM-6B"),
    model_types: &["chatglm"],
    claims: is_first,
    spellings: &[],
    default_targets: &["qkv"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Unshifted,
    build,
    tiny: r#"{ "model_type": "chatglm", "vocab_size": 96, "hidden_size": 32, "inner_hidden_size": 48, "num_layers": 2,
        "num_attention_heads": 4, "max_sequence_length": 64, "position_encoding_2d": true,
        "mask_token_id": 89, "gmask_token_id": 90, "bos_token_id": 91, "eos_token_id": 2 }"#,
};

/// Both generations call themselves `chatglm`; these keys went with the first.
pub(super) fn is_first(config: &ConfigJson) -> bool {
    ["inner_hidden_size", "position_encoding_2d"].iter().any(|key| config.raw().contains_key(*key))
}

const NAMES: Names = Names {
    embedding: "transformer.word_embeddings",
    layers: "transformer.layers",
    qkv: "attention.query_key_value",
    output: "attention.dense",
    plain: ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
    norm: "transformer.final_layernorm",
    ..Names::LLAMA
};

/// Layers of the published model: its residual factor is √(2·28), and stays that with fewer layers.
const LAYERS: f64 = 28.0;

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    if !config.flag("position_encoding_2d", true) {
        config.problem(
            "`position_encoding_2d` is false: ChatGLM-6B with one position a token is not known".into(),
        );
    }
    let sizes = sizes(config);
    let marks = Marks {
        start: config.size_or("bos_token_id", 150_004) as u32,
        whole: config.size_or("gmask_token_id", 150_001) as u32,
        part: config.size_or("mask_token_id", 150_000) as u32,
    };
    let rope = Rope {
        theta: 10_000.0,
        dim: sizes.head_dim / 2,
        max_position: sizes.context,
        scaling: RopeScaling::Rounded,
        interleaved: false,
    };
    let layers = LlamaLike {
        names: NAMES,
        activation: Activation::GeluTanh,
        biases: Biases { qkv: true, output: true, mlp: true, head: false },
        norm: NormKind::Layer { eps: config.number_or("layernorm_epsilon", 1e-5), bias: true },
        qkv: QkvForm::Grouped,
        mlp: MlpForm::Plain,
        normed_residual: Some((2.0 * LAYERS).sqrt()),
        ..LlamaLike::of(config, sizes, rope.clone())
    };
    let stack = layers.stack(config, builder)?;
    let info = ModelInfo { whole_prompt: true, ..layers.info() };
    Ok((Box::new(ChatGlm { stack, marks, rope }), info))
}

fn sizes(config: &ConfigJson) -> Sizes {
    let hidden = config.size("hidden_size");
    let heads = config.count("num_attention_heads");
    let head_dim = (hidden / heads).max(1);
    if !hidden.is_multiple_of(heads) || !head_dim.is_multiple_of(4) {
        config.problem(format!(
            "a hidden size of {hidden} does not give {heads} heads whose quarters are whole"
        ));
    }
    Sizes {
        vocabulary: config.size("vocab_size"),
        layers: config.count("num_layers"),
        hidden,
        inner: config.size_or("inner_hidden_size", 4 * hidden),
        heads,
        kv_heads: heads,
        head_dim,
        context: config.size_or("max_sequence_length", 2048),
        // The published file holds the head beside the embedding.
        tied: config.flag("tie_word_embeddings", false),
    }
}

/// The tokens that say how a row is arranged.
#[derive(Clone, Copy, Debug)]
struct Marks {
    /// `<sop>`
    start: u32,
    /// `[gMASK]`
    whole: u32,
    /// `[MASK]`
    part: u32,
}

/// The context of a row that has an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Context {
    /// Tokens before `<sop>`.
    len: usize,
    /// Where in it the answer stands.
    gap: usize,
}

impl Marks {
    /// None for a row without `<sop>`: its tokens stand one after the other and see what is behind them.
    fn context(&self, ids: &[u32]) -> Option<Context> {
        let len = ids.iter().position(|id| *id == self.start)?;
        let find = |mark: u32| ids[..len].iter().position(|id| *id == mark);
        let gap = find(self.whole).or_else(|| find(self.part)).unwrap_or(len.saturating_sub(1));
        Some(Context { len, gap })
    }
}

/// Position in the context, and in the answer.
fn place(context: Option<Context>, index: usize) -> (u32, u32) {
    match context {
        Some(Context { len, gap }) if index >= len => (gap as u32, (index - len + 1) as u32),
        _ => (index as u32, 0),
    }
}

struct ChatGlm {
    stack: Stack,
    marks: Marks,
    rope: Rope,
}

/// A text in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TextIn {
    start: usize,
    context: Option<Context>,
}

impl TextIn {
    /// Behind the last key that the token at `query` sees.
    fn seen(self, query: usize) -> usize {
        self.context.map_or(0, |context| self.start + context.len).max(query + 1)
    }
}

impl ChatGlm {
    /// The text of each position of a row.
    fn texts(&self, rows: &Rows<'_>, row: usize) -> Vec<TextIn> {
        let len = rows.len();
        let ids = &rows.ids[row * len..(row + 1) * len];
        let starts: Vec<usize> = match rows.spans {
            Some(spans) => spans.starts(row).iter().map(|start| (*start as usize).min(len)).collect(),
            None => vec![0],
        };
        let ends = starts.iter().skip(1).copied().chain([len]);
        let texts = starts.iter().zip(ends).flat_map(|(start, end)| {
            let text = TextIn { start: *start, context: self.marks.context(&ids[*start..end]) };
            std::iter::repeat_n(text, end - start)
        });
        texts.collect()
    }

    fn view(&self, rows: &Rows<'_>, device: &Device) -> View {
        let mut texts: Vec<_> = (0..rows.rows).map(|row| self.texts(rows, row)).collect();
        // Rows arranged alike need one table.
        if texts.windows(2).all(|pair| pair[0] == pair[1]) {
            texts.truncate(1);
        }
        let (offset, len) = (rows.offset, rows.len());
        let places = texts.iter().flat_map(|texts| {
            let of_pass = texts.iter().enumerate().skip(offset);
            of_pass.map(|(index, text)| place(text.context, index - text.start))
        });
        let (first, second): (Vec<u32>, Vec<u32>) = places.unzip();
        let table = |positions: &[u32]| self.rope.tables(positions, texts.len(), |_| len, device);
        let rotary = Rotary { tables: vec![table(&first), table(&second)], interleaved: false };
        View { rotary: Some(rotary), mask: mask(rows, &texts, device) }
    }
}

/// Every token sees the whole context of its text; in the answer, none sees a later one.
fn mask(rows: &Rows<'_>, texts: &[Vec<TextIn>], device: &Device) -> Mask {
    let (offset, len) = (rows.offset, rows.len());
    let of_pass = |texts: &[TextIn]| texts.iter().copied().enumerate().skip(offset).collect::<Vec<_>>();
    if texts.iter().flat_map(|texts| of_pass(texts)).all(|(query, text)| text.seen(query) == query + 1) {
        let Order { offset, starts, .. } = rows.order();
        return Mask::Causal(Causal { offset, starts, ..Causal::default() });
    }
    let mut bias = Vec::with_capacity(texts.len() * (len - offset) * len);
    for (query, text) in texts.iter().flat_map(|texts| of_pass(texts)) {
        let seen = text.start..text.seen(query);
        bias.extend((0..len).map(|key| if seen.contains(&key) { 0.0 } else { NOT_VISIBLE }));
    }
    let shape = [texts.len(), 1, len - offset, len];
    Mask::Bias(Tensor::from_data(TensorData::new(bias, shape), device))
}

const NOT_VISIBLE: f32 = -1e9;

impl Decoder for ChatGlm {
    fn prefix_shape(&self, info: &ModelInfo) -> Option<[usize; 2]> {
        self.stack.prefix_shape(info)
    }

    fn pair_bias(&self, _: &ModelInfo) -> Option<PairBias> {
        Some(PairBias { heads: 1, learned: false })
    }

    fn positions(&self, info: &ModelInfo, rows: &Rows<'_>, device: &Device) -> Result<Positions> {
        Ok(Positions { views: vec![self.view(rows, device)], ..in_order(info, rows, device) })
    }

    fn embed(&self, pass: &Pass<'_>, ids: Tensor<2, Int>) -> Tensor<3> {
        self.stack.embed(pass, ids)
    }

    fn block(&self, index: usize, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        self.stack.block(index, pass, hidden)
    }

    fn final_norm(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        self.stack.final_norm(pass, hidden)
    }

    fn head(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        Decoder::head(&self.stack, pass, hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_stands_where_its_mark_does() {
        let marks = Marks { start: 9, whole: 8, part: 7 };
        let places = |ids: &[u32]| -> Vec<(u32, u32)> {
            let context = marks.context(ids);
            (0..ids.len()).map(|index| place(context, index)).collect()
        };
        assert_eq!(places(&[1, 2, 8, 9, 3, 4]), [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (2, 3)]);
        // A gap within the text, and a mark that is not there.
        assert_eq!(places(&[1, 7, 2, 9, 3])[3..], [(1, 1), (1, 2)]);
        assert_eq!(places(&[1, 2, 9, 3])[2..], [(1, 1), (1, 2)]);
        assert_eq!(places(&[9, 3]), [(0, 1), (0, 2)]);
        assert_eq!(places(&[1, 8, 2]), [(0, 0), (1, 0), (2, 0)]);
    }
}
