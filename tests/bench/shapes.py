"""Made-up models: the shapes of published ones, without their weights. Standard library only."""

LLAMA_3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def llama(hidden, ff, layers, heads, kv_heads, vocab, tied, **more):
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": ff,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab,
        "tie_word_embeddings": tied,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        **more,
    }


SHAPES = {
    # 14 blocks of 3.1 M and one shared embedding of 16.4 M: 60.4 M parameters.
    "llama-60m": llama(512, 1536, 14, 8, 4, 32000, True),
    # For trying the scripts themselves.
    "llama-tiny": llama(128, 352, 4, 4, 2, 2048, True),
    # Small, with room for the ids of GPT-2's tokenizer: its tokenizer is what counts.
    "tokenizer-host": llama(64, 176, 1, 2, 2, 50304, True),
    "llama-3.2-1b": llama(2048, 8192, 16, 32, 8, 128256, True, head_dim=64, rope_theta=500000.0,
                          rope_parameters=LLAMA_3_ROPE, max_position_embeddings=131072),
    "llama-3.1-8b": llama(4096, 14336, 32, 32, 8, 128256, False, rope_theta=500000.0,
                          rope_parameters={**LLAMA_3_ROPE, "factor": 8.0}, max_position_embeddings=131072),
    # Qwen2.5's q, k and v have biases; Llama's flag gives them to o, too.
    "qwen2.5-0.5b": llama(896, 4864, 24, 14, 2, 151936, True, attention_bias=True, rope_theta=1000000.0,
                          rms_norm_eps=1e-6, max_position_embeddings=32768),
}


def matmul_parameters(config):
    """Weights that take part in a matrix product, the head included: N_mm, by which FLOPs are counted."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head_dim = config.get("head_dim") or hidden // heads
    attention = hidden * head_dim * (2 * heads + 2 * config["num_key_value_heads"])
    mlp = 3 * hidden * config["intermediate_size"]
    return config["num_hidden_layers"] * (attention + mlp) + config["vocab_size"] * hidden


def lora_parameters(config, rank):
    """Parameters of a LoRA of this rank on every linear layer of the blocks."""
    hidden, ff, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    head_dim = config.get("head_dim") or hidden // heads
    q, kv = heads * head_dim, config["num_key_value_heads"] * head_dim
    sides = 2 * (hidden + q) + 2 * (hidden + kv) + 3 * (hidden + ff)
    return config["num_hidden_layers"] * rank * sides


def full_flops_per_token(config, length):
    """Forward and backward of all weights: 6 N_mm + 3 A."""
    return 6 * matmul_parameters(config) + 3 * attention_flops(config, length)


def lora_flops_per_token(config, length, rank):
    """Forward and backward of LoRA without recomputation: 4 N_mm + 6 N_lora + 3 A."""
    return (4 * matmul_parameters(config) + 6 * lora_parameters(config, rank)
            + 3 * attention_flops(config, length))


def attention_flops(config, length):
    """Causal attention forward: A = 2 · layers · heads · head_dim · length (half of the square)."""
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    return 2 * config["num_hidden_layers"] * heads * head_dim * length


def flops_per_token(config, length, method, rank):
    return lora_flops_per_token(config, length, rank) if method == "lora" else full_flops_per_token(config, length)
