//! What a block's graph holds on to, counted from the layers it is made of: for the forecast of memory.

use super::attention::{Attention, QkvProj};
use super::mla::{LatentQkv, LatentQuery};
use super::mlp::{Activation, FeedForward, GateUp, GatedMlp, Mlp};
use super::moe::Moe;
use super::proj::Proj;
use super::site::{Role, Site};
use super::stack::Block;

/// Elements a token, of one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Kept from the forward pass for the backward pass.
    pub kept: usize,
    /// Gradients of activations that are alive at once in the backward pass.
    pub gradients: usize,
    /// Made again in the backward pass, always in f32, where norms and activations have no kernels.
    pub composed: usize,
    /// Of these, what kernels of our own make in its place on a GPU: those of norms and of SwiGLU.
    pub replaced: usize,
    /// For every pair of positions, in f32 where attention is a composition: heads times the maps of each.
    pub scores: usize,
    /// Of what is kept: what only matrices read, and nobody where these learn nothing.
    pub read: Read,
}

/// What the matrices of a block read, by those that read the same: elements a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub attention: usize,
    pub mlp: usize,
    pub down: usize,
}

/// Which of a [`Read`] is needed for a gradient, in any block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    pub attention: bool,
    pub mlp: bool,
    pub down: bool,
}

impl Default for Reads {
    fn default() -> Self {
        Self { attention: true, mlp: true, down: true }
    }
}

impl Reads {
    /// Where nothing learns beside a matrix.
    pub const NONE: Self = Self { attention: false, mlp: false, down: false };

    /// Of matrices that learn, by themselves or by what stands beside them.
    pub fn of(sites: &[Site], learns: impl Fn(&Site) -> bool) -> Self {
        let any = |roles: &[Role]| sites.iter().any(|site| roles.contains(&site.role) && learns(site));
        Self {
            attention: any(&[Role::Query, Role::Key, Role::Value, Role::FusedQkv, Role::KeyValue]),
            mlp: any(&[Role::Gate, Role::Up, Role::FusedGateUp, Role::Router]),
            down: any(&[Role::Down]),
        }
    }
}

impl Read {
    /// What nobody needs.
    pub fn beyond(self, reads: Reads) -> usize {
        let parts = [(self.attention, reads.attention), (self.mlp, reads.mlp), (self.down, reads.down)];
        parts.into_iter().filter_map(|(size, needed)| (!needed).then_some(size)).sum()
    }
}

/// What a method's own products hold in training, beside the model's layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldBeside {
    /// Elements for every token that the graph of a block keeps, where these are most.
    pub kept: usize,
    /// Elements in f32 that are there while one matrix is at work.
    pub matrix: usize,
    /// Whose inputs its gradients need.
    pub reads: Reads,
}

impl Held {
    /// Of layers of which the `later` one's backward pass is over, and its activations gone, when the `earlier` one's
    /// begins.
    pub fn join(earlier: Self, later: Self) -> Self {
        let gradients = later.gradients.max(earlier.gradients.saturating_sub(later.kept));
        Self {
            kept: earlier.kept + later.kept,
            gradients,
            composed: earlier.composed + later.composed,
            replaced: earlier.replaced + later.replaced,
            scores: earlier.scores + later.scores,
            read: Read::default(),
        }
    }

    /// Of a block of `heads` of which only the matrices are known.
    pub fn of_sites<'a>(sites: impl Iterator<Item = &'a Site>, heads: usize) -> Self {
        let (mut kept, mut hidden, mut inner) = (0, 0, 0);
        for site in sites {
            kept += site.outputs;
            // What these read is a product or a mixture, made for them.
            if matches!(site.role, Role::Output | Role::Down) {
                kept += site.inputs;
                hidden = site.outputs;
            }
            if site.role == Role::Down {
                inner += site.inputs;
            }
        }
        Self {
            kept: kept + 4 * hidden,
            gradients: 3 * inner + 2 * hidden,
            composed: 4 * inner + 2 * hidden,
            replaced: 0,
            scores: heads,
            read: Read::default(),
        }
    }
}

impl Block {
    pub fn held(&self, sites: &[Site]) -> Held {
        let hidden = sites[self.attention.output.site.0].outputs;
        // A norm before a layer keeps its result, one behind it also what it reads.
        let normed = |half: Held, before: bool, behind: bool| {
            let (before, behind) = (usize::from(before), usize::from(behind));
            Held {
                kept: half.kept + (before + 2 * behind) * hidden,
                composed: half.composed + (before + behind) * hidden,
                replaced: half.replaced + (before + behind) * hidden,
                ..half
            }
        };
        let (attention, mlp) = (self.attention.held(sites), self.mlp.held(sites));
        let attention = normed(attention, self.pre_attention.is_some(), self.post_attention.is_some());
        let mlp = normed(mlp, self.pre_mlp.is_some(), self.post_mlp.is_some());
        let halves = Held::join(attention, mlp);
        // The sums with the residual, and the gradients of both sides of one.
        Held {
            kept: halves.kept + 2 * hidden,
            gradients: halves.gradients + 2 * hidden,
            read: self.read(sites),
            ..halves
        }
    }

