"""What a run takes at 70 billion parameters, and what a thousand runs take: the figures of ARCHITECTURE.md, "Beyond one machine".

    python tests/bench/scale_plan.py                                         # prints the tables
    python tests/bench/scale_plan.py --check target/release/emberwright      # holds the arithmetic against the program's forecast

Arithmetic only: bytes from the shapes of the model, seconds from what links and cards do (the rates below are what is measured of
them in practice, not their labels). --check asks the program what the starter model takes with LoRA, and with every parameter trained,
and ends with an error unless weights, trained parameters, gradients, optimizer and saved inputs are the same to the byte.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

GB = 1e9
HERE = os.path.dirname(os.path.abspath(__file__))
STARTER = os.path.join(HERE, "..", "..", "assets", "starter")
ROWS, LENGTH = 2, 128  # of a batch of the run that --check asks about
RANK, TOKENS = 16, 8192  # of LoRA on every linear; tokens of a card's micro-batch
# Bytes a second and direction, one card.
LINKS = {"NVLink 4": 400 * GB, "PCIe 5": 50 * GB, "PCIe 4": 25 * GB, "InfiniBand 400": 45 * GB, "10 GbE": 1.1 * GB}
HOST_ADDS = 40 * GB  # bytes a second that the host's memory adds up, reading two numbers and writing one
CARD_FLOPS = 400e12  # an H100 in bf16, as it is reached in training
CARD = 80 * GB
# Bits a parameter: codes, and a scale a block of 64 (f32; or 8 bits, and an f32 for 256 of these).
NF4 = {"nf4": 4 + 32 / 64, "nf4-double": 4 + 8 / 64 + 32 / (64 * 256)}


class Shape:
    """A model of Llama's kind."""

    def __init__(self, name, hidden, inner, layers, heads, kv_heads, vocabulary, tied=False):
        self.name, self.hidden, self.layers = name, hidden, layers
        head = hidden // heads
        q, kv = heads * head, kv_heads * head
        # Inputs and outputs of a block's linears.
        self.linears = [(hidden, q), (hidden, kv), (hidden, kv), (q, hidden),
                        (hidden, inner), (hidden, inner), (inner, hidden)]
        self.block = sum(i * o for i, o in self.linears)
        self.rest = vocabulary * hidden * (1 if tied else 2) + hidden * (2 * layers + 1)

    @property
    def parameters(self):
        return self.block * self.layers + self.rest

    def lora(self, rank=RANK):
        return self.layers * sum(rank * (i + o) for i, o in self.linears)

    def weights(self, kept="bf16"):
        """Bytes of all parameters; only the blocks' linears are in few bits."""
        if kept in NF4:
            return self.block * self.layers * NF4[kept] / 8 + self.rest * 2
        return self.parameters * {"bf16": 2, "f32": 4}[kept]

    def inputs(self, tokens=TOKENS, size=2):
        """What the blocks read, kept for the backward pass."""
        return tokens * self.hidden * size * self.layers

    def at_work(self, tokens=TOKENS):
        """The graph of the one block that is computed again, as FlashAttention leaves it: about 34 bytes a token and width
        (Korthikanti et al. 2022, arXiv:2205.05198, without dropout and scores)."""
        return 34 * tokens * self.hidden

    def seconds(self, learned, tokens=TOKENS, cards_flops=CARD_FLOPS):
        """Of a micro-batch: forward, again, and the gradients of what is passed on (and of the weights where they learn)."""
        return (6 if learned == "LoRA" else 8) * self.parameters * tokens / cards_flops


EIGHT = Shape("8B", 4096, 14336, 32, 32, 8, 128256)
SEVENTY = Shape("70B", 8192, 28672, 80, 64, 8, 128256)


def learned_bytes(count):
    """Of what is learned: itself in f32, its gradient, AdamW's two moments."""
    return {"trainable": 4 * count, "gradients": 4 * count, "optimizer": 8 * count}


