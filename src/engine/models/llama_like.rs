//! What Llama and its many relatives share: config keys, and the switches in which they differ, tensor names among
//! them. A family of this kind reads its config into a [`LlamaLike`], turns its switches, and builds.

use protocol::{Result, Text};

use super::build::{GatedNames, GatedShape, LinearShape};
use super::experts::Experts;
use super::latent::Latent;
pub use super::names::{Names, NormNames};
use super::{Builder, ConfigJson, Decoder, ModelInfo, NormKind};
use crate::nn::ops::Scores;
use crate::nn::{
    Activation, Attention, Block, FeedForward, GateUp, GatedMlp, Head, Mlp, Norm, Proj, QkNorm, QkvProj,
    Role, Rope, Stack, ViewSpec,
};

/// Sizes under the keys that most configs use.
#[derive(Clone, Debug)]
pub struct Sizes {
    pub vocabulary: usize,
    pub layers: usize,
    pub hidden: usize,
    pub inner: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub context: usize,
    pub tied: bool,
}

/// Which linear maps have a bias.
#[derive(Clone, Copy, Debug, Default)]
pub struct Biases {
    pub qkv: bool,
    pub output: bool,
    pub mlp: bool,
    pub head: bool,
}

/// Where query, key and value come from; see [`QkvProj`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QkvForm {
    Split,
    Fused,
    Grouped,
}

/// Norms of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QkNorms {
    None,
    PerHead,
    Whole,
    /// LayerNorms with a gain for each head (Cohere).
    OwnGain {
        eps: f64,
    },
}

/// The feed-forward layer's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MlpForm {
    Gated,
    /// Gate and up in one matrix.
    GatedFused,
    /// Without a gate.
    Plain,
}

/// A decoder: Llama, but for its switches.
#[derive(Clone, Debug)]
pub struct LlamaLike {
    pub sizes: Sizes,
    pub names: Names,
    pub activation: Activation,
    pub biases: Biases,
    pub norm: NormKind,
    pub norms: NormNames,
    pub qk_norms: QkNorms,
    pub qkv: QkvForm,
    /// Keys and values through fewer dimensions, instead of all that.
    pub latent: Option<Latent>,
    pub mlp: MlpForm,
    pub experts: Option<Experts>,
    pub parallel: bool,
    pub scores: Scores,
    /// At least one.
    pub views: Vec<ViewSpec>,
    /// The view of each layer; all have the first where it is empty.
    pub view_of: Vec<usize>,
    pub embedding_scale: f64,
    pub residual_scale: f64,
    /// See [`Block::normed_residual`].
    pub normed_residual: Option<f64>,
    pub head_scale: f64,
    pub head_softcap: Option<f64>,
    /// See [`Head::unit_rows`].
    pub unit_rows: bool,
    pub initializer_range: f64,
    pub variant: Option<Text>,
}

impl Biases {
    /// Llama's keys: `attention_bias` for four matrices, `mlp_bias` for three.
    pub fn of_attention(config: &ConfigJson) -> Self {
        let attention = config.flag("attention_bias", false);
        Self { qkv: attention, output: attention, mlp: config.flag("mlp_bias", false), head: false }
    }
}

impl Sizes {
    /// Problems are gathered in the config.
    pub fn read(config: &ConfigJson) -> Self {
        let hidden = config.size("hidden_size");
        let heads = config.count("num_attention_heads");
        let kv_heads = config.size_or("num_key_value_heads", heads);
        if !heads.is_multiple_of(kv_heads) {
            config.problem(format!("{heads} query heads cannot share {kv_heads} key heads evenly"));
        }
        if !hidden.is_multiple_of(heads)
            && config.raw().get("head_dim").is_none_or(serde_json::Value::is_null)
        {
            config.problem(format!("a hidden size of {hidden} is not divisible by {heads} heads"));
        }
        Self {
            vocabulary: config.size("vocab_size"),
            layers: config.count("num_hidden_layers"),
            hidden,
            inner: config.size_or("intermediate_size", 4 * hidden),
            heads,
            kv_heads,
            head_dim: config.size_or("head_dim", (hidden / heads).max(1)),
            context: config.size_or("max_position_embeddings", 2048),
            tied: config.flag("tie_word_embeddings", false),
        }
    }
}

