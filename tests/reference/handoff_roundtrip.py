"""A run that is handed over, trained by two processes on the CPU, and brought back.

    python tests/reference/handoff_roundtrip.py --emberwright target/release/emberwright [--only torchrun,fsdp,zero2,zero3,resume,home]
        [--settings 'dora = true'] [--quantization nf4] [--packing] [--keep DIR]

Run by hand (needs what the folder's requirements.txt names; DeepSpeed only for zero2 and zero3, bitsandbytes only for
--quantization); CI does not need it. The starter
model learns from a part of its data in f32: once by `emberwright train`, four rows a step on one device, and by the script of
`emberwright handoff`, two processes (gloo) that share each step's four rows. For each way to spread the work, printed with figures:

1. losses, gradient norms, learning rates and validation losses of each step are those of our own run;
2. `emberwright import` brings the adapter back, and `emberwright score` gives every token the log-probability that it has with the
   adapter of our own run;
3. resume: the run is cut off at its middle checkpoint and goes on from there, and ends where it ended before;
4. home: what was cut off there is imported and goes on by `emberwright train --resume`, and ends as our own run does.

accelerate spreads weights over accelerators only; ON_CPU tells it that it may do so here.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
STEPS, ROWS = 12, 4
# Sums of f32 in another order differ by 1e-6 of their size and are carried through twelve updates of AdamW, whose first steps
# divide by small roots: losses came out within 2e-6, norms within 1e-6, log-probabilities within 2e-5. With 8-bit scales (nf4-double)
# bitsandbytes takes the other of two codes that are equally near for some of them: 1e-4. One wrong label, a wrong rate or a step
# left out change a loss by more than 1e-2, so these bounds let none of them through.
LOSS, NORM, LOGPROB = 2e-4, 2e-3, 5e-3

ON_CPU = '''import os, runpy, sys
import accelerate
from accelerate.state import PartialState
from accelerate.utils import DistributedType
PartialState(cpu=True)
zero = os.environ.get("ACCELERATE_USE_DEEPSPEED")
PartialState._shared_state["distributed_type"] = DistributedType.DEEPSPEED if zero else DistributedType.MULTI_GPU
PartialState._shared_state["_cpu"] = False
made = accelerate.Accelerator
accelerate.Accelerator = lambda cpu: made()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
'''
FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
        "FSDP_RESHARD_AFTER_FORWARD": "true", "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
        "FSDP_CPU_RAM_EFFICIENT_LOADING": "false"}
ZERO = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO3_INIT": "false", "DS_ACCELERATOR": "cpu"}
# Engine of the hand-off, what accelerate is told by the environment, whether it must be told that it may.
WAYS = {
    "torchrun": ("torchrun", {}, False),
    "fsdp": ("accelerate-fsdp", FSDP, True),
    "zero2": ("accelerate-deepspeed", {**ZERO, "ACCELERATE_DEEPSPEED_CONFIG_FILE": "config/zero2.json"}, True),
    "zero3": ("accelerate-deepspeed", {**ZERO, "ACCELERATE_DEEPSPEED_CONFIG_FILE": "config/zero3.json"}, True),
}


class Work:
    def __init__(self, program, folder, settings, packing, quantization):
        self.program, self.folder, self.quantization = program, folder, quantization
        rows = (ROOT / "assets/starter/data/ember_en.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / "data.jsonl").write_text("".join(rows[:60]), encoding="utf-8")
        (folder / "run.toml").write_text(f"""[model]
