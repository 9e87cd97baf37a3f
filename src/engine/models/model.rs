//! A model on a device: layers, parameters, sites.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use protocol::{Result, Text, UserError, text};

use super::{Decoder, Family, Front, Growth, HiddenShape, Rows, lanes_in_order};
use crate::nn::{
    AdapterView, DropoutKey, KeysValues, KvCache, ParamId, ParamStore, Pass, Positions, Prefix, Quantization,
    Role, Site, SiteKind, Stages, Stream, Tape, Value, ViewSpec, on, ops, packed::Outputs,
};

/// Sizes of a model, as config.json gives them.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    pub num_layers: usize,
    pub hidden: usize,
    /// Width of the feed-forward layer; with experts, of all that a token goes through in one.
    pub inner: usize,
    pub vocabulary: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Longest sequence the model was made for, in tokens.
    pub context: usize,
    /// Positions beyond `context` do not exist (learned embedding), rather than merely being untrained.
    pub learned_positions: bool,
    pub tied_head: bool,
    /// One a kind of attention layer; see [`Attention::view`](crate::nn::Attention).
    pub views: Vec<ViewSpec>,
    /// A prompt must go through the model in one piece, because its tokens see one another (prefix-LM).
    pub whole_prompt: bool,
    pub initializer_range: f64,
    /// Which of several members of the family this is, where they differ in kind.
    pub variant: Option<Text>,
}

/// A decoder with its parameters.
pub struct Model {
    /// The folder it comes from.
    pub dir: PathBuf,
    pub family: &'static Family,
    pub info: ModelInfo,
    pub decoder: Box<dyn Decoder>,
    pub params: ParamStore,
    pub sites: Vec<Site>,
    /// Tokens that the files do not have.
    pub growth: Option<Arc<Growth>>,
    pub device: Device,
    /// Dtype of activations and matrix products.
    pub dtype: DType,
    /// How the matrices of the blocks are kept ([`block_linears`](Self::block_linears)); None: dense.
    pub quantization: Option<Quantization>,
    /// Brings the matrices of blocks that are elsewhere; None where all weights are on the device.
    pub stream: Option<Stream>,
    /// Where each block is; None where all are on `device`, on which everything else is in any case.
    pub stages: Option<Stages>,
}

/// What distinguishes one pass from another.
#[derive(Clone, Copy, Default)]
pub struct PassOptions<'a> {
    pub adapter: Option<&'a dyn AdapterView>,
    pub tape: Option<&'a Tape>,
    /// Stands in place of the positions' prefix while that learns.
    pub prefix: Option<&'a [KeysValues]>,
    pub cache: Option<&'a RefCell<KvCache>>,
    pub dropout: Option<DropoutKey>,
}

impl Model {
    /// Where the tokens of a pass stand, behind whatever the adapter puts in front of them.
    ///
    /// # Errors
    /// When the family has no such positions (GPT-2 beyond its position embedding), or cannot arrange the rows.
    pub fn positions(&self, rows: &Rows<'_>, adapter: Option<&dyn AdapterView>) -> Result<Positions> {
        let front = Front::of(adapter, self.family.prefix);
        let rows = &Rows { front, ..*rows };
        let (_, time) = rows.span();
        self.require_positions(rows.order().length())?;
        let mut positions = self.decoder.positions(&self.info, rows, &self.device)?;
        for view in &mut positions.views {
            let mask = ops::behind(view.mask.clone(), front.prefix - front.shift);
            view.mask = ops::ready_mask(mask, time, &self.device, self.dtype);
        }
        if rows.offset == 0 {
            positions.prefix = self.prefix(&positions, PassOptions { adapter, ..PassOptions::default() });
        }
        Ok(positions)
    }

    /// Where tokens stand that follow in each of several rows: `fed` of each, padded to `time`. So many `tokens` of each
    /// are in the cache already, where all end together at place `width`. For families whose tokens stand one after the
    /// other.
    ///
    /// # Errors
    /// As [`positions`](Self::positions).
    pub fn lanes(
        &self,
        tokens: &[usize],
        fed: &[usize],
        (time, width): (usize, usize),
        adapter: Option<&dyn AdapterView>,
    ) -> Result<Positions> {
        let first = tokens.first().copied().unwrap_or(0);
        // Rows that stand alike, without padding, are one rectangle.
        let even = fed.iter().all(|fed| *fed == time);
        let alike = even && first > 0 && tokens.iter().all(|tokens| *tokens == first);
        if alike && self.before(adapter) + first == width {
            let all = vec![0; tokens.len() * (first + time)];
            return self.positions(&Rows { offset: first, ..Rows::fresh(&all, tokens.len()) }, adapter);
        }
        let front = Front::of(adapter, self.family.prefix);
        let rows: Vec<(usize, usize)> = tokens.iter().copied().zip(fed.iter().copied()).collect();
        let longest = rows.iter().map(|(tokens, fed)| tokens + fed).max().unwrap_or(0);
        self.require_positions(front.shift + front.prompt + longest)?;
        Ok(lanes_in_order(self, front, &rows, (time, width)))
    }

