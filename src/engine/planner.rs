//! From what a run needs and a budget to the layout that costs least.
//!
//! The cheapest first: what leaves every number as it is, and of that what costs the least time (a graph is made anew, an
//! input is moved, matrices are read from the model's files); then what sums in another order, and so may change a
//! rounding (smaller chunks of the head, a micro-batch in pieces). What changes more than that, such as few bits, is only
//! offered ([`remedies`](crate::remedies)).

use protocol::{MemoryForecast, Text, text};

use crate::memory::{Figures, Needs, size};
use crate::train::{CHUNK_BYTES, Layout, Place};

/// What the device, the model and the optimizer leave to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// The matrices of the blocks can be read whenever they are needed.
    pub stream: bool,
    /// The host's memory is another than the device's.
    pub host: bool,
    /// The optimizer's states can wait on the host.
    pub paged: bool,
    /// Rows can go through the model in smaller batches than the user set.
    pub divide: bool,
}

/// Sizes of the head's chunks, the largest first.
const CHUNKS: [usize; 4] = [CHUNK_BYTES, CHUNK_BYTES / 4, CHUNK_BYTES / 16, CHUNK_BYTES / 64];

/// The cheapest layout within `budget` bytes (0 if unknown), with its forecast. Where none fits: the smallest, which says
/// so.
pub fn plan(needs: &Needs<'_>, choices: Choices, budget: u64) -> (Layout, MemoryForecast) {
    let whole = Figures::of(needs, 1);
    if budget == 0 {
        let layout = Layout::keeping(0);
        return (layout, whole.forecast(&layout, budget));
    }
    let mut smallest = (Layout::keeping(0), whole.forecast(&Layout::keeping(0), budget));
    for pieces in pieces(needs.rows, choices) {
        let figures = Figures::of(needs, pieces);
        let search = Search { needs, choices, budget, figures: &figures, pieces };
        for chunk in CHUNKS {
            if let Some(found) = search.cheapest(chunk) {
                return found;
            }
            let least = search.least(chunk);
            if least.1.total < smallest.1.total {
                smallest = least;
            }
        }
    }
    smallest
}

/// 1, 2, 4, … and as many as there are rows.
fn pieces(rows: u64, choices: Choices) -> impl Iterator<Item = usize> {
    let most = if choices.divide { rows.max(1) } else { 1 };
    let doubled =
        std::iter::successors(Some(1u64), |pieces| pieces.checked_mul(2)).take_while(move |n| *n < most);
    doubled.chain([most]).map(|pieces| pieces as usize)
}

struct Search<'a> {
    needs: &'a Needs<'a>,
    choices: Choices,
    budget: u64,
    figures: &'a Figures<'a>,
    pieces: usize,
}

impl Search<'_> {
    /// The cheapest layout with chunks of this size.
    fn cheapest(&self, head_chunk: usize) -> Option<(Layout, MemoryForecast)> {
        // Most budgets are met at once, or not at all.
        let mut bare = Layout { head_chunk, pieces: self.pieces, ..Layout::keeping(0) };
        let found = self.sides(self.choices.paged).find_map(|optimizer| {
            bare.optimizer = optimizer;
            self.fewest_streamed(bare)
        })?;
        let layout = self.with_most_graphs(found);
        Some((layout, self.figures.forecast(&layout, self.budget)))
    }

    /// As few blocks as possible leave their matrices elsewhere.
    fn fewest_streamed(&self, bare: Layout) -> Option<Layout> {
        let most = if self.choices.stream { self.layers() } else { 0 };
        (0..=most).find_map(|streamed| {
            let sides = self.sides(self.choices.host);
            sides.map(|inputs| Layout { streamed, inputs, ..bare }).find(|layout| self.fits(layout))
        })
    }

    /// Blocks that are streamed keep no graph: it would hold their matrices. The first graph costs nothing: it is there in
    /// any case.
    fn with_most_graphs(&self, layout: Layout) -> Layout {
        let most = self.layers().saturating_sub(layout.streamed);
        let kept = |kept_graphs| Layout { kept_graphs, ..layout };
        let (mut fits, mut above) = (0, most + 1);
        while above - fits > 1 {
            let middle = fits + (above - fits) / 2;
            if self.fits(&kept(middle)) { fits = middle } else { above = middle }
        }
        kept(fits)
    }

    /// The layout that needs least, with chunks of this size.
    fn least(&self, head_chunk: usize) -> (Layout, MemoryForecast) {
        let last = |free: bool| self.sides(free).last().unwrap_or_default();
        let layout = Layout {
            kept_graphs: 0,
            inputs: last(self.choices.host),
            streamed: if self.choices.stream { self.layers() } else { 0 },
            optimizer: last(self.choices.paged),
            head_chunk,
            pieces: self.pieces,
        };
        (layout, self.figures.forecast(&layout, self.budget))
    }

    fn sides(&self, both: bool) -> impl Iterator<Item = Place> + use<> {
        [Place::Device, Place::Host].into_iter().take(if both { 2 } else { 1 })
    }

    fn fits(&self, layout: &Layout) -> bool {
        self.figures.forecast(layout, self.budget).fits
    }

    fn layers(&self) -> usize {
        self.needs.model.info.num_layers
    }
}

/// How a step goes, for people. `streams` has bytes of weights read a step, and seconds for them where the speed is
/// known.
pub fn words(layout: &Layout, needs: &Needs<'_>, streams: Option<(u64, Option<f64>)>) -> Vec<Text> {
    let blocks = needs.model.info.num_layers;
    let kept = layout.kept_graphs.max(1);
    let mut lines = vec![match kept >= blocks {
        true => Text::fixed("Every block is computed once", "每个模块只计算一次"),
        false => text!(
            "The last {kept} of {blocks} blocks keep what they computed; the others compute it twice",
            "最后 {kept} 个模块（共 {blocks} 个）保留计算结果，其余模块计算两次"
        ),
    }];
    if layout.inputs == Place::Host {
        lines.push(Text::fixed("Inputs of blocks wait in the host's memory", "各模块的输入暂存于主机内存"));
    }
    if let (1.., Some((bytes, seconds))) = (layout.streamed, streams) {
        let (streamed, bytes) = (layout.streamed, size(bytes));
        let (en, zh) = match seconds {
            Some(seconds) => {
                (format!(", which takes about {seconds:.1} s"), format!("，约需 {seconds:.1} 秒"))
            }
            None => (String::new(), String::new()),
        };
        lines.push(text!(
            "{streamed} of {blocks} blocks read their weights from the model's files whenever they work: {bytes} a step{en}",
            "{streamed} 个模块（共 {blocks} 个）每次计算时从模型文件读取权重：每步 {bytes}{zh}"
        ));
    }
    if layout.optimizer == Place::Host {
        lines.push(Text::fixed(
            "The optimizer's states wait in the host's memory",
            "优化器状态暂存于主机内存",
        ));
    }
    if layout.head_chunk < CHUNK_BYTES {
        let chunk = size(layout.head_chunk as u64);
        lines.push(text!("Logits are made in pieces of {chunk}", "logits 以每块 {chunk} 分块计算"));
    }
    if layout.pieces > 1 {
        let rows = needs.rows.div_ceil(layout.pieces as u64);
        lines.push(text!(
            "A batch goes through the model {rows} rows at a time; the step stays the same",
            "每个批次分成每次 {rows} 行通过模型，训练步不变"
        ));
    }
    lines
}
