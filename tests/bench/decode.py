"""One answer token by token: emberwright's `generate` against transformers' `generate`, prefill and decode apart.

    python tests/bench/decode.py --emberwright target/release/emberwright --model MODEL

Both sides read the same `--prompt` ids and continue them greedily by `--tokens` tokens (batch 1, cache of keys and values), in
turn, `--repeat` times; tokens are compared. Each side is asked for 1 token and for all of them: the first is the prefill, the
difference is the decoding, in wall time and in CPU time of the process. Of several turns the best counts: what else runs on the
machine only ever adds. Needs torch and transformers. `--dtype bf16` compares there, `--quantization nf4` times our side alone.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import time


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emberwright", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt", type=int, nargs="+", default=[16, 512], help="lengths of prompts, in tokens")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--quantization", default="none")
    return parser.parse_args()


def ours(given, ids, tokens):
    """Seconds of prefill and decode as the program's events say them, CPU seconds of the whole process, and the answer."""
    command = [given.emberwright, "generate", "--json", "--device", "cpu", "--dtype", given.dtype, "--model", given.model,
               "--quantization", given.quantization, "--ids", ",".join(map(str, ids)), "--max-new-tokens", str(tokens),
               "--ignore-eos", "--temperature", "0"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run(command, check=True, capture_output=True, text=True,
                          env={**os.environ, "RAYON_NUM_THREADS": str(given.threads)}).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = json.loads(said.splitlines()[-1])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    stats = answer["stats"]
    return stats["prefill_seconds"], stats["decode_seconds"], cpu, answer["ids"]


def theirs(side, ids, tokens):
    model, torch = side
    inputs = torch.tensor([ids])
    wall, cpu = time.perf_counter(), time.process_time()
    with torch.no_grad():
        made = model.generate(inputs, attention_mask=torch.ones_like(inputs), do_sample=False, eos_token_id=None,
                              min_new_tokens=tokens, max_new_tokens=tokens, pad_token_id=0)
    return time.perf_counter() - wall, time.process_time() - cpu, made[0, len(ids):].tolist()


def load(given):
    import torch
    from transformers import AutoModelForCausalLM
    torch.set_num_threads(given.threads)
    dtype = torch.bfloat16 if given.dtype == "bf16" else torch.float32
    return AutoModelForCausalLM.from_pretrained(given.model, dtype=dtype).eval(), torch


def measure(given, side, ids):
    """Prefill seconds, decode seconds and decode CPU seconds of each side, one entry a turn; and the answers."""
    seen, said = {"emberwright": [], "transformers": []}, {}
    for _ in range(given.repeat):
        prefill, _, one, _ = ours(given, ids, 1)
        again, decode, whole, said["emberwright"] = ours(given, ids, given.tokens)
        seen["emberwright"].append((min(prefill, again), decode, whole - one))
        if side:
            prefill, one, _ = theirs(side, ids, 1)
            wall, cpu, said["transformers"] = theirs(side, ids, given.tokens)
            seen["transformers"].append((prefill, wall - prefill, cpu - one))
    return seen, said


def main():
    given = parse()
    side = None if given.quantization != "none" else load(given)
    print(f"{given.tokens} tokens, {given.dtype}, {given.threads} threads, {given.repeat} turns, best of each and [median]; "
          f"load {os.getloadavg()[0]:.1f}\n")
    print("| prompt | side | prefill, tokens/s | decode, tokens/s | CPU ms a token | same tokens |\n|---|---|---|---|---|---|")
    for length in given.prompt:
        ids = [random.Random(length).randrange(3, 255) for _ in range(length)]
        seen, said = measure(given, side, ids)
        base = said.get("transformers")
        for name, turns in seen.items():
            if not turns:
                continue
            prefill, decode, cpu = zip(*turns)
            # The first token comes out of the prefill.
            more = given.tokens - 1
            same = sum(a == b for a, b in zip(said[name], base)) if base else "–"
            print(f"| {length} | {name} | {length / min(prefill):.0f} [{length / statistics.median(prefill):.0f}] "
                  f"| {more / min(decode):.1f} [{more / statistics.median(decode):.1f}] | {min(cpu) / more * 1e3:.1f} "
                  f"[{statistics.median(cpu) / more * 1e3:.1f}] | {same} of {given.tokens} |")


if __name__ == "__main__":
    main()
