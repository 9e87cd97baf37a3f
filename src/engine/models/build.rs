//! Declaring a model: the constructor of a family is the map from names to layers.

use crate::nn::{
    Decay, Embedding, Norm, Param, ParamId, ParamStore, Proj, Role, Site, SiteId, SiteKind, Space,
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

impl Default for Builder {
    fn default() -> Self {
        Self { params: ParamStore::new(Space::Base), sites: Vec::new() }
    }
}

impl Builder {
    /// PyTorch's Linear, `[out, in]`, at module path `path`.
    pub fn linear(&mut self, path: String, shape: LinearShape, role: Role, layer: Option<usize>) -> Proj {
        self.proj(path, shape, role, layer, SiteKind::Linear)
    }

    /// GPT-2's Conv1D, `[in, out]`.
    pub fn conv1d(&mut self, path: String, shape: LinearShape, role: Role, layer: Option<usize>) -> Proj {
        self.proj(path, shape, role, layer, SiteKind::Conv1d)
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
        let bias = bias.then(|| self.vector(format!("{path}.bias"), outputs, Decay::No));
        let id = self.site(path, role, kind, layer, weight, bias, [inputs, outputs]);
        Proj { site: id, kind, weight, bias }
    }

    /// An embedding `[vocabulary, hidden]` at `path`.
    pub fn embedding(&mut self, path: &str, vocabulary: usize, hidden: usize) -> Embedding {
        let weight = self.matrix(format!("{path}.weight"), [vocabulary, hidden]);
        let kind = SiteKind::Embedding;
        let site = self.site(path.into(), Role::Embedding, kind, None, weight, None, [vocabulary, hidden]);
        Embedding { site, weight }
    }

    /// The head `lm_head`, with a weight of its own or the embedding's.
    pub fn head(&mut self, tied: Option<&Embedding>, hidden: usize, vocabulary: usize) -> Proj {
        let Some(embedding) = tied else {
            let shape = LinearShape { inputs: hidden, outputs: vocabulary, bias: false };
            return self.linear("lm_head".into(), shape, Role::Head, None);
        };
        let weight = embedding.weight;
        let kind = SiteKind::Linear;
        let site = self.site("lm_head".into(), Role::Head, kind, None, weight, None, [hidden, vocabulary]);
        Proj { site, kind, weight, bias: None }
    }

    pub fn rms_norm(&mut self, path: &str, size: usize, eps: f64) -> Norm {
        Norm::Rms { weight: self.vector(format!("{path}.weight"), size, Decay::No), eps }
    }

    pub fn layer_norm(&mut self, path: &str, size: usize, eps: f64) -> Norm {
        let weight = self.vector(format!("{path}.weight"), size, Decay::No);
        Norm::Layer { weight, bias: self.vector(format!("{path}.bias"), size, Decay::No), eps }
    }

    /// A matrix that is no site (position embeddings).
    pub fn matrix(&mut self, name: String, shape: [usize; 2]) -> ParamId {
        self.params.declare(Param::new(name, &shape, Decay::Yes))
    }

    fn vector(&mut self, name: String, size: usize, decay: Decay) -> ParamId {
        self.params.declare(Param::new(name, &[size], decay))
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
        self.sites.push(Site { id, path, role, kind, layer, weight, bias, inputs, outputs });
        id
    }
}
