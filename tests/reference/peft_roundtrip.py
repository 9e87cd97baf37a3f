"""Adapters and merged models, back and forth between emberwright and transformers + PEFT.

    python tests/reference/peft_roundtrip.py --emberwright target/release/emberwright --base MODEL
        [--method lora|…|all] [--settings 'rank = 4; targets = ["q", "v"]; init = "pissa"'] [--adapter DIR]

Run by hand (needs torch, transformers, peft); CI does not need it. Four checks, each printed with its figures:

1. ours by PEFT: the adapter that `emberwright train` wrote (or --adapter) is loaded by PEFT; log-probabilities agree;
2. theirs by us: an adapter that PEFT wrote is scored by emberwright; log-probabilities agree;
3. merged: `emberwright export --to merged` is loaded by plain transformers; log-probabilities agree;
4. greedy tokens of the merged model agree between transformers and `emberwright generate`, which also gives the same
   tokens from base and adapter.

The last two concern methods that merge.

Before each comparison the adapter is shown to change the base's log-probabilities, so that agreement means something.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys

import torch
from peft import (IA3Config, LNTuningConfig, LoraConfig, PeftModel, PrefixTuningConfig, PromptEncoderConfig,
                  PromptTuningConfig, get_peft_model)
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()

ROWS, LONGEST, NEW_TOKENS = 6, 40, 24
GPT2_LINEAR = ["c_attn", "c_proj", "c_fc"]



def lora_config(conv):
    """With a rank and an alpha of its own for one module."""
    pattern = "attn.c_proj" if conv else "o_proj|dense"
    return LoraConfig(r=6, lora_alpha=12, lora_dropout=0.0, task_type="CAUSAL_LM", fan_in_fan_out=conv,
                      target_modules=GPT2_LINEAR if conv else "all-linear", rank_pattern={pattern: 3},
                      alpha_pattern={pattern: 9})


def ia3_config(conv):
    down = "mlp.c_proj" if conv else "down_proj"
    return IA3Config(task_type="CAUSAL_LM", fan_in_fan_out=conv, feedforward_modules=[down],
                     target_modules=["c_attn", down] if conv else ["k_proj", "v_proj", down])


def prompt_encoder(kind):
    return lambda _: PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=5, encoder_hidden_size=16,
                                         encoder_reparameterization_type=kind)


# Method of a run file, PEFT's config of its like (given whether the base has Conv1D), whether it merges.
METHODS = {
    "lora": ('kind = "lora"\nrank = 4\nalpha = 16\ntargets = "all-linear"', lora_config, True),
    "dora": ('kind = "lora"\nrank = 4\nalpha = 16\ndora = true\ntargets = "all-linear"',
             lambda conv: LoraConfig(r=4, use_dora=True, task_type="CAUSAL_LM", fan_in_fan_out=conv,
                                     target_modules=GPT2_LINEAR if conv else "all-linear"), True),
    "ia3": ('kind = "ia3"', ia3_config, True),
    "ln-tuning": ('kind = "ln-tuning"', lambda conv: LNTuningConfig(
        task_type="CAUSAL_LM", target_modules=["ln_1", "ln_2", "ln_f"] if conv else
        ["input_layernorm", "post_attention_layernorm", "norm"]), True),
    "prefix": ('kind = "prefix"\ntokens = 6', lambda _: PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=6), False),
    "prefix-projection": ('kind = "prefix"\ntokens = 6\nprojection = true\nprojection_width = 16',
                          lambda _: PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=6,
                                                       prefix_projection=True, encoder_hidden_size=16), False),
    "p-tuning-v2": ('kind = "p-tuning-v2"\ntokens = 9', None, False),
    "prompt": ('kind = "prompt"\ntokens = 7', lambda _: PromptTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=7), False),
    "p-tuning": ('kind = "p-tuning"\ntokens = 5\nencoder_width = 16', prompt_encoder("MLP"), False),
    "p-tuning-lstm": ('kind = "p-tuning"\ntokens = 5\nencoder = "lstm"\nencoder_width = 16',
                      prompt_encoder("LSTM"), False),
}


def call(*command):
    """Runs emberwright; its standard output."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