def memory(shape, learned, kept, cards, spread):
    """Bytes a card; a model that is trained itself is there in bf16 beside its copy in f32. `spread`: nothing (DDP), "zero2" (gradients and moments), or "all" (FSDP, ZeRO-3: weights too)."""
    count = shape.lora() if learned == "LoRA" else shape.parameters
    weights = shape.weights(kept)
    own = learned_bytes(count)
    if spread == "all":
        # A block's weights are there as a whole while it works, and those of the next one come meanwhile.
        weights = weights / cards + 2 * shape.weights(kept) * shape.block / shape.parameters
        own = {part: value / cards for part, value in own.items()}
    elif spread == "zero2":
        own["gradients"] /= cards
        own["optimizer"] /= cards
    return weights + sum(own.values()) + shape.inputs() + shape.at_work()


def traffic(shape, learned, cards, spread, kept="bf16"):
    """Bytes that a card sends in a step of one micro-batch; a ring passes (n - 1) / n of what it gathers or scatters."""
    part = (cards - 1) / cards
    count = shape.lora() if learned == "LoRA" else shape.parameters
    gradients = (4 if learned == "LoRA" else 2) * count
    if spread == "all":
        # Weights are gathered for the forward pass and for the backward pass, gradients scattered.
        return (2 * shape.weights(kept) + gradients) * part
    return 2 * gradients * part


def table(head, rows):
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


def size(value):
    return f"{value / GB:.3g} GB" if value < 1e12 else f"{value / 1e12:.3g} TB"


