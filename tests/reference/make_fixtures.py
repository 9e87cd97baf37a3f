"""Small files that transformers and PEFT write in forms the golden set lacks, with the logits they give.

    python tests/reference/make_fixtures.py            # writes tests/fixtures/reference again

- `models/`: one tiny Llama and one tiny GPT-2 in the weight files found in the wild: f16 and bf16 safetensors,
  `pytorch_model.bin` single and sharded, also in torch's format before 1.6.
- `adapters/`: LoRA folders with the keys that decide where an adapter sits and how strong it is: a regular expression
  as target, single layers, excluded modules, patterns with rsLoRA, biases, the old `adapter_model.bin`.
- `pickles/`: a harmless checkpoint and ones that would call something when unpickled by a real unpickler. The payload
  makes a file named `canary`, which must never appear.

Each model folder and each adapter folder has `expected.safetensors`: `input_ids` [2, 12] and `logits` [2, 12, vocab], f32
arithmetic on the stored weights. Needs torch, transformers and peft; nothing here is needed to run the tests. A second
run gives the same bytes but for the format before 1.6, which names its storages by their addresses in memory.
"""

import json
import os
import pickle
import shutil
import zipfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()
logging.set_verbosity_error()
torch.set_num_threads(1)

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "reference")
SEED, ROWS, LENGTH, VOCABULARY = 41, 2, 12, 48