impl LlamaLike {
    /// Llama itself; a relative changes what differs before it builds.
    pub fn read(config: &ConfigJson) -> Self {
        let sizes = Sizes::read(config);
        let rope = config.rope(sizes.head_dim, 10_000.0);
        Self::of(config, sizes, rope)
    }

    /// As [`read`](Self::read), with sizes and rotary embedding that are not where Llama has them.
    pub fn of(config: &ConfigJson, sizes: Sizes, rope: Rope) -> Self {
        Self::seeing(config, sizes, ViewSpec::rotated(rope))
    }

    /// The same where tokens may see one another in another way.
    pub fn seeing(config: &ConfigJson, sizes: Sizes, view: ViewSpec) -> Self {
        Self {
            names: Names::LLAMA,
            activation: config.activation(&["hidden_act", "hidden_activation"], Activation::Silu),
            biases: Biases::default(),
            norm: NormKind::Rms { eps: config.number_or("rms_norm_eps", 1e-6) },
            norms: NormNames::PRE,
            qk_norms: QkNorms::None,
            qkv: QkvForm::Split,
            latent: None,
            mlp: MlpForm::Gated,
            experts: None,
            parallel: false,
            scores: Scores::scaled((sizes.head_dim as f64).powf(-0.5)),
            views: vec![view],
            view_of: Vec::new(),
            embedding_scale: 1.0,
            residual_scale: 1.0,
            normed_residual: None,
            head_scale: 1.0,
            head_softcap: None,
            unit_rows: false,
            initializer_range: config.number_or("initializer_range", 0.02),
            variant: None,
            sizes,
        }
    }

    /// Neighbours are rotated together.
    pub fn interleaved(mut self) -> Self {
        self.views.iter_mut().filter_map(|view| view.rope.as_mut()).for_each(|rope| rope.interleaved = true);
        self
    }

    /// All layers look back over the window that config.json names, if it does.
    pub fn windowed(mut self, config: &ConfigJson) -> Self {
        let window = window(config);
        self.views.iter_mut().for_each(|view| view.window = window);
        self
    }

    /// Some layers look back over `window`: those that `layer_types` names, else those that `by_default` does. They have
    /// `local` instead of the first view.
    pub fn partly_windowed(
        mut self,
        config: &ConfigJson,
        local: ViewSpec,
        by_default: impl Fn(usize) -> bool,
    ) -> Self {
        let layers = self.sizes.layers;
        let local_at = layer_types(config, layers).unwrap_or_else(|| (0..layers).map(by_default).collect());
        self.view_of = local_at.into_iter().map(usize::from).collect();
        self.views = vec![self.views.swap_remove(0), local];
        self
    }

    /// Declares everything and puts the decoder together.
    ///
    /// # Errors
    /// When the config has problems.
    pub fn build(self, config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
        let stack = self.stack(config, builder)?;
        Ok((Box::new(stack), self.info()))
    }

    /// Sizes and views.
    pub fn info(&self) -> ModelInfo {
        let sizes = &self.sizes;
        ModelInfo {
            num_layers: sizes.layers,
            hidden: sizes.hidden,
            inner: self.experts.as_ref().map_or(0, |it| it.work(sizes.hidden)).max(sizes.inner),
            vocabulary: sizes.vocabulary,
            heads: sizes.heads,
            kv_heads: sizes.kv_heads,
            head_dim: sizes.head_dim,
            context: sizes.context,
            learned_positions: false,
            tied_head: sizes.tied,
            views: self.views.clone(),
            whole_prompt: false,
            initializer_range: self.initializer_range,
            variant: self.variant.clone(),
        }
    }

