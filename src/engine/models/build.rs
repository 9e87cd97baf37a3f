//! Declaring a model: the constructor of a family is the map from names to layers.

use crate::nn::{
    Activation, Decay, Embedding, Fused, GateUp, GatedMlp, Initial, Norm, Param, ParamId, ParamStore, Proj,
    Role, Site, SiteId, SiteKind, Space,
};

/// Gathers the parameters and sites of a model while its layers are put together.
pub struct Builder {
    pub(super) params: ParamStore,
    pub(super) sites: Vec<Site>,
}

/// Shape and place of a linear map.
#[derive(Clone, Copy, Debug)]
pub struct LinearShape {
    pub inputs: usize,
    pub outputs: usize,
    pub bias: bool,
}

/// Names of the matrices of a gated feed-forward layer.
#[derive(Clone, Copy, Debug)]
pub struct GatedNames {
    pub gate: &'static str,
    pub up: &'static str,
    pub down: &'static str,
}

impl GatedNames {
    pub const PROJ: Self = Self { gate: "gate_proj", up: "up_proj", down: "down_proj" };
}

/// Shape and place of a gated feed-forward layer.
#[derive(Clone, Copy, Debug)]
pub struct GatedShape {
    pub hidden: usize,
    pub inner: usize,
    pub bias: bool,
    pub activation: Activation,
    pub layer: usize,
}

/// Which norm a family has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NormKind {
    Rms {
        eps: f64,
    },
    /// With a gain of `1 + weight` (Gemma).
    RmsUnit {
        eps: f64,
    },
    Layer {
        eps: f64,
        bias: bool,
    },
}

impl Default for Builder {
    fn default() -> Self {
        Self { params: ParamStore::new(Space::Base), sites: Vec::new() }
    }
}

impl Builder {
    /// PyTorch's Linear, `[out, in]`, at module path `path`.
    pub fn linear(&mut self, path: String, shape: LinearShape, role: Role, layer: Option<usize>) -> Proj {
        self.scaled_linear(path, shape, role, layer, 1.0)
    }

    /// The same with a factor on its product.
    pub fn scaled_linear(
        &mut self,
        path: String,
        shape: LinearShape,
        role: Role,
        layer: Option<usize>,
        scale: f64,
    ) -> Proj {
        let proj = self.proj(path, shape, role, layer, SiteKind::Linear);
        if let Some(site) = self.sites.last_mut() {
            site.scale = scale;
        }
        Proj { scale, ..proj }
    }

    /// GPT-2's Conv1D, `[in, out]`.
    pub fn conv1d(&mut self, path: String, shape: LinearShape, role: Role, layer: Option<usize>) -> Proj {
        self.proj(path, shape, role, layer, SiteKind::Conv1d)
    }

    /// Says which outputs of a matrix are whose.
    pub fn share_out<const N: usize>(&mut self, proj: &Proj, groups: usize, parts: [(Role, usize); N]) {
        self.sites[proj.site.0].fused = Some(Fused { groups, parts: parts.into() });
    }

    fn proj(
        &mut self,
        path: String,
        shape: LinearShape,
        role: Role,
        layer: Option<usize>,
        kind: SiteKind,
    ) -> Proj {
        let LinearShape { inputs, outputs, bias } = shape;
        let stored = if kind == SiteKind::Conv1d { [inputs, outputs] } else { [outputs, inputs] };
        let weight = self.matrix(format!("{path}.weight"), stored);
        let bias = bias.then(|| self.vector(format!("{path}.bias"), outputs, Initial::Zeros));
        let id = self.site(path, role, kind, layer, weight, bias, [inputs, outputs]);
        Proj { site: id, kind, weight, bias, scale: 1.0 }
    }

    /// An embedding `[vocabulary, hidden]` at `path`.
    pub fn embedding(&mut self, path: &str, vocabulary: usize, hidden: usize) -> Embedding {
        let weight = self.matrix(format!("{path}.weight"), [vocabulary, hidden]);
        let kind = SiteKind::Embedding;
        let site = self.site(path.into(), Role::Embedding, kind, None, weight, None, [vocabulary, hidden]);
        Embedding { site, weight }
    }

    /// The head at `path`, with a weight of its own or the embedding's.
    pub fn head(&mut self, path: &str, tied: Option<&Embedding>, hidden: usize, vocabulary: usize) -> Proj {
        let Some(embedding) = tied else {
            let shape = LinearShape { inputs: hidden, outputs: vocabulary, bias: false };
            return self.linear(path.into(), shape, Role::Head, None);
        };
        let weight = embedding.weight;
        let kind = SiteKind::Linear;
        let site = self.site(path.into(), Role::Head, kind, None, weight, None, [hidden, vocabulary]);
        Proj { site, kind, weight, bias: None, scale: 1.0 }
    }

    /// The norm of a kind at `path`, over `size` elements.
    pub fn norm(&mut self, kind: NormKind, path: &str, size: usize) -> Norm {
        // The gain is 1 either way.
        let initial = if matches!(kind, NormKind::RmsUnit { .. }) { Initial::Zeros } else { Initial::Ones };
        let weight = self.vector(format!("{path}.weight"), size, initial);
        match kind {
            NormKind::Rms { eps } => Norm::Rms { weight, eps, unit: false },
            NormKind::RmsUnit { eps } => Norm::Rms { weight, eps, unit: true },
            NormKind::Layer { eps, bias } => {
                let bias = bias.then(|| self.vector(format!("{path}.bias"), size, Initial::Zeros));
                Norm::Layer { weight, bias, eps }
            }
        }
    }

    /// A row of gains for each head, `[heads, dim]`.
    pub fn head_gains(&mut self, path: &str, heads: usize, dim: usize) -> ParamId {
        let gains = Param::new(format!("{path}.weight"), &[heads, dim], Decay::No);
        self.params.declare(gains.initially(Initial::Ones))
    }

    /// A gated feed-forward layer of three matrices below `path`.
    pub fn gated(&mut self, path: &str, names: &GatedNames, shape: &GatedShape) -> GatedMlp {
        let GatedShape { hidden, inner, bias, activation, layer } = *shape;
        let mut linear = |name: &str, inputs, outputs, role| {
            self.linear(format!("{path}.{name}"), LinearShape { inputs, outputs, bias }, role, Some(layer))
        };
        let gate = linear(names.gate, hidden, inner, Role::Gate);
        let up = linear(names.up, hidden, inner, Role::Up);
        let down = linear(names.down, inner, hidden, Role::Down);
        GatedMlp { gate_up: GateUp::Split { gate, up }, down, activation }
    }

    /// A matrix that is no site (position embeddings).
    pub fn matrix(&mut self, name: String, shape: [usize; 2]) -> ParamId {
        self.params.declare(Param::new(name, &shape, Decay::Yes))
    }

    /// A vector: a bias or a gain, which weight decay leaves alone.
    pub fn vector(&mut self, name: String, size: usize, initial: Initial) -> ParamId {
        self.params.declare(Param::new(name, &[size], Decay::No).initially(initial))
    }

    #[expect(clippy::too_many_arguments, reason = "one private place that fills in a record")]
    fn site(
        &mut self,
        path: String,
        role: Role,
        kind: SiteKind,
        layer: Option<usize>,
        weight: ParamId,
        bias: Option<ParamId>,
        [inputs, outputs]: [usize; 2],
    ) -> SiteId {
        let id = SiteId(self.sites.len());
        self.sites.push(Site {
            id,
            path,
            role,
            kind,
            layer,
            weight,
            bias,
            inputs,
            outputs,
            scale: 1.0,
            fused: None,
        });
        id
    }
}
