"""What torch, transformers and bitsandbytes make of a few updates with known gradients.

    python tests/reference/make_optimizers.py     # writes tests/fixtures/reference/optimizers.json again

Parameters, gradients, weight decay and rates come from a formula that the test repeats; the file holds the values after
the last update, thinned out where a parameter is large, and bitsandbytes' two dynamic maps. AdamW in eight bits is
bitsandbytes' CPU kernel with the nearest code for each number: its own (0.50) looks codes up in a table too coarse for
small numbers, which the CUDA kernel does not. Muon's products are bf16 in torch, so that its values are near ours only. Needs torch,
transformers and bitsandbytes; nothing here is needed to run the tests.
"""

import json
import os

import torch
from bitsandbytes.backends.cpu import ops
from bitsandbytes.functional import create_dynamic_map
from bitsandbytes.optim import AdamW8bit, Lion32bit
from transformers.optimization import Adafactor

torch.set_num_threads(1)

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "reference", "optimizers.json")
RATES = [0.0, 0.01, 0.02, 0.015, 0.01, 0.005]
DECAY = 0.1
# A vector, a wide matrix, a tall one, and one that eight bits are for, whose last block is short.
SHAPES = {"vector": [24], "wide": [6, 10], "tall": [12, 5], "large": [67, 71]}


def numbers(count, seed):
    """The test's own: a linear congruence (Numerical Recipes), as numbers from -1 to 1."""
    state, found = seed, []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        found.append((state >> 8) / 2**23 - 1.0)
    return found


def tensor(shape, seed):
    count = 1
    for side in shape:
        count *= side
    return torch.tensor(numbers(count, seed), dtype=torch.float32).reshape(shape)


def gradient(name, shape, step):
    # Larger in some places than in others, as gradients are.
    g = tensor(shape, 1000 * (step + 1) + len(name))
    return g * torch.abs(g) * 0.1


def trained(name, make):
    shape = SHAPES[name]
    param = torch.nn.Parameter(tensor(shape, len(name)))
    optimizer = make([param])
    for step, rate in enumerate(RATES):
        for group in optimizer.param_groups:
            group["lr"] = rate
        param.grad = gradient(name, shape, step)
        optimizer.step()
    values = param.detach().flatten()
    return short(values[:: 1 if values.numel() < 200 else 7])


def short(values):
    """As few digits as tell every f32 from its neighbours."""
    return [float(f"{value:.9g}") for value in values.tolist()]


def nearest(numbers, code, scales, codes, block):
    for at, part in enumerate(torch.split(numbers.flatten(), block)):
        scales[at] = part.abs().max()
        scaled = torch.clamp(part * (1 / scales[at].clamp(min=torch.finfo(torch.float32).tiny)), -1, 1)
        middles = (code[1:] + code[:-1]) / 2
        codes.view(-1)[at * block : at * block + len(part)] = torch.searchsorted(middles, scaled).to(torch.uint8)


def main():
    ops._quant_blockwise_fp32_direct = lambda numbers, code, scales, codes, block: nearest(
        numbers, code, scales, codes, block
    )
    adam = {"lr": 0.01, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": DECAY}
    adafactor = {"lr": 0.01, "scale_parameter": False, "relative_step": False, "weight_decay": DECAY}
    makers = {
        "adamw": lambda params: torch.optim.AdamW(params, **adam),
        "adamw-8bit": lambda params: AdamW8bit(params, **adam),
        "adafactor": lambda params: Adafactor(params, **adafactor),
        "lion": lambda params: Lion32bit(params, lr=0.01, betas=(0.9, 0.99), weight_decay=DECAY),
        "sgd": lambda params: torch.optim.SGD(params, lr=0.01, momentum=0.9, weight_decay=DECAY),
        "sgd-nesterov": lambda params: torch.optim.SGD(
            params, lr=0.01, momentum=0.8, nesterov=True, weight_decay=DECAY
        ),
    }
    values = {id: {name: trained(name, make) for name in SHAPES} for id, make in makers.items()}
    for id, scale in [("muon", "match_rms_adamw"), ("muon-original", "original")]:
        make = lambda params: torch.optim.Muon(params, lr=0.01, weight_decay=DECAY, adjust_lr_fn=scale)
        values[id] = {name: trained(name, make) for name in ["wide", "tall", "large"]}
    maps = {word: short(create_dynamic_map(signed=word == "signed")) for word in ["signed", "unsigned"]}
    with open(OUT, "w") as file:
        json.dump({"rates": RATES, "weight_decay": DECAY, "shapes": SHAPES, "maps": maps, "values": values}, file)
        file.write("\n")


main()
