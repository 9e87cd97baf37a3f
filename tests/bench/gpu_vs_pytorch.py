"""Training speed on an NVIDIA GPU: emberwright against transformers + PEFT, one model shape a call.

    python tests/bench/gpu_vs_pytorch.py --shape llama-3.2-1b --scratch /dev/shm/bench

LoRA r = 16 on all linear layers (or `--method full`), bf16 weights, f32 adapters, full rows of 2048 tokens (as packing
makes them), SDPA attention, with and without torch.compile, fused AdamW, in turn A B A C A, so that a drift of the clocks shows. Both
sides read the same folder, adapter and rows. Afterwards `emberwright bench --json` says where its time goes.
Also prints MFU (of 989 TFLOP/s, an H100's or H200's dense bf16), device memory as nvidia-smi sees it, and the losses.
With `--dtype f32 --shape llama-tiny --batch 8 --length 512` it is the check of exactness.
"""

import argparse
import json
import os
import subprocess
import sys

import arms
from gpu_watch import GpuWatch, driver
from measure import table
from report import by_arm, loss_table, ratio_lines, speed_table, write_json
from shapes import SHAPES, flops_per_token

PEAK_FLOPS = 989e12
ORDER = "emberwright,torch sdpa,emberwright,torch sdpa compiled,emberwright"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arms.add_common_options(parser)
    parser.set_defaults(repeat=1, warmup=10)
    parser.add_argument("--shape", choices=sorted(SHAPES), required=True)
    parser.add_argument("--method", choices=sorted(arms.METHODS), default="lora")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--dtype", choices=["bf16", "f32"], default="bf16")
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--arms", default=ORDER, help=f"in turn; of: emberwright, {', '.join(arms.TORCH_ARMS)}")
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds for one side's run")
    parser.add_argument("--no-bench", action="store_true", help="leave `emberwright bench` out")
    return parser.parse_args()


def device_table(results, watched, work, config, warmup):
    """MFU and what nvidia-smi saw, side by side."""
    flops = flops_per_token(config, work.length, work.method, work.rank)
    rows = []
    for arm, runs in by_arm(results).items():
        best = max(seen.tokens_per_second(work.tokens_a_step, warmup) for seen, _ in runs)
        reserved = max((line.get("reserved", 0) for seen, _ in runs for line in seen.extra), default=0)
        sights = watched[arm]
        rows.append([arm, f"{best:.0f}", f"{best * flops / 1e12:.0f}", f"{100 * best * flops / PEAK_FLOPS:.1f} %",
                     f"{max(sight['peak_mib'] for sight in sights):.0f}", f"{reserved / 2**20:.0f}" if reserved else "-",
                     json.dumps(sights[-1])])
    return table(["side", "best tokens/s", "TFLOP/s", "MFU", "device memory MiB", "torch reserved MiB", "last sight"],
                 rows)


def bench_command(work, warmup):
    """`emberwright bench` on the same model folder and shape of batch."""
    return [work.emberwright, "bench", "--model", work.path("model"), "--device", "cuda:0", "--dtype", work.dtype,
            "--method", work.method, "--rank", str(work.rank), "--batch-size", str(work.batch), "--length",
            str(work.length), "--steps", str(work.steps - warmup), "--warmup", str(warmup), "--json"]


def print_bench(work, warmup, time_limit):
    done = subprocess.run(bench_command(work, warmup), capture_output=True, text=True, check=False,
                          timeout=time_limit)
    if done.returncode != 0:
        print(f"emberwright bench ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return
    for line in done.stdout.splitlines():
        event = json.loads(line)
        if event.get("event") == "benched":
            report = event["report"]
            print("emberwright bench:", json.dumps({key: value for key, value in report.items()
                                                    if key not in ("losses", "seconds_per_step")}))


def main():
    given = parse()
    if given.steps <= given.warmup + 1:
        sys.exit("--steps must exceed --warmup by two at least")
    os.makedirs(given.scratch, exist_ok=True)
    config = SHAPES[given.shape]
    work = arms.Work(inputs=os.path.join(given.scratch, f"inputs-{given.shape}"), scratch=given.scratch,
                     batch=given.batch, length=given.length, steps=given.steps, method=given.method, rank=16, alpha=32, lr=given.lr,
                     dtype=given.dtype, device="cuda", threads=os.cpu_count() or 1, python=given.python,
                     emberwright=os.path.abspath(given.emberwright))
    arms.make_inputs(work, given.shape, draw_on="cuda")
    print(f"{driver()}; {given.shape}, {given.dtype}, batch {given.batch} × {given.length}, {given.steps} steps of "
          f"which {given.warmup} warm up")
    results, watched = [], {}
    for turn, arm in enumerate([arm.strip() for arm in given.arms.split(",")] * given.repeat):
        with GpuWatch() as watch:
            seen, adapter = arms.run_arm(work, arm, turn, time_limit=given.time_limit)
        sight = watch.summary()
        watched.setdefault(arm, []).append(sight)
        results.append((seen, adapter))
        print(f"{turn + 1}: {arm}: {seen.tokens_per_second(work.tokens_a_step, given.warmup):.0f} tokens/s, first step "
              f"after {seen.time_to_first_step():.1f} s, {json.dumps(sight)}", flush=True)
    text, medians = speed_table(results, work, given.warmup)
    print("\n" + "\n\n".join([text, device_table(results, watched, work, config, given.warmup), loss_table(results),
                              "\n".join(ratio_lines(medians, results))]))
    if given.json:
        write_json(given.json, results, work, given.warmup)
    if not given.no_bench:
        print_bench(work, given.warmup, given.time_limit)


if __name__ == "__main__":
    main()