    /// As [`build`](Self::build), for those who put their own decoder around the blocks.
    ///
    /// # Errors
    /// When the config has problems.
    pub fn stack(&self, config: &ConfigJson, builder: &mut Builder) -> Result<Stack> {
        config.finish()?;
        let Sizes { vocabulary, hidden, layers, tied, .. } = self.sizes;
        let names = &self.names;
        let embedding = builder.embedding(names.embedding, vocabulary, hidden);
        let embedding_norm = names.embedding_norm.map(|name| builder.norm(self.norm, name, hidden));
        let blocks = (0..layers).map(|layer| self.block(builder, layer)).collect();
        let norm = builder.norm(self.norm, names.norm, hidden);
        let shape = LinearShape { inputs: hidden, outputs: vocabulary, bias: self.biases.head };
        let proj = if self.biases.head {
            builder.linear(names.head.into(), shape, Role::Head, None)
        } else {
            builder.head(names.head, tied.then_some(&embedding), hidden, vocabulary)
        };
        Ok(Stack {
            embedding,
            embedding_scale: self.embedding_scale,
            positions: None,
            embedding_norm,
            blocks,
            norm,
            head: Head {
                proj,
                scale: self.head_scale,
                softcap: self.head_softcap,
                unit_rows: self.unit_rows,
            },
        })
    }

    fn block(&self, builder: &mut Builder, layer: usize) -> Block {
        let path = format!("{}.{layer}", self.names.layers);
        let attention = self.attention(builder, &path, layer);
        let mlp = self.feed_forward(builder, &path, layer);
        let mut norm = |name: Option<&str>| -> Option<Norm> {
            name.map(|name| builder.norm(self.norm, &format!("{path}.{name}"), self.sizes.hidden))
        };
        Block {
            pre_attention: norm(self.norms.pre_attention),
            attention,
            post_attention: norm(self.norms.post_attention),
            pre_mlp: norm(self.norms.pre_mlp),
            mlp,
            post_mlp: norm(self.norms.post_mlp),
            parallel: self.parallel,
            residual_scale: self.residual_scale,
            normed_residual: self.normed_residual,
        }
    }

    fn attention(&self, builder: &mut Builder, path: &str, layer: usize) -> Attention {
        let Sizes { hidden, heads, kv_heads, head_dim, .. } = self.sizes;
        let qkv = self.qkv(builder, path, layer);
        let value = self.latent.map_or(head_dim, |latent| latent.dims.value);
        let shape = LinearShape { inputs: heads * value, outputs: hidden, bias: self.biases.output };
        let output =
            builder.linear(format!("{path}.{}", self.names.output), shape, Role::Output, Some(layer));
        let norm = self.qk_norm(builder, path);
        let view = self.view_of.get(layer).copied().unwrap_or(0);
        Attention { qkv, output, norm, heads, kv_heads, head_dim, scores: self.scores, view, layer }
    }

    fn qkv(&self, builder: &mut Builder, path: &str, layer: usize) -> QkvProj {
        let Sizes { hidden, heads, kv_heads, head_dim, .. } = self.sizes;
        if let Some(latent) = &self.latent {
            let path = format!("{path}.self_attn");
            return QkvProj::Latent(latent.build(builder, &path, layer, [hidden, heads]));
        }
        let mut linear = |name: &str, inputs, outputs, bias, role| -> Proj {
            let path = format!("{path}.{name}");
            builder.linear(path, LinearShape { inputs, outputs, bias }, role, Some(layer))
        };
        let (q_size, kv_size) = (heads * head_dim, kv_heads * head_dim);
        let (names, bias, fused) = (&self.names, self.biases.qkv, q_size + 2 * kv_size);
        match self.qkv {
            QkvForm::Split => QkvProj::Split {
                q: linear(names.q, hidden, q_size, bias, Role::Query),
                k: linear(names.k, hidden, kv_size, bias, Role::Key),
                v: linear(names.v, hidden, kv_size, bias, Role::Value),
            },
            QkvForm::Fused => {
                let qkv = linear(names.qkv, hidden, fused, bias, Role::FusedQkv);
                let parts = [(Role::Query, q_size), (Role::Key, kv_size), (Role::Value, kv_size)];
                builder.share_out(&qkv, 1, parts);
                QkvProj::Fused(qkv)
            }
            QkvForm::Grouped => {
                let qkv = linear(names.qkv, hidden, fused, bias, Role::FusedQkv);
                let queries = heads / kv_heads * head_dim;
                let parts = [(Role::Query, queries), (Role::Key, head_dim), (Role::Value, head_dim)];
                builder.share_out(&qkv, kv_heads, parts);
                QkvProj::Grouped(qkv)
            }
        }
    }

