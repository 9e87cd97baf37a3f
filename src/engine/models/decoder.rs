//! What every family's layers can do.

use burn::tensor::{Device, Int, Tensor, TensorData};
use data::{Batch, BeeBatch, Spans};
use protocol::Result;

use super::{Model, ModelInfo, PrefixPositions};
use crate::nn::ops::{self, Mask, Starts};
use crate::nn::{
    AdapterView, Copies, Held, Order, Pass, Positions, Prefix, PrefixAdapter, QkvProj, Site, Stack, ViewSpec,
};

/// Shape of the hidden state between blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HiddenShape {
    pub batch: usize,
    pub time: usize,
    pub width: usize,
}

/// The tokens of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// All tokens of every row from its first on, those in the cache too, `[rows, len]`, row-major.
    pub ids: &'a [u32],
    pub rows: usize,
    /// Tokens of each row that are in the cache already.
    pub offset: usize,
    /// What else the data says of the rows, in training.
    pub batch: Option<&'a Batch>,
    /// What goes beside the ids, for families that read dicts or know context: one entry a text, those that are padding
    /// counted ([`Spans`]).
    pub side: Option<&'a BeeBatch>,
    /// Where texts begin in rows that hold several, or that are padded on the left; None: a row is one text.
    pub spans: Option<&'a Spans>,
    /// What an adapter has in front of every row.
    pub front: Front,
}

/// How much an adapter puts in front of every row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Front {
    /// Hidden states, which go through the blocks as tokens do.
    pub prompt: usize,
    /// Keys and values of every layer.
    pub prefix: usize,
    /// Of these, how many positions the tokens stand further behind.
    pub shift: usize,
    /// Whether training leaves out some of the keys and values, in each row others.
    pub dropped: bool,
}

impl Front {
    pub fn of(adapter: Option<&dyn AdapterView>, positions: PrefixPositions) -> Self {
        let prompt = adapter.and_then(AdapterView::prompt).map_or(0, |prompt| prompt.tokens());
        let front = adapter.and_then(AdapterView::prefix);
        let prefix = front.map_or(0, PrefixAdapter::tokens);
        let shift = if positions == PrefixPositions::Shifted { prefix } else { 0 };
        Self { prompt, prefix, shift, dropped: front.is_some_and(|front| front.dropout() > 0.0) }
    }
}

impl<'a> Rows<'a> {
    /// Rows from their first token on.
    pub fn fresh(ids: &'a [u32], rows: usize) -> Self {
        Self { ids, rows, offset: 0, batch: None, side: None, spans: None, front: Front::default() }
    }

    pub fn of_batch(batch: &'a Batch) -> Self {
        let side = batch.side.as_deref();
        Self { batch: Some(batch), side, spans: batch.spans.as_ref(), ..Self::fresh(&batch.ids, batch.rows) }
    }

    /// Tokens a row, those in the cache included.
    pub fn len(&self) -> usize {
        self.ids.len() / self.rows.max(1)
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Tokens a row that the pass computes.
    pub fn time(&self) -> usize {
        self.len() - self.offset
    }

    /// First position of the pass, and how many it computes: what is put in front of the tokens counts.
    pub fn span(&self) -> (usize, usize) {
        let Front { prompt, shift, .. } = self.front;
        match self.offset {
            0 => (shift, prompt + self.time()),
            offset => (shift + prompt + offset, self.time()),
        }
    }

    /// How the positions of the pass follow each other.
    pub fn order(&self) -> Order {
        let (offset, time) = self.span();
        let starts = self.spans.map(|spans| {
            let front = self.front.shift + self.front.prompt;
            // Prompts are in front of all texts of their row.
            let lead = std::iter::repeat_n(front, time - self.time());
            let of_row = |row| spans.of(row, self.offset..self.len()).map(move |(_, start)| front + start);
            let first = (0..self.rows).flat_map(|row| lead.clone().chain(of_row(row)));
            Starts { front, queries: time, first: first.map(|first| first as u32).collect() }
        });
        Order { offset, time, starts }
    }
}

/// A decoder-only transformer, cut where the block-wise backward pass cuts it.
pub trait Decoder: Send + Sync {
    /// Where the tokens stand: one after the other and causal, unless the family has an order of its own.
    ///
    /// # Errors
    /// When the rows cannot be arranged as the family wants them.
    fn positions(&self, info: &ModelInfo, rows: &Rows<'_>, device: &Device) -> Result<Positions> {
        Ok(in_order(info, rows, device))
    }

    /// Positions of the family's own that a pass has in front of the first token (a soft prompt).
    fn lead(&self) -> usize {
        0
    }

    /// Heads and width of the keys and values that a method may put in front of every row; None where it cannot.
    fn prefix_shape(&self, _: &ModelInfo) -> Option<[usize; 2]> {
        None
    }

    /// Whether a row may hold several texts, one behind the other.
    fn packs(&self) -> bool {
        true
    }

    /// Whether a method may put hidden states in front of the embedded tokens.
    fn takes_prompt(&self) -> bool {
        false
    }

