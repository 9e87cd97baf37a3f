"""Python's way to merge: PEFT's merge_and_unload, then save_pretrained; and the comparison of two merged folders."""

import argparse
import glob
import json
import os

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def merge(model, adapter, out):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model, dtype="auto")
    PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(out)


def fill(adapter):
    """Gives lora_B values, so that there is something to merge."""
    path = os.path.join(adapter, "adapter_model.safetensors")
    tensors = load_file(path)
    torch.manual_seed(11)
    for name in sorted(tensors):
        if "lora_B" in name:
            tensors[name] = 0.01 * torch.randn_like(tensors[name])
    save_file(tensors, path, metadata={"format": "pt"})


def tensors_of(folder):
    """(name, tensor), one at a time."""
    for path in sorted(glob.glob(os.path.join(folder, "*.safetensors"))):
        with safe_open(path, "pt") as file:
            for name in file.keys():
                yield name, file.get_tensor(name)


def compare(left, right):
    theirs = dict(tensors_of(right))
    equal, largest, where, names = 0, 0.0, "", []
    for name, tensor in tensors_of(left):
        names.append(name)
        gap = float((tensor.double() - theirs[name].double()).abs().max()) if name in theirs else float("inf")
        equal += int(gap == 0.0)
        if gap > largest:
            largest, where = gap, name
    missing = sorted(theirs.keys() - set(names))
    print(json.dumps({"tensors": len(names), "equal bit for bit": equal, "largest difference": largest, "at": where,
                      "missing": missing}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model")
    parser.add_argument("--adapter")
    parser.add_argument("--out")
    parser.add_argument("--fill", metavar="ADAPTER")
    parser.add_argument("--compare", nargs=2, metavar="FOLDER")
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    if given.fill:
        fill(given.fill)
    elif given.compare:
        compare(*given.compare)
    else:
        merge(given.model, given.adapter, given.out)


if __name__ == "__main__":
    main()
