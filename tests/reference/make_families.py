"""Very small models of the families that transformers has a class for, with the logits that it gives.

    python tests/reference/make_families.py            # writes tests/fixtures/reference/families again

What the golden set lacks: switches that its cases leave off, and config.json with nothing but what differs from the
defaults of the class, which is how published folders write it. Each folder has `model.safetensors`, `config.json` and
`expected.safetensors`: `input_ids` [2, 24] and `logits` [2, 24, vocab]. Needs torch and transformers 5; nothing here is needed
to run the tests. A second run gives the same bytes.
"""

import json
import os
import shutil

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers as t
from safetensors.torch import save_file
from transformers.utils import logging

logging.disable_progress_bar()
logging.set_verbosity_error()
torch.set_num_threads(1)

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "reference", "families")
SEED, ROWS, LENGTH, VOCABULARY = 43, 2, 24, 48
IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": VOCABULARY, "max_position_embeddings": 64, **IDS}
WINDOW = {"use_sliding_window": True, "sliding_window": 7}
LONG = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0, 1.2], "long_factor": [1.0, 3.0]}


def rope(**own):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, **own}}


def cases():
    """Folder → config."""
    no_kv = {key: value for key, value in SIZES.items() if key != "num_key_value_heads"}
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
    bloom = {"hidden_size": 24, "n_layer": 2, "n_head": 12, "vocab_size": VOCABULARY, **IDS}
    falcon = {**no_kv, "hidden_size": 24, "num_attention_heads": 12}
    falcon["ffn_hidden_size"] = falcon.pop("intermediate_size")
    grouped = {**falcon, "num_attention_heads": 6, "num_kv_heads": 3, "new_decoder_architecture": True}
    return {
        "bloom-plain-residual": t.BloomConfig(**bloom),
        "falcon-alibi-twelve-heads": t.FalconConfig(**falcon, alibi=True, bias=True, multi_query=False,
                                                    parallel_attn=False),
        "falcon-head-by-head": t.FalconConfig(**{**falcon, "num_attention_heads": 6}, multi_query=False),
        "falcon-one-norm": t.FalconConfig(**grouped, num_ln_in_parallel_attn=1, tie_word_embeddings=False),
        "gptneox-no-bias": t.GPTNeoXConfig(**{**no_kv, "num_attention_heads": 2}, attention_bias=False,
                                           hidden_act="gelu_new"),
        "phi-defaults": t.PhiConfig(**SIZES),
        "mistral-no-window": t.MistralConfig(**SIZES, sliding_window=None, head_dim=6),
        "qwen2-last-layer-windowed": t.Qwen2Config(**SIZES, **WINDOW, max_window_layers=1),
        "qwen3-bias-windowed": t.Qwen3Config(**SIZES, **WINDOW, max_window_layers=0, head_dim=6, attention_bias=True),
        "qwen3-yarn": t.Qwen3Config(**SIZES, head_dim=8, **rope(rope_type="yarn", factor=4.0,
                                                              original_max_position_embeddings=16)),
        "gemma-bias": t.GemmaConfig(**SIZES, head_dim=6, attention_bias=True),
        "gemma2-defaults": t.Gemma2Config(**SIZES, head_dim=8, sliding_window=7),
        "gemma3-pattern": t.Gemma3TextConfig(**{**SIZES, "num_hidden_layers": 3}, head_dim=8, sliding_window=7,
                                             sliding_window_pattern=3, query_pre_attn_scalar=8),
        "gemma3-pictures": t.Gemma3Config(
            text_config={**SIZES, "head_dim": 8, "sliding_window": 7, "query_pre_attn_scalar": 8},
            vision_config={"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
                           "image_size": 8, "patch_size": 4}, mm_tokens_per_image=1,
            image_token_index=40, boi_token_index=41, eoi_token_index=42),
        "phi3-partial-longrope-tied": t.Phi3Config(
            **{**SIZES, "num_attention_heads": 2, "num_key_value_heads": 1}, tie_word_embeddings=True,
            original_max_position_embeddings=16, rope_parameters={**LONG, "partial_rotary_factor": 0.5}),
        "minicpm3-direct-queries": t.MiniCPM3Config(
            **{**SIZES, "num_key_value_heads": 4}, q_lora_rank=None, kv_lora_rank=6, qk_nope_head_dim=6, qk_rope_head_dim=4,
            v_head_dim=5, attention_bias=True, mlp_bias=True, dim_model_base=8, original_max_position_embeddings=16,
            rope_parameters=dict(LONG)),
        "glm-no-bias": t.GlmConfig(**SIZES, head_dim=8, attention_bias=False),
        "glm4-bias": t.Glm4Config(**SIZES, head_dim=12, attention_bias=True),
        "olmo2-bias": t.Olmo2Config(**no_kv, attention_bias=True),
        "stablelm-bias": t.StableLmConfig(**SIZES, use_qkv_bias=True, partial_rotary_factor=0.5),
        "stablelm-parallel": t.StableLmConfig(**SIZES, use_parallel_residual=True, partial_rotary_factor=0.5),
        "starcoder2-no-bias": t.Starcoder2Config(**SIZES, use_bias=False),
        "cohere-qk-norm": t.CohereConfig(**SIZES, use_qk_norm=True, attention_bias=True, logit_scale=0.5),
        "granite-bias": t.GraniteConfig(**SIZES, attention_bias=True, mlp_bias=True, embedding_multiplier=3.0,
                                        attention_multiplier=0.3, residual_multiplier=0.5, logits_scaling=0.5),
        "mixtral-windowed": t.MixtralConfig(**SIZES, num_local_experts=3, sliding_window=7),
        "qwen2moe-normalised": t.Qwen2MoeConfig(
            **{**SIZES, "num_hidden_layers": 3}, **WINDOW, **experts, shared_expert_intermediate_size=20,
            norm_topk_prob=True, decoder_sparse_step=2, qkv_bias=False, max_window_layers=1),
        "qwen3moe-normalised": t.Qwen3MoeConfig(**SIZES, **experts, head_dim=6, norm_topk_prob=True),
        "qwen3moe-dense-layer": t.Qwen3MoeConfig(**SIZES, **WINDOW, **experts, head_dim=6, mlp_only_layers=[1],
                                                attention_bias=True),
    }