def tiny_llama():
    config = LlamaConfig(hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, vocab_size=VOCABULARY, tie_word_embeddings=False,
                         max_position_embeddings=64, rope_theta=10000.0, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    return spread_out(LlamaForCausalLM(config))


def tiny_gpt2():
    config = GPT2Config(n_embd=16, n_layer=2, n_head=4, n_positions=32, vocab_size=VOCABULARY, bos_token_id=1,
                        eos_token_id=2, pad_token_id=0)
    return spread_out(GPT2LMHeadModel(config))


def spread_out(model):
    """Weights large enough that attention and logits are far from uniform; norms and biases that matter."""
    torch.manual_seed(SEED)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            is_norm = "norm" in name or ".ln_" in name
            weight.normal_(mean=1.0 if is_norm and name.endswith("weight") else 0.0, std=0.1 if is_norm else 0.3)
    return model.eval()


def input_ids():
    generator = torch.Generator().manual_seed(SEED)
    return torch.randint(3, VOCABULARY, (ROWS, LENGTH), generator=generator)


def write_expected(folder, model):
    with torch.no_grad():
        logits = model.float()(input_ids=input_ids()).logits
    save_file({"input_ids": input_ids(), "logits": logits.contiguous()}, os.path.join(folder, "expected.safetensors"))


def rounded(model, dtype):
    """The model with every weight rounded to `dtype`, in f32."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.to(dtype).float())
    return model


def write_model(name, model, dtype, writer):
    """A folder whose weight files `writer(folder, state)` makes from the state in `dtype`."""
    folder = os.path.join(OUT, "models", name)
    os.makedirs(folder)
    model.config.dtype = dtype
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    state = {key: value.detach().to(dtype) for key, value in model.state_dict().items()}
    writer(folder, state)
    write_expected(folder, rounded(model, dtype))


def write_safetensors(folder, state):
    save_file({key: value.contiguous() for key, value in state.items() if key != "lm_head.weight" or not tied(state)},
              os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})


def tied(state):
    """GPT-2's head is its embedding."""
    return "transformer.wte.weight" in state


def write_bin(folder, state):
    if tied(state):  # as torch stores a tied head: one storage under two names
        state["lm_head.weight"] = state["transformer.wte.weight"]
    torch.save(state, os.path.join(folder, "pytorch_model.bin"))


def write_legacy_bin(folder, state):
    torch.save(state, os.path.join(folder, "pytorch_model.bin"), _use_new_zipfile_serialization=False)


def write_sharded_bin(folder, state, shards=3):
    names = list(state)
    size = -(-len(names) // shards)
    index = {"metadata": {"total_size": sum(value.numel() * value.element_size() for value in state.values())},
             "weight_map": {}}
    for place in range(shards):
        chosen = names[place * size:(place + 1) * size]
        file = f"pytorch_model-{place + 1:05d}-of-{shards:05d}.bin"
        torch.save({name: state[name] for name in chosen}, os.path.join(folder, file))
        index["weight_map"].update(dict.fromkeys(chosen, file))
    with open(os.path.join(folder, "pytorch_model.bin.index.json"), "w", encoding="ascii") as handle:
        json.dump(index, handle, indent=1)


def write_models():
    write_model("llama-f32", tiny_llama(), torch.float32, write_safetensors)
    write_model("llama-f16-sharded-bin", tiny_llama(), torch.float16, write_sharded_bin)
    write_model("llama-bf16-bin", tiny_llama(), torch.bfloat16, write_bin)
    write_model("llama-f32-legacy-bin", tiny_llama(), torch.float32, write_legacy_bin)
    write_model("gpt2-f16", tiny_gpt2(), torch.float16, write_safetensors)
    write_model("gpt2-f32-tied-bin", tiny_gpt2(), torch.float32, write_bin)


def adapters():
    """Name → (base, what differs from a plain LoRA of r = 4, alpha = 8 on q and v)."""
    attention = ["q_proj", "v_proj"]
    return {
        "regex-target": ("llama-f32", {"target_modules": r".*\.layers\.\d+\.(mlp\.(up|down)_proj|self_attn\.k_proj)"}),
        "one-layer": ("llama-f32", {"target_modules": attention, "layers_to_transform": [1]}),
        "one-layer-number": ("llama-f32", {"target_modules": attention, "layers_to_transform": 0,
                                           "layers_pattern": "layers"}),
        "excluded": ("llama-f32", {"target_modules": ["q_proj", "up_proj"],
                                   "exclude_modules": ["layers.0.self_attn.q_proj"]}),
        "regex-patterns": ("llama-f32", {"target_modules": "all-linear",
                                         "rank_pattern": {r"layers\.1\.self_attn\..*_proj": 2, "down_proj": 6},
                                         "alpha_pattern": {r"^model\.layers\.0\.mlp\.gate_proj": 32, "v_proj": 2}}),
        "rslora-patterns": ("llama-f32", {"target_modules": attention, "use_rslora": True, "rank_pattern": {"v_proj": 9},
                                          "alpha_pattern": {"q_proj": 3}}),
        "head": ("llama-f32", {"target_modules": ["q_proj", "lm_head"]}),
        "two-modules-to-save": ("llama-f32", {"target_modules": attention,
                                              "modules_to_save": ["embed_tokens", "lm_head"]}),
        "lora-bias": ("llama-f32", {"target_modules": attention, "lora_bias": True}),
        "gpt2-patterns": ("gpt2-f16", {"target_modules": ["c_attn", "c_proj", "c_fc"], "fan_in_fan_out": True,
                                       "rank_pattern": {"attn.c_proj": 2, "h.1.mlp.c_fc": 6},
                                       "alpha_pattern": {"mlp.c_proj": 24}}),
        "gpt2-all-biases": ("gpt2-f16", {"target_modules": ["c_attn"], "fan_in_fan_out": True, "bias": "all"}),
    }


def fresh_base(name):
    return rounded(tiny_gpt2(), torch.float16) if name.startswith("gpt2") else tiny_llama()


def write_adapter(name, base, differs):
    """The adapter with every trainable tensor moved off its starting value, so that all of it matters."""
    folder = os.path.join(OUT, "adapters", name)
    torch.manual_seed(SEED + 1)
    config = LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", **differs)
    tuned = get_peft_model(fresh_base(base), config).eval()
    with torch.no_grad():
        for _, weight in tuned.named_parameters():
            if weight.requires_grad:
                weight.add_(0.2 * torch.randn_like(weight))
    config.base_model_name_or_path = base
    tuned.save_pretrained(folder)
    sort_lists(os.path.join(folder, "adapter_config.json"))
    os.remove(os.path.join(folder, "README.md"))
    write_expected(folder, tuned)
    again = PeftModel.from_pretrained(fresh_base(base), folder).eval()
    with torch.no_grad():
        gap = (again(input_ids=input_ids()).logits - tuned(input_ids=input_ids()).logits).abs().max()
        moved = (fresh_base(base)(input_ids=input_ids()).logits - tuned(input_ids=input_ids()).logits).abs().max()
    assert gap < 1e-5 and moved > 0.1, f"{name}: reloaded differs by {gap}, adapter changes {moved}"


def sort_lists(path):
    """PEFT writes sets in an arbitrary order; the same run should give the same bytes."""
    with open(path, encoding="utf-8") as handle:
        config = json.load(handle)
    for key, value in config.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            config[key] = sorted(value)
    with open(path, "w", encoding="utf-8") as handle:
        json.dump(config, handle, indent=2)


def write_old_adapter():
    """As PEFT 0.3 wrote it: a pickle, and few keys in the configuration."""
    source, folder = os.path.join(OUT, "adapters", "head"), os.path.join(OUT, "adapters", "old-bin")
    os.makedirs(folder)
    torch.save(load_file(os.path.join(source, "adapter_model.safetensors")), os.path.join(folder, "adapter_model.bin"))
    shutil.copy(os.path.join(source, "expected.safetensors"), folder)
    config = {"base_model_name_or_path": "llama-f32", "bias": "none", "fan_in_fan_out": False, "inference_mode": True,
              "init_lora_weights": True, "lora_alpha": 8, "lora_dropout": 0.05, "modules_to_save": None,
              "peft_type": "LORA", "r": 4, "target_modules": ["q_proj", "lm_head"], "task_type": "CAUSAL_LM"}
    with open(os.path.join(folder, "adapter_config.json"), "w", encoding="ascii") as handle:
        json.dump(config, handle, indent=2)


class Call:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def write_pickles():
    folder = os.path.join(OUT, "pickles")
    os.makedirs(folder)
    weight = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    torch.save({"weight": weight}, os.path.join(folder, "good.bin"))
    bad = {
        "system.bin": Call(os.system, "touch canary"),
        "eval.bin": Call(eval, "open('canary', 'w')"),
        "getattr.bin": Call(getattr, "canary", "upper"),
        "nested.bin": Call(pickle.loads, pickle.dumps(Call(os.system, "touch canary"))),
    }
    for name, payload in bad.items():
        torch.save({"weight": weight, "more": payload}, os.path.join(folder, name))
    rewrite(folder, "beyond-storage.bin", lambda data: data.replace(b"K\x02K\x03\x86", b"K\x02K\x7f\x86"))
    rewrite(folder, "cut.bin", lambda data: data[:-9])
    # A plain pickle without torch's archive around it.
    with open(os.path.join(folder, "bare.bin"), "wb") as handle:
        pickle.dump(Call(os.system, "touch canary"), handle, protocol=2)


def rewrite(folder, name, change):
    """`good.bin` with its pickle changed, every checksum right."""
    with zipfile.ZipFile(os.path.join(folder, "good.bin")) as good, \
            zipfile.ZipFile(os.path.join(folder, name), "w", zipfile.ZIP_STORED) as changed:
        for entry in good.infolist():
            data = good.read(entry)
            if entry.filename.endswith("data.pkl"):
                after = change(data)
                assert after != data, f"{name}: nothing was changed"
                data = after
            changed.writestr(zipfile.ZipInfo(entry.filename), data)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(os.path.join(OUT, "adapters"))
    write_models()
    for name, (base, differs) in adapters().items():
        write_adapter(name, base, differs)
    write_old_adapter()
    write_pickles()


if __name__ == "__main__":
    main()