    /// Ids `[batch, time]` → input of block 0 `[batch, time, hidden]`.
    fn embed(&self, pass: &Pass<'_>, ids: Tensor<2, Int>) -> Tensor<3>;

    /// Block `index`, same shape in and out.
    fn block(&self, index: usize, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3>;

    /// The norm after the last block. Works on any selection of rows: it looks at one at a time.
    fn final_norm(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3>;

    /// Normed hidden state → logits `[batch, time, vocabulary]`, with more columns behind them where the rows
    /// have tokens of their own ([`BeeBatch::columns`]).
    fn head(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3>;

    /// What block `index` holds in training, for the forecast: by its matrices, unless the layers can tell.
    fn held(&self, index: usize, info: &ModelInfo, sites: &[Site]) -> Held {
        Held::of_sites(sites.iter().filter(|site| site.layer == Some(index)), info.heads)
    }

    /// How many arrays of the size of its logits the head holds at once in training, where kernels work in place.
    fn logit_copies(&self) -> usize {
        1
    }

    /// The bias that the family's own masks have for every pair of positions of every row; none where all views are
    /// those of the config.
    fn pair_bias(&self, _: &ModelInfo) -> Option<PairBias> {
        None
    }
}

/// A [`Mask::Bias`](crate::nn::ops::Mask::Bias) that a family makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairBias {
    /// 1 where all heads share it.
    pub heads: usize,
    /// Whether it comes from parameters: while these learn, attention is no single kernel.
    pub learned: bool,
}

/// One position behind the other in every text.
pub fn in_order(info: &ModelInfo, rows: &Rows<'_>, device: &Device) -> Positions {
    let order = rows.order();
    let ids: Vec<i32> = order.positions().into_iter().map(|position| position as i32).collect();
    Positions {
        offset: order.offset,
        prompt: if rows.offset == 0 { rows.front.prompt } else { 0 },
        prefix: Prefix::new(),
        views: info.views.iter().map(|view| view.view(&order, device)).collect(),
        ids: Tensor::from_data(TensorData::new(ids, [order.rows(), order.time]), device),
        own: None,
        copies: Copies::default(),
    }
}

/// As [`in_order`], for rows of different lengths that go on together behind what lies in the cache: each has its tokens
/// there, behind what the adapter has in front of them, and how many it is fed, padded to `time`. In the cache all rows end
/// together at place `width`.
pub fn lanes_in_order(
    model: &Model,
    front: Front,
    rows: &[(usize, usize)],
    (time, width): (usize, usize),
) -> Positions {
    // Keys of a row that its tokens' positions do not count.
    let unmoved = front.prefix - front.shift;
    let offset = width.saturating_sub(unmoved);
    let begin = |tokens: usize| width.saturating_sub(front.prompt + front.prefix + tokens);
    // Padding stands where its row's last token does: it asks for no position and stretches no rotary embedding.
    let first = |(tokens, fed): &(usize, usize)| {
        let (begin, fed) = (begin(*tokens), *fed);
        (0..time).map(move |query| (begin + (query + 1).saturating_sub(fed)).min(offset + query) as u32)
    };
    let first = rows.iter().flat_map(first).collect();
    let starts = Starts { front: 0, queries: time, first };
    let order = Order { offset, time, starts: Some(starts) };
    let ids: Vec<i32> = order.positions().into_iter().map(|position| position as i32).collect();
    let device = &model.device;
    let view = |spec: &ViewSpec| {
        let mut view = spec.view(&order, device);
        // They are the row's first keys, behind what is hidden from it.
        if let Mask::Causal(causal) = &mut view.mask {
            causal.offset = width;
        }
        view.mask = ops::ready_mask(view.mask, time, device, model.dtype);
        view
    };
    Positions {
        offset: width,
        prompt: 0,
        prefix: Prefix::new(),
        views: model.info.views.iter().map(view).collect(),
        ids: Tensor::from_data(TensorData::new(ids, [order.rows(), order.time]), device),
        own: None,
        copies: Copies::default(),
    }
}

impl Decoder for Stack {
    fn prefix_shape(&self, info: &ModelInfo) -> Option<[usize; 2]> {
        let latent = self.blocks.iter().any(|block| matches!(block.attention.qkv, QkvProj::Latent(_)));
        (!latent).then_some([info.kv_heads, info.head_dim])
    }

    fn takes_prompt(&self) -> bool {
        true
    }

    fn embed(&self, pass: &Pass<'_>, ids: Tensor<2, Int>) -> Tensor<3> {
        Self::embed(self, pass, ids)
    }

    fn block(&self, index: usize, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        self.blocks[index].forward(pass, hidden)
    }

    fn final_norm(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        self.norm.forward(pass, hidden)
    }

    fn head(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        self.head.forward(pass, hidden)
    }

    fn logit_copies(&self) -> usize {
        1 + 2 * usize::from(self.head.softcap.is_some()) + usize::from(self.head.unit_rows)
    }

    fn held(&self, index: usize, _info: &ModelInfo, sites: &[Site]) -> Held {
        self.blocks[index].held(sites)
    }
}
