//! The places where a method can attach: every matrix of a model, with its role.

use super::ParamId;

/// Index into a model's list of sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteId(pub usize);

/// What a matrix does, whatever its family calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Query,
    Key,
    Value,
    /// Query, key and value in one matrix.
    FusedQkv,
    /// What key and value come from, through fewer dimensions (multi-head latent attention).
    KeyValue,
    Output,
    Gate,
    Up,
    /// Gate and up in one matrix.
    FusedGateUp,
    Down,
    /// How much each expert counts for a token.
    Router,
    Embedding,
    Head,
}

impl Role {
    /// The word in a run file's `targets`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Query => "q",
            Self::Key => "k",
            Self::Value => "v",
            Self::FusedQkv => "qkv",
            Self::KeyValue => "kv",
            Self::Output => "o",
            Self::Gate => "gate",
            Self::Up => "up",
            Self::FusedGateUp => "gate_up",
            Self::Down => "down",
            Self::Router => "router",
            Self::Embedding => "embed",
            Self::Head => "head",
        }
    }

    pub const ALL: [Self; 13] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::FusedQkv,
        Self::KeyValue,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::FusedGateUp,
        Self::Down,
        Self::Router,
        Self::Embedding,
        Self::Head,
    ];
}

/// How a matrix is stored and used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// `[out, in]`, y = x·Wᵀ (PyTorch's Linear).
    Linear,
    /// `[in, out]`, y = x·W (GPT-2's Conv1D).
    Conv1d,
    /// `[vocabulary, hidden]`, rows are looked up.
    Embedding,
}

/// How the outputs of a fused matrix are shared out: `groups` times the rows of every part, one part after the other.
/// One group is q‖k‖v; as many groups as key heads are the interleaved layouts (GPT-NeoX, Bloom, ChatGLM-6B).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fused {
    pub groups: usize,
    /// Role, and rows a group.
    pub parts: Vec<(Role, usize)>,
}

impl Fused {
    /// Rows of a group.
    pub fn period(&self) -> usize {
        self.parts.iter().map(|(_, width)| width).sum()
    }

    /// Rows of a part, over all groups.
    pub fn len(&self, part: usize) -> usize {
        self.groups * self.parts[part].1
    }

    /// Whether there is no part.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Places of a part's rows among the matrix's outputs, ascending.
    pub fn rows(&self, part: usize) -> impl Iterator<Item = usize> + '_ {
        let first: usize = self.parts[..part].iter().map(|(_, width)| width).sum();
        let (period, width) = (self.period(), self.parts[part].1);
        (0..self.groups).flat_map(move |group| (0..width).map(move |row| group * period + first + row))
    }
}

/// One matrix of a model.
#[derive(Clone, Debug)]
pub struct Site {
    pub id: SiteId,
    /// Module path, such as `model.layers.0.self_attn.q_proj`.
    pub path: String,
    pub role: Role,
    pub kind: SiteKind,
    /// None outside the blocks.
    pub layer: Option<usize>,
    pub weight: ParamId,
    pub bias: Option<ParamId>,
    pub inputs: usize,
    pub outputs: usize,
    /// Factor on the matrix's product; an adapter's part is added to what it gives.
    pub scale: f64,
    /// Which outputs are whose, where several matrices are one.
    pub fused: Option<Fused>,
}
