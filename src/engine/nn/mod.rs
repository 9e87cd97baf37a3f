//! Shared layers. A family puts them together; none of them knows a family or a method.

mod attention;
mod embed;
mod front;
mod held;
mod kv_cache;
mod mla;
mod mlp;
mod moe;
mod norm;
pub mod ops;
mod params;
mod pass;
mod proj;
mod relations;
mod rope;
mod site;
mod stack;
mod view;

pub use attention::{Attention, QkNorm, QkvProj};
pub use embed::Embedding;
pub use front::{BlockAdapter, KeysValues, Prefix, PrefixAdapter, PromptAdapter, backward_prefix};
pub use held::Held;
pub use kv_cache::KvCache;
pub use mla::{LatentDims, LatentQkv, LatentQuery};
pub use mlp::{Activation, FeedForward, GateUp, GatedMlp, Mlp};
pub use moe::{Moe, SharedExpert};
pub use norm::Norm;
pub use params::{Decay, Initial, Param, ParamId, ParamStore, Space, Value, float_dtype, row_lengths};
pub use pass::{AdapterView, DropoutKey, Gradients, Pass, Positions, SiteAdapter, SiteInput, Tape};
pub use proj::Proj;
pub use relations::{DistanceBuckets, Relations};
pub use rope::{LongRope as LongRopeParts, Rope, RopeScaling, Yarn as YarnParts};
pub use site::{Fused, Role, Site, SiteId, SiteKind};
pub use stack::{Block, Head, Stack};
pub use view::{KeyBias, Rotary, View, ViewSpec, alibi_slopes};
