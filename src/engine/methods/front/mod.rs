//! Adapters that stand in front of the tokens: prefix tuning, P-tuning v2, prompt tuning, P-tuning.

mod chatglm;
mod encoder;
mod files;

use std::path::Path;

use burn::tensor::{DType, Tensor};
use protocol::{Result, TargetReport, Text, UserError, text};
use serde_json::{Map, Value as Json};

use super::{Adapter, Footprint, parts, peft};
use crate::models::{self, Model};
use crate::nn::{
    AdapterView, HeldBeside, KeysValues, ParamId, ParamStore, Pass, Prefix, PrefixAdapter, PromptAdapter,
    Reads, SiteAdapter, SiteId, Value, float_dtype,
};

pub use chatglm::{
    CHATGLM_FILES, CHATGLM_PREFIX, checkpoint_bytes, embedding_width, from_peft, is_chatglm_checkpoint,
    require_chatglm,
};
pub use encoder::{Declare, Encoder};
pub use files::{Kind, PEFT_PREFIX, bytes, config, load, shapes};

/// Where the states go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// Keys and values of every layer, `[tokens, layers · 2 · heads · dim]`: entry 2i is layer i's key, 2i + 1 its value.
    Prefix { layers: usize, heads: usize, dim: usize },
    /// Hidden states before the first block, `[tokens, hidden]`.
    Prompt,
}

impl Front {
    /// The shape of a prefix for a model.
    ///
    /// # Errors
    /// When its attention cannot have one.
    pub fn prefix(model: &Model) -> Result<Self> {
        let [heads, dim] = model.decoder.prefix_shape(&model.info).ok_or_else(|| refused(model))?;
        Ok(Self::Prefix { layers: model.info.num_layers, heads, dim })
    }

    /// # Errors
    /// When the model arranges its tokens in a way of its own.
    pub fn prompt(model: &Model) -> Result<Self> {
        if model.decoder.takes_prompt() { Ok(Self::Prompt) } else { Err(refused(model)) }
    }

    /// Width of the states.
    pub fn width(self, model: &Model) -> usize {
        match self {
            Self::Prefix { layers, heads, dim } => layers * 2 * heads * dim,
            Self::Prompt => model.info.hidden,
        }
    }
}

fn refused(model: &Model) -> UserError {
    let family = &model.family.name;
    UserError::bad_input(text!(
        "{family} has no place in front of its tokens for this method",
        "{family} 的词元之前没有此方法所需的位置"
    ))
    .at_item("method.kind")
    .mend(Text::fixed("choose LoRA or another method", "请选择 LoRA 或其他方法"))
}

/// A soft prompt and what makes it.
#[derive(Clone)]
pub struct FrontAdapter {
    pub params: ParamStore,
    pub encoder: Encoder,
    pub front: Front,
    pub tokens: usize,
    /// Share of the keys and values that training leaves out; of a prefix only.
    pub dropout: f64,
    /// `adapter_config.json`, without the base's path.
    pub config: Map<String, Json>,
}

impl FrontAdapter {
    /// Gives every parameter the value that training begins with.
    pub fn begin(mut self, model: &Model, seed: u64) -> Self {
        parts::draw(&mut self.params, &model.device, seed);
        self
    }

    /// What training would add.
    pub fn footprint(self, base: &Path) -> Footprint {
        let path = if self.front == Front::Prompt { "prompt" } else { "prefix" };
        let parameters = self.params.elements();
        Footprint {
            extra_bytes: 0,
            beside: HeldBeside { reads: Reads::NONE, ..HeldBeside::default() },
            front: self.counted(),
            own: Vec::new(),
            stored: None,
            targets: vec![TargetReport { path: path.into(), rank: 0, alpha: 0.0, parameters }],
            adapter_config: peft::with_base(self.config, &base.display().to_string()),
            added: self.params,
        }
    }

    /// What of it is keys and values, and what hidden states.
    fn counted(&self) -> models::Front {
        let (prompt, prefix) = if self.front == Front::Prompt { (self.tokens, 0) } else { (0, self.tokens) };
        models::Front { prompt, prefix, shift: 0, dropped: self.dropout > 0.0 }
    }

    fn cut(&self, states: Tensor<2>, [layers, heads, dim]: [usize; 3]) -> Prefix {
        let all = states.reshape([self.tokens, 2 * layers, heads, dim]);
        let half = |index: usize| all.clone().narrow(1, index, 1).permute([1, 2, 0, 3]);
        (0..layers).map(|layer| KeysValues { keys: half(2 * layer), values: half(2 * layer + 1) }).collect()
    }
}

impl PrefixAdapter for FrontAdapter {
    fn tokens(&self) -> usize {
        self.tokens
    }

    fn dropout(&self) -> f64 {
        self.dropout
    }

    fn states(&self, pass: &Pass<'_>) -> Prefix {
        let Front::Prefix { layers, heads, dim } = self.front else { return Prefix::new() };
        // Made in f32, as the encoder's parameters are.
        let states = self.encoder.states(&Pass { dtype: DType::F32, ..*pass });
        self.cut(states.cast(float_dtype(pass.dtype)), [layers, heads, dim])
    }
}

impl PromptAdapter for FrontAdapter {
    fn tokens(&self) -> usize {
        self.tokens
    }

    fn states(&self, pass: &Pass<'_>) -> Tensor<2> {
        self.encoder.states(&Pass { dtype: DType::F32, ..*pass })
    }
}

impl AdapterView for FrontAdapter {
    fn params(&self) -> &ParamStore {
        &self.params
    }

    fn site(&self, _: SiteId) -> Option<&dyn SiteAdapter> {
        None
    }

    fn replacement(&self, _: ParamId) -> Option<ParamId> {
        None
    }

    fn prefix(&self) -> Option<&dyn PrefixAdapter> {
        (self.front != Front::Prompt).then_some(self)
    }

    fn prompt(&self) -> Option<&dyn PromptAdapter> {
        (self.front == Front::Prompt).then_some(self)
    }
}

impl Adapter for FrontAdapter {
    fn params_mut(&mut self) -> &mut ParamStore {
        &mut self.params
    }

    fn apart(&self) -> Box<dyn Adapter> {
        Box::new(self.clone())
    }

    fn view(&self) -> &dyn AdapterView {
        self
    }

    fn save(&self, dir: &Path, base: &str) -> Result<()> {
        files::save(self, dir, base)
    }

    fn merged(&self, _: ParamId, _: &Value) -> Option<Value> {
        None
    }

    fn not_mergeable(&self) -> Option<&Text> {
        static WHY: Text = Text::fixed(
            "it stands in front of the text, not in the model's matrices",
            "它位于文本之前，不在模型的矩阵之中",
        );
        Some(&WHY)
    }
}
