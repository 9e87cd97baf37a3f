//! AdamW whose moments live on the host and come to the device one parameter at a time. The numbers are those of
//! AdamW, bit for bit; what bitsandbytes leaves to CUDA's managed memory is said here by hand.

use protocol::Text;

use super::{OptimizerEntry, adamw};

pub const OPTIMIZER: OptimizerEntry = OptimizerEntry {
    id: "paged-adamw",
    name: Text::fixed("AdamW, states on the host", "AdamW（状态在主机内存）"),
    help: Text::fixed(
        "Frees the GPU of both moments; every step moves them there and back. The numbers are AdamW's",
        "两个动量不占显存，但每步都要来回搬运；数值与 AdamW 完全相同",
    ),
    params: Vec::new,
    ignores: &[],
    whole_models_only: false,
    on_host: true,
    state_bytes: adamw::state_bytes,
    rule: adamw::rule,
};