    fn require_positions(&self, end: usize) -> Result<()> {
        let context = self.info.context;
        if !self.info.learned_positions || end <= context {
            return Ok(());
        }
        Err(UserError::bad_input(text!(
            "{end} tokens do not fit: this model has positions for {context}",
            "{end} 个词元放不下：该模型只有 {context} 个位置"
        ))
        .mend(text!(
            "shorten the text, or set `max_length` to {context} or less",
            "请缩短文本，或将 `max_length` 设为不超过 {context}"
        )))
    }

    /// Whether a row of this many tokens has positions that a shorter one has not: such rows share no rectangle.
    pub fn stretches(&self, tokens: usize) -> bool {
        let ropes = self.info.views.iter().filter_map(|view| view.rope.as_ref());
        ropes.filter_map(|rope| rope.stretches_beyond()).any(|length| tokens > length)
    }

    /// Logits of rows `[rows, hidden]` of the hidden state, `[rows, columns]`.
    pub fn head(&self, hidden: Tensor<2>, pass: &Pass<'_>) -> Tensor<2> {
        let rows = hidden.dims()[0];
        let logits = self.decoder.head(pass, self.decoder.final_norm(pass, hidden.unsqueeze()));
        let columns = logits.dims()[2];
        logits.reshape([rows, columns])
    }

    /// The keys and values that the adapter puts in front of every row: the same graph for all of them.
    pub fn prefix(&self, positions: &Positions, options: PassOptions<'_>) -> Prefix {
        let prefix = options.adapter.and_then(AdapterView::prefix);
        prefix.map(|prefix| prefix.states(&self.pass(positions, options))).unwrap_or_default()
    }

    /// Positions in front of the first token in a pass that begins with it: those of the family's, and of the adapter's.
    pub fn lead(&self, adapter: Option<&dyn AdapterView>) -> usize {
        self.decoder.lead() + Front::of(adapter, self.family.prefix).prompt
    }

    /// Places in a cache in front of a row's first token.
    pub fn before(&self, adapter: Option<&dyn AdapterView>) -> usize {
        self.lead(adapter) + Front::of(adapter, self.family.prefix).prefix
    }

