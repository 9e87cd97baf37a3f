"""Trains what Emberwright prepared, on any number of processes.

    python train.py                        # one process; launch/ has the lines for several cards and nodes
    python train.py --resume               # goes on from the newest checkpoint in run/

Everything that decides what is learned is in this folder: rows as tokens and labels (data/train.parquet), which of them
each step has and the learning rate of each update (data/order.parquet), the first weights of the adapter (adapter/), and
the settings (job.json). A step has the same rows however many processes share them, and its loss is the sum over its
labelled tokens divided by their number over all of these processes: so one card and a hundred learn the same.

It writes run/, a run folder of Emberwright: metrics.jsonl (a line a step), checkpoints/, adapter/ (the result).
"""

import argparse
import bisect
import contextlib
import hashlib
import json
import math
import os
import shutil
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import DistributedType, set_seed
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

HERE = Path(__file__).resolve().parent
IGNORE = -100
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
# What an optimizer remembers: our word for it, torch's.
SLOTS = {"adamw": {"m": "exp_avg", "v": "exp_avg_sq"}, "sgd": {"m": "momentum_buffer"}}


# Rows


class Rows:
    """Rows of a parquet file, in memory: `[index]` gives token ids and labels."""

    def __init__(self, path):
        table = pq.read_table(path, columns=["input_ids", "labels"])
        self.chunks, self.starts, self.length = [], [], 0
        for ids, labels in zip(table["input_ids"].chunks, table["labels"].chunks, strict=True):
            self.starts.append(self.length)
            self.length += len(ids)
            # The lists are laid out alike; slices of numpy's views copy nothing.
            self.chunks.append((ids.offsets.to_numpy(), ids.values.to_numpy(), labels.values.to_numpy()))

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        chunk = bisect.bisect_right(self.starts, index) - 1
        offsets, ids, labels = self.chunks[chunk]
        at = index - self.starts[chunk]
        return ids[offsets[at]:offsets[at + 1]].tolist(), labels[offsets[at]:offsets[at + 1]].tolist()


def shared(step, rank, world, size):
    """The rows of a step that one process has, as micro-batches of `size`; every process gets as many of these, the last
    of them perhaps empty. A row is a list of examples: one, or several that share it."""
    counts = step["texts"] or [1] * len(step["rows"])
    examples, rows = iter(step["rows"]), []
    for count in counts:
        rows.append([next(examples) for _ in range(count)])
    own = rows[rank::world]
    batches = math.ceil(math.ceil(len(rows) / world) / size)
    return [own[n * size:(n + 1) * size] for n in range(batches)]


def collate(rows, source, pad, packed):
    """Rows as one rectangle, padded on the right. Nothing predicts the first token of a text, so that its label goes.
    Where rows hold several texts, positions begin anew at each, from which transformers makes a mask of blocks."""
    lines = []
    for row in rows or [[0]]:
        ids, labels, positions = [], [], []
        for index in row:
            text, wanted = source[index]
            ids += text
            labels += [IGNORE] + (wanted[1:] if rows else [IGNORE] * (len(text) - 1))
            positions += range(len(text))
        lines.append((ids, labels, positions))
    longest = max(len(ids) for ids, _, _ in lines)
    batch = {"input_ids": [], "labels": []}
    batch["position_ids" if packed else "attention_mask"] = []
    for ids, labels, positions in lines:
        rest = longest - len(ids)
        batch["input_ids"].append(ids + [pad] * rest)
        batch["labels"].append(labels + [IGNORE] * rest)
        if packed:
            batch["position_ids"].append(positions + list(range(rest)))
        else:
            batch["attention_mask"].append([1] * len(ids) + [0] * rest)
    return {key: torch.tensor(value) for key, value in batch.items()}


def labelled(rows, source):
    """Tokens of these rows that bear loss, and all their tokens."""
    learned = fed = 0
    for index in (index for row in rows for index in row):
        ids, labels = source[index]
        learned += sum(label != IGNORE for label in labels[1:])
        fed += len(ids)
    return learned, fed


