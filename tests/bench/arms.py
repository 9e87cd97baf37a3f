"""The sides of a comparison: how each is started on the same inputs. Standard library only."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from measure import run_measured

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True)
class Work:
    """One training run that every side does."""

    inputs: str  # folder of make_inputs.py
    scratch: str
    batch: int
    length: int
    steps: int
    method: str  # "lora" or "full"
    rank: int
    alpha: int
    lr: float
    dtype: str
    device: str
    threads: int
    python: str
    emberwright: str

    @property
    def tokens_a_step(self):
        return self.batch * self.length

    def path(self, name):
        return os.path.join(self.inputs, name)


def make_inputs(work, shape, draw_on="cpu"):
    """Writes the inputs unless the same ones are there."""
    wanted = {"shape": shape, "dtype": work.dtype, "rank": work.rank, "alpha": work.alpha,
              "rows": work.batch * work.steps, "length": work.length}
    mark = work.path("made.json")
    if os.path.exists(mark):
        with open(mark, encoding="ascii") as handle:
            if json.load(handle) == wanted:
                return
    shutil.rmtree(work.inputs, ignore_errors=True)
    os.makedirs(work.inputs)
    options = [part for key, value in wanted.items() for part in (f"--{key}", str(value))]
    subprocess.run([work.python, os.path.join(HERE, "make_inputs.py"), "--out", work.inputs, "--device", draw_on,
                    *options], check=True)
    with open(mark, "w", encoding="ascii") as handle:
        json.dump(wanted, handle)


RUN_FILE = """\
[model]
path = {model}
dtype = "{dtype}"

[data]
train = [{tokens}]
format = "tokens"
validation = 0.0
max_length = {length}
on_too_long = "error"
train_on = "everything"

[method]
{method}
[train]
max_steps = {steps}
epochs = 1
batch_size = {batch}
gradient_accumulation = 1
learning_rate = {lr}
scheduler = "constant"
warmup_steps = 0
warmup_ratio = 0.0
optimizer = "adamw"
betas = [0.9, 0.999]
eps = 1e-8
weight_decay = 0.0
max_grad_norm = 1.0
shuffle = false
eval_every = 0
save_every = 0
"""

METHODS = {
    "lora": """\
kind = "lora"
rank = {rank}
alpha = {alpha}
dropout = 0.0
targets = "all-linear"
init_from = {adapter}
""",
    "full": """\
kind = "full"
""",
}


def write_run_file(work, path):
    quoted = {name: json.dumps(os.path.abspath(work.path(file)))
              for name, file in (("model", "model"), ("tokens", "tokens.jsonl"), ("adapter", "adapter"))}
    with open(path, "w", encoding="utf-8") as handle:
        method = METHODS[work.method].format(rank=work.rank, alpha=work.alpha, **quoted)
        handle.write(RUN_FILE.format(dtype=work.dtype, length=work.length, method=method, steps=work.steps,
                                     batch=work.batch, lr=repr(work.lr), **quoted))


def fresh_folder(work, arm, turn):
    folder = os.path.join(work.scratch, f"{arm.replace(' ', '-')}-{turn}")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def thread_limits(threads):
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    return {name: str(threads) for name in names} | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}


def run_emberwright(work, turn, cpus, time_limit):
    """(what was seen, the folder of what was trained)"""
    folder = fresh_folder(work, "emberwright", turn)
    run_file, out = os.path.join(folder, "run.toml"), os.path.join(folder, "run")
    write_run_file(work, run_file)
    device = work.device.replace("cuda", "cuda:0") if work.device == "cuda" else work.device
    command = [work.emberwright, "train", run_file, "--out", out, "--device", device]
    seen = run_measured("emberwright", command, os.path.join(out, "metrics.jsonl"), os.path.join(folder, "log"),
                        thread_limits(work.threads), cpus, time_limit)
    return seen, os.path.join(out, "adapter" if work.method == "lora" else "model")


TORCH_ARMS = {
    "torch eager": ["--attention", "eager"],
    "torch sdpa": ["--attention", "sdpa"],
    "torch sdpa compiled": ["--attention", "sdpa", "--compile"],
    "torch sdpa checkpointed": ["--attention", "sdpa", "--checkpointing"],
}


def run_torch(work, arm, turn, cpus, time_limit):
    folder = fresh_folder(work, arm, turn)
    metrics, out = os.path.join(folder, "metrics.jsonl"), os.path.join(folder, "out")
    command = [work.python, os.path.join(HERE, "torch_side.py"), "--model", work.path("model"),
               "--method", work.method, "--adapter", work.path("adapter"), "--tokens", work.path("tokens.jsonl"),
               "--metrics", metrics, "--out", out, "--device", work.device, "--dtype", work.dtype, "--threads", str(work.threads),
               "--batch", str(work.batch), "--steps", str(work.steps), "--lr", repr(work.lr), *TORCH_ARMS[arm]]
    seen = run_measured(arm, command, metrics, os.path.join(folder, "log"), thread_limits(work.threads), cpus,
                        time_limit)
    return seen, out


def run_arm(work, arm, turn, cpus=None, time_limit=3600.0):
    if arm == "emberwright":
        return run_emberwright(work, turn, cpus, time_limit)
    return run_torch(work, arm, turn, cpus, time_limit)


def add_common_options(parser):
    parser.add_argument("--emberwright", default="target/release/emberwright", help="the binary")
    parser.add_argument("--python", default=sys.executable, help="has torch, transformers and peft")
    parser.add_argument("--scratch", default="target/bench", help="folder for inputs and runs")
    parser.add_argument("--repeat", type=int, default=3, help="turns of every side, one after the other")
    parser.add_argument("--warmup", type=int, default=3, help="first steps that are left out of the speed")
    parser.add_argument("--json", help="write the figures to this file, too")