def load_base(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


@torch.no_grad()
def logprobs_of(model, rows):
    """For every row, the log-probability of each token but the first, given those before it."""
    found = []
    for ids in rows:
        # Virtual tokens stand in front.
        logits = model(input_ids=torch.tensor([ids])).logits[0, -len(ids):].double()
        table = torch.log_softmax(logits, -1)
        found.append([float(table[place - 1, ids[place]]) for place in range(1, len(ids))])
    return found


def score(binary, folder, base, rows, adapter=None, name="scores"):
    """The same from `emberwright score`."""
    source, target = os.path.join(folder, f"{name}.in.jsonl"), os.path.join(folder, f"{name}.out.jsonl")
    with open(source, "w", encoding="ascii") as handle:
        handle.writelines(json.dumps({"ids": ids}) + "\n" for ids in rows)
    if os.path.exists(target):
        os.remove(target)
    chosen = ["--adapter", adapter] if adapter else []
    call(binary, "score", "--model", base, *chosen, "--input", source, "--output", target, "--device", "cpu")
    with open(target, encoding="utf-8") as handle:
        lines = [json.loads(line) for line in handle]
    if [line["ids"] for line in lines] != rows or any(line["logprobs"][0] is not None for line in lines):
        sys.exit(f"{target}: rows in another order, or a first token with a log-probability")
    return [line["logprobs"][1:] for line in lines]


def largest_difference(left, right):
    return max(abs(a - b) for ours, theirs in zip(left, right, strict=True)
               for a, b in zip(ours, theirs, strict=True))


class Checks:
    """Prints every figure and remembers whether all held."""

    def __init__(self, tolerance):
        self.tolerance, self.failed = tolerance, []

    def near(self, what, left, right):
        gap = largest_difference(left, right)
        self.say(what, gap <= self.tolerance, f"largest difference {gap:.2e} (allowed {self.tolerance:.0e})")

    def far(self, what, left, right):
        gap = largest_difference(left, right)
        self.say(what, gap > 20 * self.tolerance, f"largest difference {gap:.2e}")

    def say(self, what, held, figures):
        print(f"{'ok  ' if held else 'FAIL'} {what}: {figures}")
        if not held:
            self.failed.append(what)


def rows_for(vocabulary, seed):
    """Rows of several lengths, a single pair among them."""
    draw = random.Random(seed)
    lengths = [2, *(draw.randrange(5, LONGEST) for _ in range(ROWS - 1))]
    return [[draw.randrange(vocabulary) for _ in range(length)] for length in lengths]


def train_adapter(binary, folder, base, vocabulary, method):
    """Twenty quick steps, so that B is far from zero."""
    tokens, run_file, out = (os.path.join(folder, name) for name in ("tokens.jsonl", "run.toml", "run"))
    with open(tokens, "w", encoding="ascii") as handle:
        for row in range(40):
            ids = [(row * 7 + place * 3) % min(vocabulary, 200) for place in range(24)]
            handle.write(json.dumps({"input_ids": ids, "labels": ids}) + "\n")
    quoted = json.dumps(os.path.abspath(base))
    with open(run_file, "w", encoding="utf-8") as handle:
        handle.write(f'[model]\npath = {quoted}\ndtype = "f32"\n'
                     '[data]\ntrain = ["tokens.jsonl"]\nformat = "tokens"\nvalidation = 0.0\nmax_length = 48\n'
                     f'[method]\n{method}\n'
                     '[train]\nmax_steps = 20\nbatch_size = 2\nlearning_rate = 1e-2\nscheduler = "constant"\n'
                     'warmup_ratio = 0.0\nsave_every = 0\neval_every = 0\n')
    shutil.rmtree(out, ignore_errors=True)
    call(binary, "train", run_file, "--out", out, "--device", "cpu")
    return os.path.join(out, "adapter")


def write_peft_adapter(base, folder, seed, config_of):
    """A PEFT adapter whose every tensor was moved away from where it begins."""
    torch.manual_seed(seed)
    model = load_base(base)
    config = config_of(model.config.model_type == "gpt2")
    tuned = get_peft_model(model, config).eval()
    with torch.no_grad():
        for _, weight in tuned.named_parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.1)
    tuned.save_pretrained(folder)
    return tuned