def summed_loss(model, batch):
    """Cross-entropy in f32, summed over the labelled tokens (nats)."""
    labels = batch.pop("labels")
    logits = model(**batch, use_cache=False).logits[:, -labels.shape[1]:]
    wanted = labels[:, 1:] != IGNORE
    chosen = logits[:, :-1][wanted].float()
    if not len(chosen):
        # Every process takes part in every pass, also one that has nothing to learn.
        return logits.float().sum() * 0.0
    return F.cross_entropy(chosen, labels[:, 1:][wanted], reduction="sum")


# Model


def base_model(job, wanted):
    """The base: --model, or what the hand-off named; a folder must be the one that the data was prepared for."""
    named = wanted or os.environ.get("BASE_MODEL") or job["base"]["reference"]
    folder = next((path for path in (HERE / named, Path(named)) if path.is_dir()), None)
    if folder is None:
        if named.count("/") == 1 and not named.startswith((".", "/")):
            return named
        sys.exit(f"The base model {named} is not here: put its folder beside train.py, or name it with --model "
                 "(a folder, or its name on the hub).\n"
                 f"找不到基础模型 {named}：请将其文件夹放在 train.py 旁，或用 --model 指定（文件夹或 Hub 名称）。")
    for file in job["base"]["files"]:
        path = folder / file["name"]
        same = path.is_file() and path.stat().st_size == file["size"]
        if same and not file["sampled"]:
            same = hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
        if not same:
            sys.exit(f"{folder} is not the model that the data was prepared for: {file['name']} differs.\n"
                     f"{folder} 不是准备数据时所用的模型：{file['name']} 不同。")
    return str(folder)


def load_model(job, args, adapter):
    dtype = DTYPES[job["base"]["dtype"]]
    few_bits = in_few_bits(job["base"]["quantization"], dtype)
    model = AutoModelForCausalLM.from_pretrained(base_model(job, args.model), dtype=dtype, **few_bits)
    look_at_packed(job["base"]["quantization"], model)
    model.config.use_cache = False
    model = PeftModel.from_pretrained(model, adapter, is_trainable=True)
    if not args.keep_activations:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    return model


def in_few_bits(kept, dtype):
    """QLoRA: the blocks' matrices are packed by bitsandbytes while they are loaded, and are in `dtype` while they work.
    FSDP spreads only what is stored as numbers of `dtype`."""
    if kept is None:
        return {}
    from transformers import BitsAndBytesConfig
    return {"quantization_config": BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=kept["double"],
        bnb_4bit_compute_dtype=dtype, bnb_4bit_quant_storage=dtype)}


def look_at_packed(kept, model):
    """The same matrices as in Emberwright, and no others: else it would be another base that the adapter learns on."""
    if kept is None:
        return
    from bitsandbytes.nn import Linear4bit
    packed = {name: module for name, module in model.named_modules() if isinstance(module, Linear4bit)}
    if set(packed) != set(kept["modules"]):
        others = ", ".join(sorted(set(packed) ^ set(kept["modules"]))[:5])
        sys.exit(f"This release of transformers packs other matrices than Emberwright ({others}, ...): use the releases of "
                 f"requirements.txt.\n此版本的 transformers 量化的矩阵与 Emberwright 不同（{others} 等）：请使用 "
                 "requirements.txt 中的版本。")
    for module in packed.values():
        # On a CPU with bf16 the first evaluation would turn scales into bf16, for good.
        module.support_avx512bf16_for_cpu = False


def trained(job, model):
    """The parameters that are trained, by their names in the adapter's file."""
    names = {value.data_ptr(): name for name, value in get_peft_model_state_dict(model).items()}
    parameters = {names.get(p.data_ptr()): p for p in model.parameters() if p.requires_grad}
    if set(parameters) != set(job["parameters"]):
        sys.exit("This release of PEFT trains other parameters than the adapter's file holds: use the releases of "
                 "requirements.txt.\n此版本的 PEFT 训练的参数与适配器文件不符：请使用 requirements.txt 中的版本。")
    return parameters


