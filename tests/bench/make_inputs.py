"""Makes what both sides read: a model folder with random weights, a PEFT adapter to start from, and rows of tokens.

    python make_inputs.py --shape llama-60m --out DIR --rank 8 --alpha 16 --rows 80 --length 256

writes DIR/model (Hugging Face folder with a byte-level tokenizer), DIR/adapter (PEFT folder) and DIR/tokens.jsonl
(`{"input_ids", "labels"}`, all tokens labelled). The same arguments give the same bytes.
"""

import argparse
import json
import os
import random

import torch
from shapes import SHAPES
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def build_model(config, dtype, device, seed):
    """Random weights, drawn on `device` in `dtype` (a model of 8 G parameters would not fit a small host in f32)."""
    config = AutoConfig.for_model(**config)
    torch.manual_seed(seed)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return model.eval()


def byte_level_symbols():
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]


def write_tokenizer(folder):
    """A byte-level tokenizer without merges: three special tokens and the 256 bytes."""
    specials = ["<pad>", "<s>", "</s>"]
    symbols = specials + byte_level_symbols()
    added = [{"id": place, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for place, token in enumerate(specials)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {symbol: place for place, symbol in enumerate(symbols)}, "merges": []},
    }
    write_json(os.path.join(folder, "tokenizer.json"), tokenizer)
    write_json(os.path.join(folder, "tokenizer_config.json"), {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"})


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as handle:
        json.dump(value, handle, ensure_ascii=False)


def write_adapter(model, folder, rank, alpha, seed):
    """PEFT's own fresh LoRA on every linear layer of the blocks: A random, B zero; always f32."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed + 1)
    lora = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM",
                      target_modules="all-linear")
    tuned = get_peft_model(model, lora, autocast_adapter_dtype=True)
    tuned.save_pretrained(folder)


def write_rows(path, vocabulary, rows, length, seed):
    """Rows that mostly follow a rule (so that there is something to learn) and sometimes jump."""
    draw = random.Random(seed + 2)
    low, high = 259, vocabulary - 1
    common = min(1000, high - low)
    with open(path, "w", encoding="ascii") as handle:
        for _ in range(rows):
            ids = [1]
            current = draw.randrange(common)
            while len(ids) < length:
                ids.append(low + current)
                jump = draw.random() > 0.85
                current = draw.randrange(high - low) if jump else (current * 5 + 7) % common
            handle.write(json.dumps({"input_ids": ids, "labels": ids}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=sorted(SHAPES), required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="f32")
    parser.add_argument("--device", default="cpu", help="where the weights are drawn")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--alpha", type=int, default=16)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--seed", type=int, default=20261)
    given = parser.parse_args()

    config = SHAPES[given.shape]
    folder = os.path.join(given.out, "model")
    model = build_model(config, DTYPES[given.dtype], given.device, given.seed)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    write_rows(os.path.join(given.out, "tokens.jsonl"), config["vocab_size"], given.rows, given.length, given.seed)
    parameters = sum(weight.numel() for weight in model.parameters())
    write_adapter(model, os.path.join(given.out, "adapter"), given.rank, given.alpha, given.seed)
    print(json.dumps({"shape": given.shape, "parameters": parameters, "folder": folder}))


if __name__ == "__main__":
    main()
