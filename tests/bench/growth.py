"""How time and memory grow with one thing at a time, and by which power of it.

    python tests/bench/growth.py --emberwright target/release/emberwright length size rows steps

`length` trains rows of 256 to 8192 tokens (as many tokens a step), `size` models of 2 to 60 M parameters, `rows` checks
files of 1,000 to a million rows, and `steps` trains 10,000 steps and watches the memory of the process: its slope should
be nought. Standard library only. The power is the slope of the line through the logarithms.
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
import time

from measure import memory_of, table

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LENGTHS = [256, 512, 1024, 2048, 4096, 8192]
TOKENS_A_STEP = 8192
# Blocks, width and inner width: parameters grow by about four each time.
SIZES = [(4, 128, 352), (8, 256, 704), (14, 512, 1536)]
ROWS = [1_000, 10_000, 100_000, 1_000_000]
STEPS = 10_000
# Allocators and caches settle first, those of the writer of checkpoints within some 40 of them.
SETTLED = 0.5
CHECKPOINTS = 100


def power(points):
    """Slope of log y over log x."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    return slope(logs)[0]


def slope(points):
    """(slope, its standard error) of the line of least squares."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    found = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    rest = sum((y - mean_y - found * (x - mean_x)) ** 2 for x, y in points)
    return found, math.sqrt(rest / max(count - 2, 1) / spread)


def bench(given, *options):
    command = [given.emberwright, "bench", "--device", given.device, "--dtype", given.dtype, "--json",
               *map(str, options)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    events = [json.loads(line) for line in said.splitlines()]
    return next(event["report"] for event in events if event.get("event") == "benched")


def of_length(given):
    rows, times = [], []
    for length in LENGTHS:
        report = bench(given, "--shape", given.shape, "--method", "lora", "--batch-size", TOKENS_A_STEP // length or 1,
                       "--length", length, "--steps", 3, "--warmup", 1)
        times.append((length, 1 / report["tokens_per_s"]))
        rows.append([length, f"{report['tokens_per_s']:.0f}", f"{report['peak_memory_bytes'] / 2**20:.0f}"])
    print(table(["tokens a row", "tokens/s", "peak MiB"], rows))
    print(f"seconds a token grow with the length to the power of {power(times):.2f}\n")


def of_size(given):
    rows, times, peaks = [], [], []
    for blocks, hidden, inner in SIZES:
        report = bench(given, "--shape", "60m", "--layers", blocks, "--hidden-size", hidden, "--intermediate-size", inner,
                       "--method", "full", "--batch-size", 4, "--length", 256, "--steps", 5, "--warmup", 1)
        times.append((report["model_flops_per_token"], 1 / report["tokens_per_s"]))
        peaks.append((report["parameters"], report["peak_memory_bytes"]))
        rows.append([f"{report['parameters'] / 1e6:.1f} M", f"{report['tokens_per_s']:.0f}",
                     f"{report['peak_memory_bytes'] / 2**20:.0f}"])
    print(table(["parameters, all trained", "tokens/s", "peak MiB"], rows))
    print(f"seconds a token grow with the FLOPs to the power of {power(times):.2f}, memory with the parameters to that of "
          f"{power(peaks):.2f}\n")


def write_rows(path, count):
    with open(path, "w", encoding="utf-8") as file:
        for row in range(count):
            question = f"What is said in row {row}, which has {row % 89} words more than it needs?"
            answer = " ".join(["It says that learning rates matter."] * (1 + row % 13))
            file.write(json.dumps({"instruction": question, "input": "", "output": answer}) + "\n")


def of_rows(given):
    rows, times, peaks = [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        for count in ROWS:
            path = os.path.join(scratch, "rows.jsonl")
            write_rows(path, count)
            run = os.path.join(scratch, "run.toml")
            with open(run, "w", encoding="utf-8") as file:
                file.write(f'[model]\npath = "{ROOT}/assets/starter/model"\n[data]\ntrain = [{json.dumps(path)}]\n')
            seconds, peak = watched([given.emberwright, "check", run, "--device", "cpu", "--json"])
            times.append((count, seconds))
            peaks.append((count, peak))
            rows.append([f"{count:,}", f"{os.path.getsize(path) / 1e6:.1f}", f"{seconds:.2f}", f"{peak / 2**20:.0f}"])
    print(table(["rows", "MB", "s", "peak MiB"], rows))
    print(f"time grows with the rows to the power of {power(times[1:]):.2f} (from 10,000 on), memory to that of "
          f"{power(peaks[1:]):.2f}\n")


def watched(command):
    """(seconds, most resident bytes) of a command that must succeed, or end with findings (1)."""
    start, peak = time.monotonic(), 0
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while child.poll() is None:
        peak = max(peak, memory_of(child.pid)[0])
        time.sleep(0.01)
    if child.returncode not in (0, 1):
        raise SystemExit(f"{command}: {child.returncode}: {child.stderr.read().decode()[-2000:]}")
    return time.monotonic() - start, peak


def of_steps(given):
    with tempfile.TemporaryDirectory() as scratch:
        write_rows(os.path.join(scratch, "rows.jsonl"), 512)
        run = os.path.join(scratch, "run.toml")
        with open(run, "w", encoding="utf-8") as file:
            file.write(f"""[model]
path = "{ROOT}/assets/starter/model"
[data]
train = [{json.dumps(os.path.join(scratch, "rows.jsonl"))}]
max_length = 64
on_too_long = "truncate"
[method]
kind = "lora"
[train]
max_steps = {given.steps}
batch_size = 1
learning_rate = 1e-5
eval_every = 0
save_every = {max(1, given.steps // CHECKPOINTS)}
""")
        out = os.path.join(scratch, "out")
        command = [given.emberwright, "train", run, "--out", out, "--device", given.device, "--json"]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        points = []
        while child.poll() is None:
            points.append((steps_done(out), memory_of(child.pid)[1]))
            time.sleep(0.25)
        if child.returncode != 0:
            raise SystemExit(child.stderr.read().decode()[-2000:])
    points = [(step, size) for step, size in points if step >= SETTLED * given.steps and size]
    found, error = slope(points)
    print(f"{given.steps:,} steps, {len(points)} looks from step {points[0][0]:,} on: anonymous memory "
          f"{points[0][1] / 2**20:.1f} → {points[-1][1] / 2**20:.1f} MiB, slope {found:.1f} ± {2 * error:.1f} bytes a step\n")


def steps_done(out):
    try:
        with open(os.path.join(out, "metrics.jsonl"), "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4096))
            steps = [json.loads(line).get("step", 0) for line in file.read().splitlines()[1:-1]]
    except (FileNotFoundError, json.JSONDecodeError):
        return 0
    return max(steps, default=0)


CURVES = {"length": of_length, "size": of_size, "rows": of_rows, "steps": of_steps}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("curves", nargs="*", choices=[*CURVES, []], default=list(CURVES))
    parser.add_argument("--emberwright", default="target/release/emberwright")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--shape", default="tiny", help="of `length`: a shape of `emberwright bench`")
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.2f}")
    for curve in given.curves:
        CURVES[curve](given)


if __name__ == "__main__":
    main()