def make_optimizer(job, parameters):
    settings, groups = job["optimizer"], {}
    for name, parameter in parameters.items():
        own = job["parameters"][name]
        groups.setdefault((own["lr_scale"], own["weight_decay"]), []).append(parameter)
    groups = [{"params": params, "lr": 0.0, "lr_scale": scale, "weight_decay": decay}
              for (scale, decay), params in groups.items()]
    if settings["name"] == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=settings["momentum"], nesterov=settings["nesterov"])
    return torch.optim.AdamW(groups, lr=0.0, betas=tuple(settings["betas"]), eps=settings["eps"])


class Trained:
    """The trained parameters while they are spread over processes, whoever spreads them: whole tensors out and in. Every
    process must call these together."""

    def __init__(self, accelerator, model, optimizer, names, kind):
        self.accelerator, self.optimizer = accelerator, optimizer
        self.deepspeed = accelerator.distributed_type == DistributedType.DEEPSPEED
        self.slots = SLOTS[kind]
        order = [p for p in model.parameters() if p.requires_grad]
        self.parameters = dict(zip(names, order, strict=True))
        if self.deepspeed:
            # Its first allocation of states is a step with no gradient, which must not count.
            for state in inner(optimizer).state.values():
                if torch.is_tensor(state.get("step")):
                    state["step"].zero_()

    def values(self):
        """The weights in f32, on the host, by name."""
        if self.deepspeed:
            from deepspeed.utils import safe_get_full_fp32_param as get
        else:
            def get(parameter):
                return whole(parameter.detach())
        return {name: get(p).float().cpu().clone() for name, p in self.parameters.items()}

    def memories(self):
        """What the optimizer remembers: `name#m`, flat, as Emberwright's checkpoints have it."""
        found = {}
        if self.deepspeed:
            self.link()
        for name, parameter in self.parameters.items():
            for ours, theirs in self.slots.items():
                if self.deepspeed:
                    from deepspeed.utils import safe_get_full_optimizer_state as get
                    value = get(parameter, theirs)
                else:
                    value = inner(self.optimizer).state.get(parameter, {}).get(theirs)
                    value = None if value is None else whole(value)
                if value is not None:
                    found[f"{name.removeprefix('base_model.model.')}#{ours}"] = value.float().cpu().flatten().clone()
        return found

    def zero(self):
        """DeepSpeed's own optimizer, and the flat parts of the parameters that this process has, a group each."""
        found = self.optimizer
        while hasattr(found, "optimizer"):
            for flat in ("fp32_partitioned_groups_flat", "single_partition_of_fp32_groups"):
                if hasattr(found, flat):
                    return found, getattr(found, flat)
            found = found.optimizer
        sys.exit("This release of DeepSpeed keeps its states elsewhere: use the releases of requirements.txt.\n"
                 "此版本的 DeepSpeed 存放优化器状态的方式不同：请使用 requirements.txt 中的版本。")

    def allocate(self):
        """DeepSpeed has no states before its first step."""
        for flat in self.zero()[1]:
            state = inner(self.optimizer).state[flat]
            for theirs in self.slots.values():
                state.setdefault(theirs, torch.zeros_like(flat))
            state.setdefault("step", torch.zeros(()))
        self.link()

    def link(self):
        """ZeRO-2 looks for the states after its first group's first step, when there are none of the other groups."""
        zero, _ = self.zero()
        if hasattr(zero, "_lazy_init_hp_params_optimizer_state"):
            zero._hp_optimizer_states_linked = False
            zero._lazy_init_hp_params_optimizer_state()

    def remember(self, memories, updates):
        """Takes over what `memories` gave."""
        if self.deepspeed:
            self.allocate()
        for name, parameter in self.parameters.items():
            for ours, theirs in self.slots.items():
                value = memories.get(f"{name.removeprefix('base_model.model.')}#{ours}")
                if value is None:
                    continue
                if self.deepspeed:
                    from deepspeed.utils import safe_set_full_optimizer_state as put
                    full = getattr(parameter, "ds_shape", parameter.shape)
                    put(parameter, value.view(full), theirs)
                else:
                    state = inner(self.optimizer).state[parameter]
                    state[theirs] = like(value.view(parameter.shape), parameter)
                    if theirs != "momentum_buffer":
                        state["step"] = torch.tensor(float(updates))
        if self.deepspeed:
            for state in inner(self.optimizer).state.values():
                if torch.is_tensor(state.get("step")):
                    state["step"].fill_(float(updates))


