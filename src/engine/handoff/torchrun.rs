//! DDP: every card has the whole model.

use protocol::Text;

use super::Engine;
use super::launch::{Cluster, PORT};

pub const ENGINE: Engine = Engine {
    id: "torchrun",
    name: Text::fixed("torchrun (DDP)", "torchrun（DDP）"),
    help: Text::fixed(
        "Every card holds the whole model: the fastest where it fits",
        "每张卡保存完整模型：放得下时最快",
    ),
    requirements: &[],
    files: |cluster| vec![("config/ddp.yaml", cluster.accelerate("MULTI_GPU", ""))],
    alone: |cluster| format!("torchrun --standalone --nproc-per-node {} train.py", cluster.cards),
    together: |cluster| {
        let Cluster { name, nodes, cards, .. } = cluster;
        format!(
            "torchrun --nnodes {nodes} --node-rank \"$NODE_RANK\" --nproc-per-node {cards} --rdzv-id {name} \
             --rdzv-backend c10d --rdzv-endpoint \"$HEAD:{PORT}\" train.py"
        )
    },
};
