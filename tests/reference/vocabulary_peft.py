"""Adapters with new tokens, read by transformers and PEFT: the base is resized as its users do.

    EMBERWRIGHT_VOCABULARY_OUT=OUT cargo test --release --workspace --test engine -- vocabulary::
    python tests/reference/vocabulary_peft.py OUT

Run by hand (needs torch, transformers, peft). For every folder of OUT: the adapter's tokenizer is loaded by transformers
and gives the same ids; base and adapter give the same log-probabilities as emberwright, and so does the merged model.
"""

import json
import os
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

logging.disable_progress_bar()


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


@torch.no_grad()
def largest_difference(model, row):
    table = torch.log_softmax(model(input_ids=torch.tensor([row["ids"]])).logits[0].double(), -1)
    theirs = [float(table[place - 1, row["ids"][place]]) for place in range(1, len(row["ids"]))]
    return max(abs(a - b) for a, b in zip(theirs, row["logprobs"][1:], strict=True))


def main():
    failed = False
    for name in sorted(os.listdir(sys.argv[1])):
        folder = os.path.join(sys.argv[1], name)
        if not os.path.exists(os.path.join(folder, "scores.json")):
            continue
        with open(os.path.join(folder, "scores.json"), encoding="utf-8") as handle:
            rows = json.load(handle)
        with open(os.path.join(folder, "adapter", "vocabulary.json"), encoding="utf-8") as handle:
            record = json.load(handle)
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=os.path.join(folder, "adapter", "tokenizer.json"))
        end = record["first"] + len(record["tokens"])
        named = sum(tokenizer.convert_tokens_to_ids(token["text"]) == record["first"] + place
                    for place, token in enumerate(record["tokens"]))
        base = load(os.path.join(folder, "model"))
        without = largest_difference(load_resized(base, end), rows[0])
        tuned = PeftModel.from_pretrained(base, os.path.join(folder, "adapter")).eval()
        ours = max(largest_difference(tuned, row) for row in rows)
        merged = max(largest_difference(load(os.path.join(folder, "merged")), row) for row in rows)
        new = sum(place >= record["first"] for row in rows for place in row["ids"])
        print(f"{name}: {named}/{len(record['tokens'])} tokens named, {new} new ones scored; "
              f"base differs by {without:.3f}, PEFT by {ours:.1e}, merged by {merged:.1e}")
        failed |= named != len(record["tokens"]) or ours > 1e-4 or merged > 1e-4 or without < 1e-2
    sys.exit(failed)


def load_resized(model, end):
    """As users do it, but that rows to spare are kept."""
    rows = model.get_input_embeddings().weight.shape[0]
    if end > rows:
        model.resize_token_embeddings(end)
    return model


if __name__ == "__main__":
    main()
