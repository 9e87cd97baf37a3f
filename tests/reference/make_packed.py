"""Several texts in one row: what transformers makes of each token, for the very small models of `make_families.py`.

    python tests/reference/make_packed.py              # writes tests/fixtures/reference/packed.json again

For each model the log-probability of every token given those before it in its own text, [row][token], `null` for a text's
first. Each text goes through the model alone; where transformers takes texts one behind the other (position ids that
begin anew at each text, from which it makes a mask of blocks), that must say the same, and the case says `flattened`.
Needs torch and transformers 5; nothing here is needed to run the tests.
"""

import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers as t
from safetensors.torch import load_file
from transformers.utils import logging

logging.disable_progress_bar()
logging.set_verbosity_error()
torch.set_num_threads(1)

REFERENCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "reference")
FAMILIES = os.path.join(REFERENCE, "families")
# Of the two rows of 24 tokens that the fixtures have.
TEXTS = [[5, 12, 7], [1, 20, 3]]
# Their positions are no position ids: ALiBi counts what the mask leaves.
COUNTED_BY_MASK = {"bloom-plain-residual", "falcon-alibi-twelve-heads"}
# A class of its own makes it, folded.
NOT_LOADED = {"minicpm-folded"}


def logprobs(logits, ids):
    """[1, time, vocabulary] and [1, time] → those of ids[1:]."""
    given = torch.log_softmax(logits[0, :-1].double(), -1)
    return given.gather(1, ids[0, 1:, None])[:, 0].tolist()


def alone(model, ids):
    row = []
    for text, lengths in zip(ids, TEXTS):
        told = []
        for part in text.split(lengths):
            part = part[None]
            told += [None] + logprobs(model(input_ids=part, use_cache=False).logits, part)
        row.append(told)
    return row


def flattened(model, ids):
    rows = []
    for text, lengths in zip(ids, TEXTS):
        positions = torch.cat([torch.arange(length) for length in lengths])[None]
        logits = model(input_ids=text[None], position_ids=positions, use_cache=False).logits
        told = [None] + logprobs(logits, text[None])
        for start in torch.tensor(lengths).cumsum(0)[:-1].tolist():
            told[start] = None
        rows.append(told)
    return rows


def distance(one, other):
    pairs = [(a, b) for x, y in zip(one, other) for a, b in zip(x, y)]
    assert all((a is None) == (b is None) for a, b in pairs)
    return max(abs(a - b) for a, b in pairs if a is not None)


def main():
    cases = {}
    for name in sorted(os.listdir(FAMILIES)):
        if name in NOT_LOADED:
            continue
        folder = os.path.join(FAMILIES, name)
        ids = load_file(os.path.join(folder, "expected.safetensors"))["input_ids"]
        # Falcon's eager attention adds ALiBi twice.
        attention = "sdpa" if name.startswith("falcon") else "eager"
        pictures = name == "gemma3-pictures"
        kind = t.Gemma3ForConditionalGeneration if pictures else t.AutoModelForCausalLM
        model = kind.from_pretrained(folder, attn_implementation=attention, dtype=torch.float32).eval()
        model.config._experts_implementation = "eager"
        with torch.no_grad():
            told = alone(model, ids)
            together = name not in COUNTED_BY_MASK and not pictures
            if together:
                off = distance(flattened(model, ids), told)
                print(f"{name:28} texts in one row differ from texts alone by {off:.1e}")
                together = off < 1e-5
        cases[name] = {"flattened": together, "logprobs": [[v and round(v, 6) for v in row] for row in told]}
    with open(os.path.join(REFERENCE, "packed.json"), "w") as file:
        json.dump({"texts": TEXTS, "cases": cases}, file)
        file.write("\n")


if __name__ == "__main__":
    main()