def inner(optimizer):
    """torch's own optimizer, below what accelerate and DeepSpeed put around it."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def whole(tensor):
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def like(value, parameter):
    """A whole tensor, spread as a parameter is."""
    if not hasattr(parameter, "full_tensor"):
        return value.to(parameter.device)
    from torch.distributed.tensor import distribute_tensor
    device = parameter.device_mesh.device_type
    return distribute_tensor(value.to(device), parameter.device_mesh, parameter.placements).to(parameter.device)


# Files


class RunFolder:
    """run/: only the first process writes."""

    def __init__(self, path, job):
        self.path, self.job = path, job

    def checkpoints(self):
        found = (self.path / "checkpoints").glob("step-*/manifest.json")
        return sorted((path.parent for path in found), key=lambda path: int(path.name.removeprefix("step-")))

    def log(self, line):
        # JSON has no word for what is not finite.
        line = {key: None if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in line.items()}
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def cut(self, step):
        """Lines after a checkpoint will be written again."""
        path = self.path / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = []
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
        replace(path, "".join(kept).encode())

    def adapter(self, folder, values):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "adapter" / "adapter_config.json", folder)
        save_file({name: value.contiguous() for name, value in values.items()},
                  folder / "adapter_model.safetensors", metadata={"format": "pt"})

    def save(self, state, values, memories, best):
        """A checkpoint, whole or not at all: written beside its place, hashed, and renamed."""
        folder = self.path / "checkpoints" / f"step-{state['step']:08}"
        hidden = folder.with_name(f".{folder.name}.tmp-{os.getpid()}")
        shutil.rmtree(hidden, ignore_errors=True)
        self.adapter(hidden / "adapter", values)
        save_file(memories, hidden / "optimizer.safetensors")
        (hidden / "state.json").write_text(json.dumps(state))
        files = [{"name": path.relative_to(hidden).as_posix(), "size": path.stat().st_size,
                  "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
                 for path in sorted(hidden.rglob("*")) if path.is_file()]
        manifest = {"format": 1, "step": state["step"], "files": files,
                    "extra": {"version": self.job["version"], "eval_loss": state["last_eval"]}}
        (hidden / "manifest.json").write_text(json.dumps(manifest))
        shutil.rmtree(folder, ignore_errors=True)
        hidden.rename(folder)
        for old in self.checkpoints()[:-max(1, self.job["keep_checkpoints"])]:
            if int(old.name.removeprefix("step-")) != best:
                shutil.rmtree(old)


def replace(path, content):
    hidden = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    hidden.write_bytes(content)
    hidden.replace(path)


def memory_in_use():
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return total - free
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


# Training


class Training:
    def __init__(self, job, args):
        self.job, self.args = job, args
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available())
        set_seed(job["seed"] + self.accelerator.process_index)
        self.train = Rows(HERE / "data" / "train.parquet")
        held_out = HERE / "data" / "validation.parquet"
        self.validation = Rows(held_out) if held_out.exists() else None
        self.order = pq.ParquetFile(HERE / "data" / "order.parquet")
        self.folder = RunFolder(HERE / "run", job)
        saved = self.folder.checkpoints()[-1:] if args.resume else []
        if self.folder.checkpoints() and not args.resume:
            sys.exit("run/ holds a run that has begun: go on with it by --resume, or move run/checkpoints away.\n"
                     "run/ 中已有开始了的训练：请用 --resume 继续，或将 run/checkpoints 移走。")
        self.state = json.loads((saved[0] / "state.json").read_text()) if saved else dict(job["state"])
        if self.accelerator.is_main_process:
            self.folder.path.mkdir(exist_ok=True)
            self.folder.cut(self.state["step"])
        model = load_model(job, args, saved[0] / "adapter" if saved else HERE / "adapter")
        parameters = trained(job, model)
        optimizer = make_optimizer(job, parameters)
        names, count = list(parameters), sum(p.numel() for p in parameters.values())
        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            config = self.accelerator.state.deepspeed_plugin.deepspeed_config
            config["train_micro_batch_size_per_gpu"] = args.rows
            config["gradient_clipping"] = job["max_grad_norm"]
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.trained = Trained(self.accelerator, self.model, self.optimizer, names, job["optimizer"]["name"])
        if saved:
            self.trained.remember(load_file(saved[0] / "optimizer.safetensors"), self.state["updates"])
        self.say(f"{self.accelerator.num_processes} processes, {self.accelerator.distributed_type.value}, "
                 f"{count:,} numbers are trained")
        self.began, self.before = time.time(), self.state["seconds"]

    def say(self, line):
        self.accelerator.print(line, flush=True)

    def seconds(self):
        return self.before + time.time() - self.began

    def total(self, *numbers):
        """The sums of numbers over all processes."""
        own = torch.tensor(numbers, dtype=torch.float64 if self.accelerator.device.type != "mps" else torch.float32,
                           device=self.accelerator.device)
        return self.accelerator.reduce(own, "sum").tolist()

    def batch(self, rows, source, packed):
        batch = collate(rows, source, self.job["pad"], packed)
        return {key: value.to(self.accelerator.device) for key, value in batch.items()}

    def step(self, plan, rate):
        """One update. Returns loss, gradient norm before clipping, and whether it was applied."""
        accelerator = self.accelerator
        world = accelerator.num_processes
        micro = shared(plan, accelerator.process_index, world, self.args.rows)
        learned, fed = labelled([row for rows in micro for row in rows], self.train)
        learned, fed = self.total(learned, fed)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]
        self.model.train()
        loss = torch.zeros((), device=accelerator.device)
        for n, rows in enumerate(micro):
            last = n + 1 == len(micro)
            with contextlib.nullcontext() if last else accelerator.no_sync(self.model):
                accelerator.gradient_state._set_sync_gradients(last)
                own = summed_loss(self.model, self.batch(rows, self.train, self.job["packing"]))
                # Processes average their gradients; the mean over all tokens is wanted.
                accelerator.backward(own * (world / max(1.0, learned)))
                loss += own.detach()
        (loss,) = self.total(loss.item())
        most = self.job["max_grad_norm"] or math.inf
        norm = accelerator.clip_grad_norm_(self.model.parameters(), most)
        norm = float(whole(norm)) if torch.is_tensor(norm) else float(norm or 0.0)
        loss /= max(1.0, learned)
        applied = math.isfinite(loss) and math.isfinite(norm)
        if applied:
            self.optimizer.step()
        elif self.trained.deepspeed:
            sys.exit("A step was not finite, and DeepSpeed has applied it: resume from the newest checkpoint.\n"
                     "某一步的结果不是有限数，且 DeepSpeed 已应用该步：请从最新的检查点恢复。")
        self.optimizer.zero_grad()
        return loss, norm, applied, int(learned), int(fed)

    @torch.no_grad()
    def evaluate(self):
        """Mean loss over the labelled tokens of the validation rows, and their number."""
        self.model.eval()
        plan = {"rows": list(range(len(self.validation))), "texts": []}
        accelerator = self.accelerator
        micro = shared(plan, accelerator.process_index, accelerator.num_processes, self.args.rows)
        loss = tokens = 0.0
        for rows in micro:
            loss += summed_loss(self.model, self.batch(rows, self.validation, False)).item()
            tokens += labelled(rows, self.validation)[0]
        loss, tokens = self.total(loss, tokens)
        return loss / max(1.0, tokens), int(tokens)

    def after(self, epoch):
        """Evaluation and checkpoint when they are due. True when the run ends early."""
        job, state, end = self.job, self.state, self.state["step"] == self.job["steps"]
        improved = False

        def due(every):
            return end or every > 0 and state["step"] % every == 0

        if self.validation and due(job["eval_every"]):
            loss, tokens = self.evaluate()
            improved = state["best_loss"] is None or loss < state["best_loss"]
            if improved:
                state.update(best_loss=loss, best_step=state["step"], without_improvement=0)
            else:
                state["without_improvement"] += 1
            state["last_eval"] = loss
            self.say(f"step {state['step']}: validation loss {loss:.4f}")
            if self.accelerator.is_main_process:
                self.folder.log({"kind": "eval", "step": state["step"], "epoch": epoch, "eval_loss": loss,
                                 "eval_tokens": tokens, "best": improved})
        if due(job["save_every"]) or improved and job["keep_best"]:
            self.save()
        return 0 < job["early_stop_patience"] <= state["without_improvement"]

    def save(self):
        self.state["seconds"] = self.seconds()
        values, memories = self.trained.values(), self.trained.memories()
        if self.accelerator.is_main_process:
            self.folder.save(self.state, values, memories, self.state["best_step"] if self.job["keep_best"] else None)
        self.accelerator.wait_for_everyone()

    def rates(self):
        """The rate of each update."""
        return self.order.read(columns=["learning_rate"])["learning_rate"].to_pylist()

    def plans(self):
        """The rows of each step, from the first on that is to be done."""
        at = 0
        for group in range(self.order.num_row_groups):
            rows = self.order.metadata.row_group(group).num_rows
            if at + rows > self.state["step"]:
                table = self.order.read_row_group(group, columns=["rows", "texts", "epoch", "next_epoch", "next_batch"]).to_pylist()
                yield from table[max(0, self.state["step"] - at):]
            at += rows

    def run(self):
        state, rates = self.state, self.rates()
        for plan in self.plans():
            started, rate = time.time(), rates[state["updates"]]
            loss, norm, applied, learned, fed = self.step(plan, rate)
            state["step"] += 1
            state["updates"] += int(applied)
            state["position"] = {"epoch": plan["next_epoch"], "batch": plan["next_batch"]}
            state["skipped"] += int(not applied)
            state["skipped_in_a_row"] = 0 if applied else state["skipped_in_a_row"] + 1
            state["tokens"] += fed
            seconds = time.time() - started
            line = {"step": state["step"], "epoch": plan["epoch"], "tokens": learned, "loss": loss, "lr": rate,
                    "grad_norm": norm, "tokens_per_s": fed / max(seconds, 1e-9), "mem_bytes": memory_in_use(),
                    "seconds": self.seconds()}
            if not applied:
                line["skipped"] = True
            if self.accelerator.is_main_process:
                self.folder.log(line)
            self.say(f"step {state['step']} of {self.job['steps']}: loss {loss:.4f}, {fed / max(seconds, 1e-9):.0f} tokens/s")
            if state["skipped_in_a_row"] >= self.job["skips"]:
                sys.exit(f"{self.job['skips']} steps in a row were not finite: lower the learning rate.\n"
                         f"连续 {self.job['skips']} 步的结果不是有限数：请降低学习率。")
            if self.after(plan["epoch"]):
                self.say("The validation loss no longer falls: the run ends here.")
                break
        self.finish()

    def finish(self):
        """The result: the best checkpoint's adapter where that is wanted, the last one's otherwise."""
        values = self.trained.values()
        if not self.accelerator.is_main_process:
            return
        best = self.folder.path / "checkpoints" / f"step-{self.state['best_step'] or 0:08}" / "adapter"
        if self.job["keep_best"] and best.is_dir():
            values = load_file(best / "adapter_model.safetensors")
        self.folder.adapter(self.folder.path / "adapter", values)
        self.say(f"The adapter is in {self.folder.path / 'adapter'}")


def main():
    job = json.loads((HERE / "job.json").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="the base model: a folder, or its name on the hub (or the variable BASE_MODEL)")
    parser.add_argument("--rows", type=int, default=job["rows_per_card"],
                        help="rows that go through the model together on a card; changes memory, not what is learned")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in run/")
    parser.add_argument("--keep-activations", action="store_true",
                        help="do not compute the layers again for the backward pass: faster, more memory")
    Training(job, parser.parse_args()).run()


if __name__ == "__main__":
    main()
