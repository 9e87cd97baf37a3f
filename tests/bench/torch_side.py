"""The other side: transformers + PEFT, training what `make_inputs.py` made, as a careful user would.

Writes one JSON line a step to --metrics (step, tokens, loss, lr, grad_norm, tokens_per_s), flushed at once, then one
line `{"kind": "memory", …}`; and the trained adapter, or the whole model, to --out.
"""

import argparse
import json
import os
import time

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def read_batches(path, batch, steps):
    """`steps` batches of `batch` rows in file order: (ids, labels), both [batch, length]."""
    with open(path, encoding="ascii") as handle:
        rows = [json.loads(line) for line in handle]
    if len(rows) < batch * steps:
        raise SystemExit(f"{path} holds {len(rows)} rows, {batch * steps} are needed")
    for first in range(0, batch * steps, batch):
        chosen = rows[first:first + batch]
        yield (torch.tensor([row["input_ids"] for row in chosen]), torch.tensor([row["labels"] for row in chosen]))


def load(given):
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=DTYPES[given.dtype],
                                                 attn_implementation=given.attention).to(given.device)
    model.config.use_cache = False
    tuned = model if given.method == "full" else PeftModel.from_pretrained(model, given.adapter, is_trainable=True)
    if given.checkpointing:
        tuned.enable_input_require_grads()
        tuned.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    tuned.train()
    return tuned


def step_of(model, trainable, optimizer, ids, labels, max_norm):
    """One optimizer step; (loss, gradient norm before clipping), both read back, so the device is waited for."""
    optimizer.zero_grad(set_to_none=True)
    loss = model(input_ids=ids, labels=labels).loss
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(trainable, max_norm)
    optimizer.step()
    return float(loss.detach()), float(norm)


def train(given, model, metrics):
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=given.lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0,
                                  fused=given.device.startswith("cuda"))
    runner = torch.compile(model) if given.compile else model
    for number, (ids, labels) in enumerate(read_batches(given.tokens, given.batch, given.steps), 1):
        start = time.perf_counter()
        ids, labels = ids.to(given.device), labels.to(given.device)
        loss, norm = step_of(runner, trainable, optimizer, ids, labels, given.max_norm)
        seconds = time.perf_counter() - start
        line = {"step": number, "tokens": int((labels[:, 1:] != -100).sum()), "loss": loss, "lr": given.lr,
                "grad_norm": norm, "tokens_per_s": ids.numel() / seconds}
        metrics.write(json.dumps(line) + "\n")
        metrics.flush()


def write_memory(given, metrics):
    if given.device.startswith("cuda"):
        figures = {"allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()}
        metrics.write(json.dumps({"kind": "memory", **figures}) + "\n")
        metrics.flush()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "adapter", "tokens", "metrics", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--method", choices=["lora", "full"], default="lora")
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="eager")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--max-norm", type=float, default=1.0)
    return parser.parse_args()


def main():
    given = parse()
    torch.set_num_threads(given.threads)
    torch.backends.cuda.matmul.allow_tf32 = given.dtype == "bf16"  # the adapters' products; f32 runs are for exactness
    os.makedirs(given.out, exist_ok=True)
    model = load(given)
    with open(given.metrics, "w", encoding="ascii") as metrics:
        train(given, model, metrics)
        write_memory(given, metrics)
    model.save_pretrained(given.out)


if __name__ == "__main__":
    main()
