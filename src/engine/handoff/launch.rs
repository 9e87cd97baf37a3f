//! Where a handed-off run will go, and the lines that start it there.

use protocol::{HandoffRequest, Launch, Result, Text, UserError, text};

use super::Engine;
use crate::plan::Plan;

/// Where processes find each other.
pub(super) const PORT: u16 = 29500;

/// The machines that a run is handed to, and what of the run their settings say.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Letters, digits, `-` and `_`.
    pub name: String,
    pub nodes: u64,
    /// Cards of a node.
    pub cards: u64,
    /// Rows that go through the model together on a card.
    pub rows: u64,
    /// Rows of a step, over all cards.
    pub step_rows: u64,
    pub bf16: bool,
    /// Largest norm of a step's gradient; 0: none.
    pub clip: f64,
}

impl Cluster {
    /// # Errors
    /// When there are no cards, or more of them than a step has rows.
    pub fn of(request: &HandoffRequest, plan: &Plan, bf16: bool) -> Result<Self> {
        let (nodes, cards) = (request.nodes, request.cards);
        let sampling = plan.batches.sampling;
        let step_rows = (sampling.batch_size as u64).saturating_mul(sampling.accumulation as u64);
        let all = nodes.checked_mul(cards).filter(|all| *all > 0 && *all <= 1 << 20);
        let all = all.ok_or_else(|| {
            UserError::bad_input(text!(
                "{nodes} machines with {cards} cards each cannot train",
                "{nodes} 台机器、每台 {cards} 张卡无法训练"
            ))
            .at_item("--nodes, --cards")
            .mend(Text::fixed("give at least one of each", "两者都至少为 1"))
        })?;
        if all > step_rows {
            return Err(UserError::bad_input(text!(
                "A step has {step_rows} rows, and there are {all} cards: some would have nothing to do",
                "每步有 {step_rows} 行，而有 {all} 张卡：部分卡将无事可做"
            ))
            .at_item("train.batch_size, train.gradient_accumulation")
            .mend(text!(
                "raise one of them, so that their product is {all} or more; or take fewer cards",
                "请增大其一，使两者之积不小于 {all}；或减少卡数"
            )));
        }
        let rows = (sampling.batch_size as u64).min(step_rows.div_ceil(all));
        let clip = plan.config.train.max_grad_norm;
        Ok(Self { name: named(&request.name), nodes, cards, rows, step_rows, bf16, clip })
    }

    /// A configuration of accelerate, with `own` for the kind of distribution.
    pub(super) fn accelerate(&self, kind: &str, own: &str) -> String {
        let (nodes, all) = (self.nodes, self.nodes * self.cards);
        format!(
            "# What the script learns is in job.json and data/; this says only how processes share it.
compute_environment: LOCAL_MACHINE
debug: false
distributed_type: {kind}
downcast_bf16: 'no'
{own}machine_rank: 0
main_training_function: main
mixed_precision: 'no'
num_machines: {nodes}
num_processes: {all}
rdzv_backend: c10d
same_network: true
use_cpu: false
"
        )
    }

    pub(super) fn launch_alone(&self, config: &str) -> String {
        let cards = self.cards;
        format!("accelerate launch --config_file {config} --num_machines 1 --num_processes {cards} train.py")
    }

    pub(super) fn launch_together(&self, config: &str) -> String {
        let (nodes, all) = (self.nodes, self.nodes * self.cards);
        format!(
            "accelerate launch --config_file {config} --num_machines {nodes} --num_processes {all} \
             --machine_rank \"$NODE_RANK\" --main_process_ip \"$HEAD\" --main_process_port {PORT} train.py"
        )
    }
}

/// A name that no shell reads as anything else.
fn named(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name: String = name.chars().take(60).map(kept).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "run".to_owned() } else { name.to_owned() }
}

/// The scripts of `launch/`.
pub(super) fn scripts(engine: &Engine, cluster: &Cluster) -> [(&'static str, String); 3] {
    let Cluster { name, nodes, cards, .. } = cluster;
    let head = "#!/bin/bash\nset -eu\ncd \"$(dirname \"$0\")/..\"\n";
    let alone = format!("{head}exec {} \"$@\"\n", (engine.alone)(cluster));
    let together = format!(
        "{head}: \"${{HEAD:?the name of the first machine}}\"\n: \"${{NODE_RANK:?the number of this machine, from 0 on}}\"\n\
         exec {} \"$@\"\n",
        (engine.together)(cluster)
    );
    let slurm = format!(
        "#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={cards}
#SBATCH --requeue
#SBATCH --output=slurm-%j.log
# A job that is put back into the queue goes on from its newest checkpoint.
set -eu
cd \"$SLURM_SUBMIT_DIR\"
HEAD=$(scontrol show hostnames \"$SLURM_JOB_NODELIST\" | head -n 1)
export HEAD
srun bash -c 'export NODE_RANK=$SLURM_NODEID; exec bash launch/nodes.sh --resume \"$@\"' _ \"$@\"
"
    );
    [("launch/one-node.sh", alone), ("launch/nodes.sh", together), ("launch/slurm.sbatch", slurm)]
}

/// What to type, on so many machines.
pub(super) fn launches(engine: &Engine, cluster: &Cluster) -> Vec<Launch> {
    let mut launches =
        vec![Launch { name: Text::fixed("One machine", "单机"), line: (engine.alone)(cluster) }];
    if cluster.nodes > 1 {
        let name = Text::fixed("On each of several machines", "多机（每台机器上）");
        let line = "HEAD=first-machine NODE_RANK=0 bash launch/nodes.sh".to_owned();
        launches[0] = Launch { name, line };
    }
    launches.push(Launch { name: Text::fixed("Slurm", "Slurm"), line: "sbatch launch/slurm.sbatch".into() });
    launches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_a_shell() {
        assert_eq!(named("my run; rm -rf $HOME"), "my-run--rm--rf--HOME");
        assert_eq!(named("训练"), "run");
        assert_eq!(named("a_b-1"), "a_b-1");
    }
}