path = {json.dumps(str(ROOT / "assets/starter/model"))}
dtype = "f32"
quantization = "{quantization}"
[data]
train = ["data.jsonl"]
validation = 0.2
max_length = 96
packing = {str(packing).lower()}
[method]
kind = "lora"
rank = 4
targets = "all-linear"
loraplus_ratio = 2.0
{settings}
[train]
max_steps = {STEPS}
batch_size = {ROWS}
learning_rate = 2e-3
weight_decay = 0.01
eval_every = 4
save_every = 6
keep_checkpoints = 9
""", encoding="utf-8")

    def run(self, *arguments):
        command = [self.program, "--device", "cpu", *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def own(self):
        self.run("train", "run.toml", "--out", "own")
        return self.folder / "own"

    def hand_off(self, way):
        out = self.folder / f"handed-{way}"
        self.run("handoff", "run.toml", "--engine", WAYS[way][0], "--cards", 2, "--copy-model", "--out", out)
        return out

    def imported(self, handed, name="back"):
        out = self.folder / f"{name}-{handed.name}"
        self.run("import", handed, "--run", "run.toml", "--out", out)
        return out

    def gone_on(self, run):
        """To the end, here."""
        self.run("train", "--resume", run)
        return run

    def scores(self, run):
        name = f"scores-{run.name}.jsonl"
        questions = [json.loads(line)["messages"] for line in (self.folder / "data.jsonl").read_text().splitlines()[:20]]
        rows = [{"prompt": turns[-2]["content"], "completion": turns[-1]["content"]} for turns in questions]
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.run("score", "--model", ROOT / "assets/starter/model", "--adapter", run / "adapter", "--dtype", "f32",
                 "--quantization", self.quantization,
                 "--input", "rows.jsonl", "--output", name)
        lines = (self.folder / name).read_text().splitlines()
        return [value for line in lines for value in json.loads(line)["logprobs"] if value is not None]


def train(handed, way, *arguments):
    _, variables, told = WAYS[way]
    script = ["train.py"]
    if told:
        (handed / "on_cpu.py").write_text(ON_CPU)
        script = ["on_cpu.py", "train.py"]
    if way.startswith("zero"):
        accumulate(handed / variables["ACCELERATE_DEEPSPEED_CONFIG_FILE"])
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PATH": path, **variables}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *script, *arguments]
    done = subprocess.run(command, cwd=handed, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{way}: {done.stdout}\n{done.stderr}")
    spread = next(line for line in done.stdout.splitlines() if "processes" in line)
    print(f"{way}: {spread}")


def accumulate(path):
    """What is there for cards alone."""
    settings = json.loads(path.read_text())
    for part in ("offload_optimizer", "offload_param"):
        settings["zero_optimization"].pop(part, None)
    path.write_text(json.dumps(settings))


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def compare(way, own, theirs):
    ours, theirs = lines(own), lines(theirs)
    keys = [(line["step"], line.get("kind")) for line in ours]
    if keys != [(line["step"], line.get("kind")) for line in theirs]:
        sys.exit(f"{way}: other lines: {keys}")
    loss = norm = 0.0
    for a, b in zip(ours, theirs, strict=True):
        key = "eval_loss" if "kind" in a else "loss"
        loss = max(loss, abs(a[key] - b[key]))
        same = ("epoch", "eval_tokens") if "kind" in a else ("epoch", "tokens", "lr")
        for field in same:
            if abs(a[field] - b[field]) > 1e-12:
                sys.exit(f"{way}: step {a['step']}: {field} is {a[field]} here and {b[field]} there")
        if "kind" not in a:
            norm = max(norm, abs(a["grad_norm"] / b["grad_norm"] - 1))
    first, last = ours[0]["loss"], [line for line in ours if "kind" not in line][-1]["loss"]
    print(f"{way}: {len(ours)} lines (loss {first:.4f} to {last:.4f}); losses differ by {loss:.1e} at most, gradient norms by {norm:.1e}")
    if loss > LOSS or norm > NORM:
        sys.exit(f"{way}: more than {LOSS} or {NORM}")


def cut_off(handed):
    """As if it had been killed after its middle checkpoint."""
    shutil.rmtree(handed / "run/adapter")
    shutil.rmtree(handed / f"run/checkpoints/step-{STEPS:08}")


def resumed(handed, way):
    """From the middle on once more."""
    run = handed / "run"
    before = load_file(run / "adapter/adapter_model.safetensors")
    told = lines(run)
    cut_off(handed)
    train(handed, way, "--resume")
    after = load_file(run / "adapter/adapter_model.safetensors")
    worst = max((before[name] - after[name]).abs().max().item() for name in before)
    again = lines(run)
    loss = max(abs(a["loss"] - b["loss"]) for a, b in zip(told, again, strict=True) if "loss" in a)
    print(f"{way}, resumed at step {STEPS // 2}: weights differ by {worst:.1e}, losses by {loss:.1e}")
    if worst > 1e-4 or loss > LOSS:
        sys.exit(f"{way}: a resumed run is another one")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emberwright", required=True)
    parser.add_argument("--only", default="torchrun,fsdp,resume")
    parser.add_argument("--settings", default="", help="lines of [method]")
    parser.add_argument("--quantization", default="none", help="QLoRA: nf4 or nf4-double")
    parser.add_argument("--packing", action="store_true")
    parser.add_argument("--keep", help="work in this folder and leave it")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(arguments.keep or made).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        program = str(Path(arguments.emberwright).resolve())
        work = Work(program, folder, arguments.settings.replace(";", "\n"), arguments.packing, arguments.quantization)
        own = work.own()
        scores = work.scores(own)
        for way in (way for way in wanted if way in WAYS):
            handed = work.hand_off(way)
            train(handed, way)
            compare(way, own, handed / "run")
            back = work.imported(handed)
            worst = max(abs(a - b) for a, b in zip(scores, work.scores(back), strict=True))
            print(f"{way}: {len(scores)} tokens, log-probabilities differ by {worst:.1e} at most")
            if worst > LOGPROB:
                sys.exit(f"{way}: more than {LOGPROB}")
            if "resume" in wanted:
                resumed(handed, way)
            if "home" in wanted:
                cut_off(handed)
                compare(f"{way}, gone on here from step {STEPS // 2}", own, work.gone_on(work.imported(handed, "home")))


if __name__ == "__main__":
    main()
