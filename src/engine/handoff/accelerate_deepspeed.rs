//! DeepSpeed's ZeRO: gradients and states (stage 2), or weights too (stage 3), are spread over the cards.

use protocol::Text;
use serde_json::{Value, json};

use super::Engine;
use super::launch::Cluster;

pub const ENGINE: Engine = Engine {
    id: "accelerate-deepspeed",
    name: Text::fixed("Accelerate, DeepSpeed ZeRO", "Accelerate，DeepSpeed ZeRO"),
    help: Text::fixed(
        "ZeRO-3 spreads the model over the cards, ZeRO-2 only what is learned; either can wait in the host's memory",
        "ZeRO-3 将模型分布到各卡，ZeRO-2 只分布训练状态；均可卸载到内存",
    ),
    requirements: &["deepspeed==0.19.8"],
    files,
    alone: |cluster| cluster.launch_alone("config/zero3.yaml"),
    together: |cluster| cluster.launch_together("config/zero3.yaml"),
};

fn files(cluster: &Cluster) -> Vec<(&'static str, String)> {
    let wrapped = |name: &str| {
        let own = format!(
            "deepspeed_config:\n  deepspeed_config_file: config/{name}.json\n  zero3_init_flag: false\n"
        );
        cluster.accelerate("DEEPSPEED", &own)
    };
    let zero =
        |stage, offload| serde_json::to_string_pretty(&zero(stage, offload, cluster)).unwrap_or_default();
    vec![
        ("config/zero2.json", zero(2, false)),
        ("config/zero2.yaml", wrapped("zero2")),
        ("config/zero2-offload.json", zero(2, true)),
        ("config/zero2-offload.yaml", wrapped("zero2-offload")),
        ("config/zero3.json", zero(3, false)),
        ("config/zero3.yaml", wrapped("zero3")),
        ("config/zero3-offload.json", zero(3, true)),
        ("config/zero3-offload.yaml", wrapped("zero3-offload")),
    ]
}

/// The script accumulates gradients itself, and steps with torch's own optimizer wherever the states lie.
fn zero(stage: u32, offload: bool, cluster: &Cluster) -> Value {
    let host = || json!({ "device": "cpu", "pin_memory": true });
    let mut zero = json!({ "stage": stage, "overlap_comm": true, "contiguous_gradients": true });
    if offload {
        zero["offload_optimizer"] = host();
    }
    if offload && stage == 3 {
        zero["offload_param"] = host();
    }
    json!({
        "train_micro_batch_size_per_gpu": cluster.rows,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": cluster.clip,
        "zero_allow_untested_optimizer": true,
        "zero_force_ds_cpu_optimizer": false,
        "bf16": { "enabled": cluster.bf16 },
        "zero_optimization": zero,
    })
}