    pub fn pass<'a>(&'a self, positions: &'a Positions, options: PassOptions<'a>) -> Pass<'a> {
        let PassOptions { adapter, tape, prefix, cache, dropout } = options;
        Pass {
            base: &self.params,
            adapter,
            dtype: self.dtype,
            positions,
            tape,
            prefix,
            cache,
            dropout,
            at: None,
        }
    }

    /// Ids to the device, `[batch, time]`.
    ///
    /// # Errors
    /// When an id lies beyond the embedding: looking it up would read another row or fault.
    pub fn ids(&self, ids: &[u32], batch: usize) -> Result<Tensor<2, Int>> {
        let rows = self.info.vocabulary;
        if let Some(bad) = ids.iter().find(|id| **id as usize >= rows) {
            return Err(UserError::bad_input(text!(
                "Token id {bad} lies beyond the model's {rows} embedding rows",
                "词元编号 {bad} 超出模型的 {rows} 行词嵌入"
            )));
        }
        let signed: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
        let time = ids.len() / batch.max(1);
        Ok(Tensor::from_data(TensorData::new(signed, [batch, time]), &self.device))
    }

    /// Hidden state after the last block, before the final norm, without a graph.
    pub fn hidden(&self, pass: &Pass<'_>, ids: Tensor<2, Int>) -> Tensor<3> {
        let mut hidden = self.decoder.embed(pass, ids);
        let count = self.info.num_layers;
        for index in 0..count {
            // After the last block comes the first one, for the next token or batch.
            hidden = self.block(index, Some((index + 1) % count), pass, hidden);
        }
        on(hidden, &self.device)
    }

    /// Block `index` on its device, with its weights brought there if they are elsewhere, and those of block `next` read
    /// meanwhile.
    pub fn block(&self, index: usize, next: Option<usize>, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        let _at_work = self.stream.as_ref().map(|stream| stream.enter(index, next));
        let Some(device) = self.stages.as_ref().and_then(|stages| stages.device(index)) else {
            return self.decoder.block(index, pass, hidden);
        };
        let hidden = on(hidden, device);
        if *device == self.device {
            return self.decoder.block(index, &Pass { at: Some(device), ..*pass }, hidden);
        }
        let positions = pass.positions.on(device);
        self.decoder.block(index, &Pass { at: Some(device), positions: &positions, ..*pass }, hidden)
    }

    /// Where block `index` computes.
    pub fn device_of(&self, index: usize) -> &Device {
        self.stages.as_ref().and_then(|stages| stages.device(index)).unwrap_or(&self.device)
    }

    /// The block that a parameter belongs to by its name, of the model's own or of an adapter's.
    pub fn block_of(&self, name: &str) -> Option<usize> {
        let layer = self.sites.iter().find_map(|site| site.layer)?;
        let path = self.block_path(layer)?;
        let stem = path.strip_suffix(&format!("{layer}."))?;
        let rest = name.get(name.find(stem)? + stem.len()..)?;
        rest.split_once('.')?.0.parse().ok().filter(|block| *block < self.info.num_layers)
    }

    /// Where a parameter of this name belongs.
    pub fn place_of(&self, name: &str) -> &Device {
        self.block_of(name).map_or(&self.device, |block| self.device_of(block))
    }

    /// Brings parameters to where they belong.
    pub fn settle(&mut self) {
        if self.stages.is_none() {
            return;
        }
        let places: Vec<Device> =
            self.params.iter().map(|(_, param)| self.place_of(&param.name).clone()).collect();
        for (param, device) in self.params.iter_mut().zip(&places) {
            param.value = std::mem::replace(&mut param.value, Value::Absent).on(device);
        }
    }

    /// The matrices that may be elsewhere while they are frozen, and the block of each.
    pub fn streamable(&self) -> impl Iterator<Item = (ParamId, usize)> {
        self.block_linears().filter_map(|site| Some((site.weight, site.layer?)))
    }

    /// Logits `[batch, time, vocabulary]` of every position.
    ///
    /// # Errors
    /// As [`ids`](Self::ids) and [`positions`](Self::positions).
    pub fn logits(&self, ids: &[u32], batch: usize, adapter: Option<&dyn AdapterView>) -> Result<Tensor<3>> {
        let positions = self.positions(&Rows::fresh(ids, batch), adapter)?;
        let ids = self.ids(ids, batch)?;
        let pass = self.pass(&positions, PassOptions { adapter, ..PassOptions::default() });
        let time = ids.dims()[1];
        let hidden = self.hidden(&pass, ids).narrow(1, self.lead(adapter), time);
        Ok(self.decoder.head(&pass, self.decoder.final_norm(&pass, hidden)))
    }

    pub fn hidden_shape(&self, batch: usize, time: usize) -> HiddenShape {
        HiddenShape { batch, time, width: self.info.hidden }
    }

    /// What the names of a block's parameters begin with, such as `model.layers.3.`; None for a block without matrices.
    pub fn block_path(&self, layer: usize) -> Option<String> {
        let number = layer.to_string();
        let site = self.sites.iter().find(|site| site.layer == Some(layer))?;
        let parts: Vec<&str> = site.path.split('.').collect();
        let at = parts.iter().position(|part| *part == number)?;
        Some(format!("{}.", parts[..=at].join(".")))
    }

    /// The matrices that are kept in few bits, and which way their outputs lie.
    pub fn packed(&self) -> impl Iterator<Item = (ParamId, Outputs)> {
        let linears = self.quantization.map(|_| self.block_linears());
        linears.into_iter().flatten().map(|site| match site.kind {
            SiteKind::Linear => (site.weight, Outputs::Rows),
            SiteKind::Conv1d | SiteKind::Embedding => (site.weight, Outputs::Columns),
        })
    }

    /// Every matrix of the blocks: what `all-linear` means. PEFT leaves out the output embedding, and routers, which
    /// are no linear modules in transformers 5.
    pub fn block_linears(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter().filter(|site| {
            site.layer.is_some()
                && site.kind != SiteKind::Embedding
                && !matches!(site.role, Role::Head | Role::Router)
        })
    }
}