def spread_out(model):
    """Weights large enough that attention and logits are far from uniform; norms and biases that matter."""
    torch.manual_seed(SEED)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            is_norm = ("norm" in name or ".ln_" in name) and name.endswith("weight")
            from_zero = type(model).__name__.startswith("Gemma")
            centre = 1.0 if is_norm and not from_zero else 0.0
            weight.normal_(mean=centre, std=0.2 if is_norm or name.endswith("bias") else 0.3)
    return model.eval()


def make(folder, config):
    # Falcon's eager attention adds ALiBi twice.
    attention = "sdpa" if config.model_type == "falcon" else "eager"
    config._attn_implementation = attention
    config._experts_implementation = "eager"
    pictures = config.model_type == "gemma3"
    made = t.Gemma3ForConditionalGeneration(config) if pictures else t.AutoModelForCausalLM.from_config(config)
    model = spread_out(made)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    if os.path.exists(os.path.join(folder, "generation_config.json")):
        os.remove(os.path.join(folder, "generation_config.json"))
    write_config(folder, config)
    torch.manual_seed(SEED)
    ids = torch.randint(3, 40, (ROWS, LENGTH))
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits
        again = type(model).from_pretrained(folder, attn_implementation=attention).eval()
        again = again(input_ids=ids, use_cache=False).logits
    assert torch.equal(logits, again), folder
    print(f"{os.path.basename(folder):28} logits from {logits.min():.1f} to {logits.max():.1f}")
    save_file({"input_ids": ids, "logits": logits.float().contiguous()}, os.path.join(folder, "expected.safetensors"))


def write_config(folder, config):
    """Only what differs from the class, with what tells the class and the sizes that every published folder has."""
    kept = differing(config)
    kept["architectures"] = [config.architectures[0]]
    if config.model_type == "gemma3":
        kept["text_config"] = differing(config.text_config)
        kept["vision_config"] = differing(config.vision_config)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(kept, file, indent=1, sort_keys=True)
        file.write("\n")


def differing(config):
    default, derived = type(config)().to_dict(), ("layer_types", "dtype", "transformers_version", "architectures")
    always = ("n_head", "n_layer", "model_type", "num_attention_heads", "num_hidden_layers", "hidden_size", "vocab_size")
    pairs = config.to_dict().items()
    return {key: value for key, value in pairs if key in always or (
        key not in derived and not key.startswith("_") and value != default.get(key, "absent"))}


def make_minicpm(folder):
    """MiniCPM has no class: it is Llama with its scales folded into the weights."""
    model = spread_out(t.LlamaForCausalLM(t.LlamaConfig(**SIZES, rms_norm_eps=1e-5)))
    scales = {"scale_emb": 3, "scale_depth": 1.4, "dim_model_base": 8}
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    weights = {name: weight.clone() for name, weight in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    kept = {**SIZES, **scales, "model_type": "minicpm", "architectures": ["MiniCPMForCausalLM"], "rms_norm_eps": 1e-5}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(kept, file, indent=1, sort_keys=True)
        file.write("\n")
    torch.manual_seed(SEED)
    ids = torch.randint(3, 40, (ROWS, LENGTH))
    with torch.no_grad():
        depth = scales["scale_depth"] / SIZES["num_hidden_layers"] ** 0.5
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight *= depth
            layer.mlp.down_proj.weight *= depth
        model.lm_head.weight.copy_(model.model.embed_tokens.weight * scales["dim_model_base"] / SIZES["hidden_size"])
        model.model.embed_tokens.weight *= scales["scale_emb"]
        logits = model(input_ids=ids, use_cache=False).logits
    save_file({"input_ids": ids, "logits": logits.contiguous()}, os.path.join(folder, "expected.safetensors"))


def main():
    for name, config in cases().items():
        make(os.path.join(OUT, name), config)
    make_minicpm(os.path.join(OUT, "minicpm-folded"))


if __name__ == "__main__":
    main()
