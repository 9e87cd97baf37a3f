//! FSDP2: weights, gradients and states are spread over the cards.

use protocol::Text;

use super::Engine;

pub const ENGINE: Engine = Engine {
    id: "accelerate-fsdp",
    name: Text::fixed("Accelerate, FSDP", "Accelerate，FSDP"),
    help: Text::fixed(
        "The model is spread over the cards: for one that fits no single card",
        "模型分布在各卡上：适合单卡放不下的模型",
    ),
    requirements: &[],
    files: |cluster| {
        vec![
            ("config/fsdp.yaml", cluster.accelerate("FSDP", &settings(false))),
            ("config/fsdp-offload.yaml", cluster.accelerate("FSDP", &settings(true))),
        ]
    },
    alone: |cluster| cluster.launch_alone("config/fsdp.yaml"),
    together: |cluster| cluster.launch_together("config/fsdp.yaml"),
};

/// With `offload` weights and states wait in the host's memory.
fn settings(offload: bool) -> String {
    format!(
        "fsdp_config:
  fsdp_version: 2
  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP
  fsdp_reshard_after_forward: true
  fsdp_offload_params: {offload}
  fsdp_state_dict_type: SHARDED_STATE_DICT
  fsdp_cpu_ram_efficient_loading: false
"
    )
}