def check_adapters(given, checks, rows, adapter, config_of):
    plain = logprobs_of(load_base(given.base), rows)
    checks.near("base, emberwright against transformers", score(given.emberwright, given.work, given.base, rows), plain)
    tuned = logprobs_of(PeftModel.from_pretrained(load_base(given.base), adapter).eval(), rows)
    checks.far("our adapter changes the base", tuned, plain)
    ours = score(given.emberwright, given.work, given.base, rows, adapter, "ours")
    checks.near("our adapter, PEFT against emberwright", tuned, ours)

    if config_of is None:
        return ours
    folder = os.path.join(given.work, "peft-adapter")
    shutil.rmtree(folder, ignore_errors=True)
    theirs = logprobs_of(write_peft_adapter(given.base, folder, given.seed, config_of), rows)
    checks.far("PEFT's adapter changes the base", theirs, plain)
    checks.near("PEFT's adapter, emberwright against PEFT",
                score(given.emberwright, given.work, given.base, rows, folder, "theirs"), theirs)
    return ours


def generate(binary, model, prompt, adapter=None):
    """New tokens of `emberwright generate --temperature 0`."""
    chosen = ["--adapter", adapter] if adapter else []
    said = call(binary, "generate", "--model", model, *chosen, "--ids", ",".join(map(str, prompt)),
                "--max-new-tokens", NEW_TOKENS, "--temperature", "0", "--device", "cpu", "--json")
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    final = [event for event in events if event.get("event") == "generated"] or events[-1:]
    ids = final[-1]["ids"]
    return ids[len(prompt):] if ids[:len(prompt)] == prompt else ids


def cut_at_end(ids, ends):
    """The tokens before the first end token: whether it is printed itself is a matter of taste."""
    for place, token in enumerate(ids):
        if token in ends:
            return ids[:place]
    return ids


def check_merged(given, checks, rows, adapter, live):
    folder = os.path.join(given.work, "merged")
    shutil.rmtree(folder, ignore_errors=True)
    call(given.emberwright, "export", "--model", given.base, "--adapter", adapter, "--to", "merged", "--dtype", "f32",
         "--out", folder, "--device", "cpu")
    merged = load_base(folder)
    checks.near("merged, transformers against the live adapter", logprobs_of(merged, rows), live)
    checks.near("merged, emberwright against the live adapter",
                score(given.emberwright, given.work, folder, rows, name="merged"), live)
    end = merged.generation_config.eos_token_id
    ends = set(end if isinstance(end, list) else [end])
    for prompt in [row[:8] for row in rows if len(row) >= 8][:3]:
        with torch.no_grad():
            out = merged.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                                  do_sample=False, repetition_penalty=1.0, max_new_tokens=NEW_TOKENS,
                                  pad_token_id=0)
        wanted = cut_at_end(out[0, len(prompt):].tolist(), ends)
        for name, model, chosen in (("merged", folder, None), ("adapter", given.base, adapter)):
            got = cut_at_end(generate(given.emberwright, model, prompt, chosen), ends)
            checks.say(f"greedy tokens, {name}", got == wanted, f"{wanted}" if got == wanted else f"{got} not {wanted}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emberwright", default="target/release/emberwright")
    parser.add_argument("--base", required=True, help="a Hugging Face folder")
    parser.add_argument("--method", default="lora", choices=[*METHODS, "all"])
    parser.add_argument("--settings", help="settings of LoRA for the run file, with semicolons between them")
    parser.add_argument("--adapter", help="an adapter that emberwright wrote; without it one is trained")
    parser.add_argument("--work", default="target/roundtrip")
    parser.add_argument("--tolerance", type=float, default=5e-4, help="absolute, in nats")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    os.makedirs(given.work, exist_ok=True)

    vocabulary = load_base(given.base).config.vocab_size
    rows, checks = rows_for(vocabulary, given.seed), Checks(given.tolerance)
    for name in METHODS if given.method == "all" else [given.method]:
        print(f"-- {name}")
        method, config_of, merges = METHODS[name]
        if given.settings and name == "lora":
            method = 'kind = "lora"\n' + given.settings.replace(";", "\n")
        adapter = given.adapter or train_adapter(given.emberwright, given.work, given.base, vocabulary, method)
        live = check_adapters(given, checks, rows, adapter, config_of)
        if merges:
            check_merged(given, checks, rows, adapter, live)
    sys.exit(f"{len(checks.failed)} checks failed" if checks.failed else 0)


if __name__ == "__main__":
    main()
