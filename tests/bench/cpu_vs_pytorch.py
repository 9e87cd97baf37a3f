"""Training speed on the CPU: emberwright against transformers + PEFT.

    python tests/bench/cpu_vs_pytorch.py --emberwright target/release/emberwright

makes a Llama of 60 M parameters with random weights, a LoRA (r = 8 on all linear layers; `--method full` trains all
weights instead) and rows of tokens; trains each side on the same files (f32 unless `--dtype` says bf16, batch 4 × 256, AdamW, the same order) in a process of its own, in turn (A B C A B
C); and prints tokens/s, peak memory, time to the first step and the difference of the losses step by step. All times are
taken from outside, by the arrival of each side's step lines. `--steps 6` is enough for a look: three warm up, three count.
Needs torch, transformers and peft (`--python`).
"""

import argparse
import json
import os
import subprocess
import sys

import arms
from measure import mib
from report import loss_table, ratio_lines, speed_table, write_json
from shapes import SHAPES, flops_per_token

RANK = 8


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arms.add_common_options(parser)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="llama-60m")
    parser.add_argument("--method", choices=sorted(arms.METHODS), default="lora")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--arms", default="emberwright,torch eager,torch sdpa",
                        help=f"of: emberwright, {', '.join(arms.TORCH_ARMS)}")
    parser.add_argument("--no-probe", action="store_true", help="leave the machine's own figures out")
    return parser.parse_args()


def work_of(given):
    return arms.Work(inputs=os.path.join(given.scratch, "inputs"), scratch=given.scratch, batch=given.batch,
                     length=given.length, steps=given.steps, method=given.method, rank=RANK, alpha=2 * RANK,
                     lr=given.lr, dtype=given.dtype, device="cpu", threads=given.threads,
                     python=given.python, emberwright=given.emberwright)


def probe(given, cpus):
    """What this machine can do at best, measured with torch."""
    script = os.path.join(arms.HERE, "probe.py")
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    said = subprocess.run([given.python, script, "--threads", str(given.threads), "--scratch", given.scratch],
                          check=True, capture_output=True, text=True, preexec_fn=pin).stdout
    return json.loads(said)


def print_machine(given, machine):
    print("machine:", json.dumps(machine))
    flops = flops_per_token(SHAPES[given.shape], given.length, given.method, RANK)
    print(f"{flops / 1e6:.0f} MFLOP a token; matrix products alone would allow "
          f"{machine['sgemm_gflops'] * 1e9 / flops:.0f} tokens/s here")


def main():
    given = parse()
    if given.warmup < 1 or given.steps <= given.warmup + 1:
        sys.exit("--steps must exceed --warmup by two at least, and --warmup be 1 at least")
    os.makedirs(given.scratch, exist_ok=True)
    work, chosen = work_of(given), [arm.strip() for arm in given.arms.split(",")]
    unknown = [arm for arm in chosen if arm != "emberwright" and arm not in arms.TORCH_ARMS]
    if unknown:
        sys.exit(f"no such side: {', '.join(unknown)}")
    cpus = set(sorted(os.sched_getaffinity(0))[:given.threads])
    arms.make_inputs(work, given.shape)
    print(f"load before: {os.getloadavg()[0]:.2f}; cores {sorted(cpus)}; {given.shape}, batch {given.batch} × "
          f"{given.length}, {given.steps} steps of which {given.warmup} warm up, {given.repeat} turns")
    if os.getloadavg()[0] > 0.5:
        print("WARNING: the machine is not quiet. OpenMP's threads wait by spinning: with two of them on two shared "
              "cores PyTorch can fall to a tenth of its speed. Don't publish these times; memory and losses hold.")
    if not given.no_probe:
        print_machine(given, probe(given, cpus))
    results = []
    for turn in range(given.repeat):
        for arm in chosen:
            seen, adapter = arms.run_arm(work, arm, turn, cpus)
            results.append((seen, adapter))
            print(f"turn {turn + 1} {arm}: {seen.tokens_per_second(work.tokens_a_step, given.warmup):.0f} tokens/s, "
                  f"{mib(seen.peak_rss)} MiB, load {os.getloadavg()[0]:.2f}", flush=True)
    text, medians = speed_table(results, work, given.warmup)
    print("\n" + "\n\n".join([text, loss_table(results), "\n".join(ratio_lines(medians, results))]))
    if given.json:
        write_json(given.json, results, work, given.warmup)


if __name__ == "__main__":
    main()