def duration(value):
    for unit, factor in (("h", 3600), ("s", 1), ("ms", 1e-3)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def memory_tables():
    print(f"## Memory a card (rank {RANK}, {TOKENS} tokens at a time; {size(CARD)} cards)\n")
    ways = [("LoRA", "bf16", None), ("LoRA", "nf4-double", None), ("LoRA", "bf16", "all"),
            ("full", "bf16", "zero2"), ("full", "bf16", "all")]
    rows = []
    for shape in (EIGHT, SEVENTY):
        for learned, kept, spread in ways:
            name = {None: "each card whole", "zero2": "ZeRO-2", "all": "FSDP / ZeRO-3"}[spread]
            kind = "QLoRA" if kept in NF4 else learned
            cells = [size(memory(shape, learned, kept, cards, spread)) for cards in (1, 4, 8, 16, 64)]
            fits = next((n for n in range(1, 4097) if memory(shape, learned, kept, n, spread) < CARD * 0.92), None)
            rows.append([shape.name, kind, name, *cells, fits or "never"])
    table(["model", "method", "layout", "1 card", "4", "8", "16", "64", "cards it needs"], rows)


def traffic_tables():
    print("## Traffic of a step, sent by each of 8 cards, and its time beside the computing\n")
    rows = []
    for shape in (EIGHT, SEVENTY):
        for learned, spread in (("LoRA", None), ("LoRA", "all"), ("full", None), ("full", "all")):
            sent = traffic(shape, learned, 8, spread)
            work = shape.seconds(learned)
            cells = [f"{duration(sent / speed)} ({sent / speed / work:.2g}×)" for speed in LINKS.values()]
            rows.append([shape.name, learned, "DDP" if spread is None else "FSDP", size(sent), duration(work), *cells])
    table(["model", "method", "", "sent", "computing", *LINKS], rows)


def host_seconds(gradients, cards, link=LINKS["PCIe 4"], sharers=4):
    """Gradients to the host, added up there, and the sum back. `sharers` cards have one root of PCIe between them."""
    shared = min(cards, sharers)
    return 2 * gradients * shared / link + cards * gradients / HOST_ADDS


def host_tables():
    print("## Reduction on the host (PCIe 4, four cards a root), beside the computing of one micro-batch\n")
    rows = []
    for shape in (EIGHT, SEVENTY):
        for learned in ("LoRA", "full"):
            gradients = 4 * (shape.lora() if learned == "LoRA" else shape.parameters)
            work = shape.seconds(learned)
            cells = [f"{duration(host_seconds(gradients, n))} ({host_seconds(gradients, n) / work:.2g}×)" for n in (2, 4, 8)]
            # Tokens a card and step from which on it costs less than a tenth of the computing.
            need = host_seconds(gradients, 8) / 0.1 / work * TOKENS
            rows.append([shape.name, learned, size(gradients), *cells, f"{need:,.0f}"])
    table(["model", "method", "gradients", "2 cards", "4", "8", "tokens a card for < 10 % at 8"], rows)


def jobs_tables(jobs=1000, tokens=50e6):
    print(f"## {jobs} handed-off runs ({tokens / 1e6:.0f} million tokens each, LoRA of rank {RANK})\n")
    rows = []
    for shape, cards in ((EIGHT, 1), (SEVENTY, 4)):
        hours = 6 * shape.parameters * tokens / CARD_FLOPS / 3600
        adapter = 4 * shape.lora()
        folder = tokens * 8 * 0.35 + adapter  # ids and labels in 32 bits, as zstd leaves them
        kept = 3 * 3 * adapter  # two checkpoints with two moments each, and the result
        steps = tokens / (TOKENS * 8)
        lines = steps * 260
        reads = shape.weights() / (10 * GB)
        rows.append([shape.name, cards, f"{hours * jobs:,.0f} h", size(folder * jobs), size(kept * jobs), size(lines * jobs),
                     f"{duration(reads * jobs)} at 10 GB/s; {duration(reads * 50)} once on each of 50 nodes"])
    table(["model", "cards a run", "card hours", "folders", "checkpoints and results", "metrics.jsonl", "reading the base"], rows)


def check(program):
    """The starter model, as the program forecasts it."""
    with open(os.path.join(STARTER, "model", "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    shape = Shape("starter", config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"],
                  config["num_attention_heads"], config["num_key_value_heads"], config["vocab_size"],
                  config.get("tie_word_embeddings", False))
    for method in ("lora", "full"):
        verdict = asked(program, method)
        ours, theirs = expected(shape, method, verdict["longest"]), verdict["forecast"]
        for part, value in ours.items():
            told = f"{method}: {part} is {theirs[part]} by the program and {value} here"
            if theirs[part] != value:
                sys.exit(told)
            print(told)


def expected(shape, method, longest):
    """`longest`: tokens of the longest row, which a batch is padded to."""
    lora = method == "lora"
    count = shape.lora(4) if lora else shape.parameters
    # A model that is trained itself counts as what is learned, not as frozen weights beside it.
    inputs = shape.inputs(ROWS * min(longest, LENGTH), size=4)
    return {"weights": shape.weights("f32") if lora else 0, **learned_bytes(count), "inputs": inputs}


def asked(program, method):
    """The program's verdict on such a run."""
    settings = 'kind = "lora"\nrank = 4\ntargets = "all-linear"' if method == "lora" else 'kind = "full"'
    run = f"""[model]
path = {json.dumps(os.path.abspath(os.path.join(STARTER, "model")))}
dtype = "f32"
[data]
train = [{json.dumps(os.path.abspath(os.path.join(STARTER, "data", "ember_en.jsonl")))}]
validation = 0.0
max_length = {LENGTH}
[method]
{settings}
[train]
batch_size = {ROWS}
"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(run)
        done = subprocess.run([program, "--device", "cpu", "--json", "check", path], capture_output=True, text=True, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    found = next((event for event in events if event.get("event") == "checked"), None)
    if found is None:
        sys.exit(f"the program told no forecast: {done.stderr}")
    return found["verdict"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="PROGRAM", help="hold the arithmetic against this emberwright")
    arguments = parser.parse_args()
    if arguments.check:
        return check(arguments.check)
    memory_tables()
    traffic_tables()
    host_tables()
    jobs_tables()
    return None


if __name__ == "__main__":
    main()
