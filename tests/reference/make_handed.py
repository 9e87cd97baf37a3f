"""tests/fixtures/handed: a small run as it comes back from other machines.

    python tests/reference/make_handed.py --emberwright target/release/emberwright

Run by hand (needs what the folder's requirements.txt names; CI does not need it). The golden Llama learns from 22 made-up rows, LoRA
of rank 2: `emberwright handoff` writes the folder, its script trains with two processes on the CPU (gloo), and `run/` is kept as the
script left it, with the run file and the data that it was handed over from. tests/cli/handed.rs imports it.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from handoff_roundtrip import ROOT, train

FIXTURE = ROOT / "tests/fixtures/handed"
WORDS = ["ember", "light", "wood", "iron", "river", "stone", "cloud"]
RUN = """[model]
path = "model"
dtype = "f32"
[data]
train = ["data.jsonl"]
validation = 0.2
max_length = 48
[method]
kind = "lora"
rank = 2
targets = ["q", "v"]
loraplus_ratio = 4.0
[train]
max_steps = 8
batch_size = 4
learning_rate = 4e-3
weight_decay = 0.01
eval_every = 4
save_every = 4
"""


def words(start, count):
    return " ".join(WORDS[n * n % 7] for n in range(start, start + count))


def conversation(row):
    turns = [("user", words(row, 1 + row % 3)), ("assistant", words(row * 3 + 1, 1 + row % 4))]
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emberwright", required=True)
    program = str(Path(parser.parse_args().emberwright).resolve())
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        shutil.copytree(ROOT / "tests/fixtures/golden/llama-gqa-llama3/model", folder / "model")
        (folder / "run.toml").write_text(RUN)
        (folder / "data.jsonl").write_text("".join(conversation(row) + "\n" for row in range(22)))
        command = [program, "--device", "cpu", "handoff", "run.toml", "--engine", "torchrun", "--cards", "2", "--out", "handed"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        train(folder / "handed", "torchrun", "--model", str(folder / "model"))
        for name in ("run", "run.toml", "data.jsonl"):
            target = FIXTURE / name
            shutil.rmtree(target, ignore_errors=True)
            shutil.move(folder / ("handed/run" if name == "run" else name), target)


if __name__ == "__main__":
    main()