    fn qk_norm(&self, builder: &mut Builder, path: &str) -> Option<QkNorm> {
        let Sizes { heads, kv_heads, head_dim, .. } = self.sizes;
        let (q, k) = (format!("{path}.{}", self.names.q_norm), format!("{path}.{}", self.names.k_norm));
        let mut norm = |path: &str, size| builder.norm(self.norm, path, size);
        match self.qk_norms {
            QkNorms::None => None,
            QkNorms::PerHead => Some(QkNorm::PerHead { q: norm(&q, head_dim), k: norm(&k, head_dim) }),
            QkNorms::Whole => {
                Some(QkNorm::Whole { q: norm(&q, heads * head_dim), k: norm(&k, kv_heads * head_dim) })
            }
            QkNorms::OwnGain { eps } => Some(QkNorm::OwnGain {
                q: builder.head_gains(&q, heads, head_dim),
                k: builder.head_gains(&k, kv_heads, head_dim),
                eps,
            }),
        }
    }

    fn feed_forward(&self, builder: &mut Builder, path: &str, layer: usize) -> FeedForward {
        let Sizes { hidden, inner, .. } = self.sizes;
        let (activation, bias) = (self.activation, self.biases.mlp);
        let shape = GatedShape { hidden, inner, bias, activation, layer };
        if let Some(experts) = self.experts.as_ref().filter(|experts| experts.sparse[layer]) {
            return FeedForward::Moe(experts.build(builder, path, shape));
        }
        if self.mlp == MlpForm::Gated {
            return FeedForward::Gated(builder.gated(&format!("{path}.mlp"), &GatedNames::PROJ, &shape));
        }
        let mut linear = |name: &str, inputs, outputs, role| -> Proj {
            let path = format!("{path}.{name}");
            builder.linear(path, LinearShape { inputs, outputs, bias }, role, Some(layer))
        };
        if self.mlp == MlpForm::Plain {
            let [up, down] = self.names.plain;
            let up = linear(up, hidden, inner, Role::Up);
            let down = linear(down, inner, hidden, Role::Down);
            return FeedForward::Plain(Mlp { up, down, activation });
        }
        let [gate_up, down] = self.names.gated_fused;
        let gate_up = linear(gate_up, hidden, 2 * inner, Role::FusedGateUp);
        let down = linear(down, inner, hidden, Role::Down);
        builder.share_out(&gate_up, 1, [(Role::Gate, inner), (Role::Up, inner)]);
        FeedForward::Gated(GatedMlp { gate_up: GateUp::Fused(gate_up), down, activation })
    }
}

/// The sliding window in tokens, if there is one.
pub fn window(config: &ConfigJson) -> Option<usize> {
    let set = config.raw().get("sliding_window").is_some_and(|window| !window.is_null());
    set.then(|| config.size("sliding_window"))
}

/// Which layers look back over a window only, where config.json lists them.
fn layer_types(config: &ConfigJson, layers: usize) -> Option<Vec<bool>> {
    let list = config.raw().get("layer_types").filter(|list| !list.is_null())?;
    let kinds: Option<Vec<bool>> = list.as_array().filter(|list| list.len() == layers).and_then(|list| {
        list.iter()
            .map(|kind| match kind.as_str() {
                Some("sliding_attention") => Some(true),
                Some("full_attention") => Some(false),
                _ => None,
            })
            .collect()
    });
    if kinds.is_none() {
        config.problem(format!(
            "`layer_types` does not say `full_attention` or `sliding_attention` for each of {layers} layers"
        ));
    }
    kinds
}