    /// Where each half has a norm of its own, and the matrices are the only ones that read its result.
    fn read(&self, sites: &[Site]) -> Read {
        let hidden = sites[self.attention.output.site.0].outputs;
        let apart = self.pre_attention.is_some() && self.pre_mlp.is_some();
        let normed = if apart { hidden } else { 0 };
        let latent = matches!(self.attention.qkv, QkvProj::Latent(_));
        let attention = if latent { 0 } else { normed };
        let down = |down: &Proj| sites[down.site.0].inputs;
        match &self.mlp {
            FeedForward::Gated(mlp) => Read { attention, mlp: normed, down: down(&mlp.down) },
            FeedForward::Plain(mlp) => Read { attention, mlp: normed, down: down(&mlp.down) },
            FeedForward::Moe(_) => Read { attention, ..Read::default() },
        }
    }
}

impl Attention {
    fn held(&self, sites: &[Site]) -> Held {
        let (projected, cut) = match &self.qkv {
            QkvProj::Split { q, k, v } => ([q, k, v].map(|proj| sites[proj.site.0].outputs).iter().sum(), 0),
            // The gradient of each part is as wide as the whole.
            QkvProj::Fused(all) | QkvProj::Grouped(all) => {
                let width = sites[all.site.0].outputs;
                (width, 2 * width)
            }
            QkvProj::Latent(latent) => {
                let width = latent.outputs(sites);
                // Queries and keys are put together from parts.
                (width + 2 * self.heads * self.head_dim, 2 * width)
            }
        };
        let normed = if self.norm.is_some() { (self.heads + self.kv_heads) * self.head_dim } else { 0 };
        let mixed = sites[self.output.site.0].inputs;
        // Shares of the query heads in the gradients of keys and values, before they are summed.
        let shares = 2 * self.heads * self.head_dim;
        Held {
            kept: projected + 2 * normed + mixed,
            gradients: projected + cut + 2 * normed + shares + mixed,
            composed: normed,
            replaced: normed,
            // The exponentials, and the hyperbolic tangents of a softcap.
            scores: self.heads * (1 + usize::from(self.scores.softcap.is_some())),
            read: Read::default(),
        }
    }
}

impl LatentQkv {
    fn outputs(&self, sites: &[Site]) -> usize {
        let outputs = |proj: &Proj| sites[proj.site.0].outputs;
        let query = match &self.query {
            LatentQuery::Direct(query) => outputs(query),
            // The latent, before and after its norm.
            LatentQuery::Latent { down, up, .. } => 2 * outputs(down) + outputs(up),
        };
        query + 2 * outputs(&self.kv_down) + outputs(&self.kv_up)
    }
}

impl FeedForward {
    fn held(&self, sites: &[Site]) -> Held {
        match self {
            Self::Gated(mlp) => mlp.held(sites),
            Self::Plain(mlp) => mlp.held(sites),
            Self::Moe(moe) => moe.held(sites),
        }
    }
}

impl Activation {
    /// Copies of its input's size that its gradient is made of where it has no kernel.
    fn composed(self) -> usize {
        match self {
            Self::Relu => 1,
            Self::Silu => 2,
            Self::GeluErf => 3,
            Self::GeluTanh => 4,
        }
    }
}

impl GatedMlp {
    fn held(&self, sites: &[Site]) -> Held {
        let inner = sites[self.down.site.0].inputs;
        // Gate, up and product; the activated gate too where gate and product are not one kernel.
        let apart = usize::from(self.activation != Activation::Silu);
        let cut = if matches!(self.gate_up, GateUp::Fused(_)) { 4 } else { 0 };
        Held {
            kept: (3 + apart) * inner,
            gradients: (2 + apart + cut) * inner,
            composed: self.activation.composed() * inner,
            replaced: (1 - apart) * self.activation.composed() * inner,
            ..Held::default()
        }
    }
}

impl Mlp {
    fn held(&self, sites: &[Site]) -> Held {
        let inner = sites[self.down.site.0].inputs;
        let composed = self.activation.composed() * inner;
        Held { kept: 2 * inner, gradients: 2 * inner, composed, ..Held::default() }
    }
}

impl Moe {
    /// As if the tokens were shared out evenly, which sums to the same over all experts.
    fn held(&self, sites: &[Site]) -> Held {
        let router = 4 * sites[self.router.site.0].outputs;
        let Some(expert) = self.experts.first() else { return Held::default() };
        let hidden = sites[expert.down.site.0].outputs;
        let one = expert.held(sites);
        let shared = self.shared.as_ref().map_or(Held::default(), |shared| shared.mlp.held(sites));
        Held {
            // An expert reads rows of its own, and what it gives is weighted before it is added.
            kept: router
                + self.chosen * (one.kept + 2 * hidden)
                + shared.kept
                + 2 * hidden * usize::from(self.shared.is_some()),
            gradients: one.gradients.max(shared.gradients) + 2 * hidden,
            composed: self.chosen * one.composed + shared.composed,
            replaced: self.chosen * one.replaced + shared.replaced,
            ..Held::default()
        }
    }
}
