//! Shared layers. A family puts them together; none of them knows a family or a method.

mod attention;
mod embed;
mod kv_cache;
mod mlp;
mod norm;
pub mod ops;
mod params;
mod pass;
mod proj;
mod rope;
mod site;

pub use attention::{Attention, QkvProj};
pub use embed::Embedding;
pub use kv_cache::KvCache;
pub use mlp::{Activation, GatedMlp, Mlp};
pub use norm::Norm;
pub use params::{Decay, Param, ParamId, ParamStore, Space, Value, float_dtype};
pub use pass::{AdapterView, DropoutKey, Gradients, Pass, Positions, SiteAdapter, SiteInput, Tape};
pub use proj::Proj;
pub use rope::{LongRope as LongRopeParts, Rope, RopeScaling, Yarn as YarnParts};
pub use site::{Role, Site, SiteId, SiteKind};
