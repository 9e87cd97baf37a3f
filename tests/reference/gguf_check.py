"""GGUF files, ours and others', held against the `gguf` package, llama.cpp's converter and llama.cpp itself.

    python tests/reference/gguf_check.py fixtures                                  # writes tests/fixtures/gguf again
    python tests/reference/gguf_check.py tensors FILE.gguf MODEL                   # names, shapes and numbers
    python tests/reference/gguf_check.py converter FILE.gguf MODEL --llama-cpp DIR [--pre NAME]
    python tests/reference/gguf_check.py llama FILE.gguf MODEL

- `fixtures` (needs gguf, torch, transformers): small files made by the package. `kinds.gguf` has a tensor in each format
  that is read, with `kinds.safetensors` as the package dequantises them; `refused.gguf` has one in a format that is not.
- `tensors` (needs gguf, safetensors): every tensor of the Hugging Face folder is found under the name that the package
  gives it, dequantised by the package, put back into Hugging Face's order, and compared.
- `converter` (needs a checkout of llama.cpp): its `convert_hf_to_gguf.py` converts MODEL in the same format; every key of
  the metadata and every tensor must be the same. `--pre` stands in for the list of known tokenizers, which a made-up one
  is not on.
- `llama` (needs xllamacpp, torch, transformers): llama.cpp loads the file; the probabilities of the next token behind a
  few prompts must be those that transformers gives.

Nothing here is needed to run the tests.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gguf
import numpy as np

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "gguf"
Kind = gguf.GGMLQuantizationType
# Keys that say where a file comes from rather than what it is.
OF_ORIGIN = {"general.name", "general.basename", "general.version", "general.finetune", "general.size_label", "general.tags"}


def fixtures():
    from safetensors.numpy import save_file

    FIXTURES.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    writer = gguf.GGUFWriter(FIXTURES / "kinds.gguf", "llama")
    expected = {}
    for kind in (Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_0, Kind.Q4_K, Kind.Q6_K):
        name = f"kind.{kind.name.lower()}"
        if kind in (Kind.Q4_K, Kind.Q6_K):
            # The package dequantises these and does not make them: any bits are a block, but for the scales in f16.
            block, size = gguf.GGML_QUANT_SIZES[kind]
            raw = rng.integers(0, 256, (3, 512 // block * size), dtype=np.uint8)
            scales = raw.reshape(-1, size)
            at = slice(0, 4) if kind == Kind.Q4_K else slice(208, 210)
            halves = rng.normal(0, 0.01, (len(scales), (at.stop - at.start) // 2)).astype(np.float16)
            scales[:, at] = halves.view(np.uint8)
        else:
            raw = gguf.quantize(rng.normal(0, 1, (3, 512)).astype(np.float32), kind)
        writer.add_tensor(name, raw, raw_dtype=kind)
        expected[name] = gguf.dequantize(raw, kind).reshape(3, 512).astype(np.float32)
    sizes(writer)
    finish(writer)
    save_file(expected, FIXTURES / "kinds.safetensors")

    writer = gguf.GGUFWriter(FIXTURES / "refused.gguf", "llama")
    raw = gguf.quantize(rng.normal(0, 1, (2, 64)).astype(np.float32), Kind.Q5_0)
    writer.add_tensor("token_embd.weight", raw, raw_dtype=Kind.Q5_0)
    sizes(writer)
    finish(writer)


def sizes(writer):
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_layer_norm_rms_eps(1e-5)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(path):
    reader = gguf.GGUFReader(path)
    fields = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    return fields, {tensor.name: tensor for tensor in reader.tensors}


def numbers(tensor):
    shape = [int(n) for n in reversed(tensor.shape)]
    return gguf.dequantize(tensor.data, tensor.tensor_type).reshape(shape).astype(np.float32)


def half_step(tensor):
    """Largest rounding error of each element."""
    values = np.abs(numbers(tensor))
    kind = tensor.tensor_type
    if kind == Kind.Q8_0:
        blocks = values.reshape(-1, 32).max(axis=1, keepdims=True)
        # Half a step, and the scale's own rounding.
        return np.broadcast_to(blocks / 127 * 0.501 + blocks * 2.0**-11 + 1e-7, (blocks.size, 32)).reshape(values.shape)
    return values * {Kind.F16: 2.0**-11, Kind.BF16: 2.0**-8}.get(kind, 2.0**-23) + 1e-7


def state(model):
    import torch
    from safetensors.torch import load_file

    tensors = {}
    for file in sorted(Path(model).glob("*.safetensors")):
        tensors |= load_file(file)
    if not tensors:
        for file in sorted(Path(model).glob("pytorch_model*.bin")):
            tensors |= torch.load(file, weights_only=True)
    return {name: tensor.float().numpy() for name, tensor in tensors.items()}


def permute(weights, heads):
    return weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def tensors(path, model):
    fields, found = read(path)
    arch = fields["general.architecture"]
    number = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == arch)
    names = gguf.get_tensor_name_map(number, fields[f"{arch}.block_count"])
    heads = fields[f"{arch}.attention.head_count"]
    keys = fields.get(f"{arch}.attention.head_count_kv", heads)
    seen, worst = set(), 0.0
    for hf, wanted in state(model).items():
        if hf.endswith((".attn.bias", ".masked_bias", "inv_freq")):
            continue
        name = names.get_name(hf, try_suffixes=(".weight", ".bias"))
        if name == "output.weight" and name not in found:
            assert np.array_equal(wanted, state(model)[next(k for k in state(model) if "wte" in k or "embed" in k)])
            continue
        assert name in found, f"{hf} → {name} is not in the file"
        seen.add(name)
        if arch in ("llama", "minicpm") and "_proj" in hf and (".q_proj" in hf or ".k_proj" in hf):
            wanted = permute(wanted, heads if ".q_proj" in hf else keys)
        if arch == "gpt2" and wanted.ndim == 2 and any(part in hf for part in ("c_attn", "c_proj", "c_fc")):
            wanted = wanted.T
        if arch.startswith("gemma") and hf.endswith("norm.weight"):
            wanted = wanted + 1
        got = numbers(found[name])
        assert got.shape == wanted.shape, f"{name}: {got.shape}, wanted {wanted.shape}"
        assert (np.abs(got - wanted) <= half_step(found[name])).all(), f"{name} differs by {np.abs(got - wanted).max()}"
        worst = max(worst, float(np.abs(got - wanted).max()))
    rest = set(found) - seen - {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"}
    assert not rest, f"not in the model: {rest}"
    kinds = sorted({tensor.tensor_type.name for tensor in found.values()})
    print(f"{path}: {len(found)} tensors in {', '.join(kinds)}, largest difference {worst:.2e}")


RUNNER = """
import sys
sys.path.insert(0, sys.argv[1]); sys.path.insert(0, sys.argv[1] + "/gguf-py")
import convert_hf_to_gguf as convert
from conversion import base
pre = sys.argv[2]
if pre:
    base.TextModel.get_vocab_base_pre = lambda self, tokenizer: pre
load = base.ModelBase.load_hparams
def with_old_names(*args, **kwargs):
    config = load(*args, **kwargs)
    if config.get("model_type") == "gpt2":
        config.setdefault("n_ctx", config["n_positions"])
    return config
base.ModelBase.load_hparams = staticmethod(with_old_names)
sys.argv = ["convert", *sys.argv[3:]]
convert.main()
"""
OUTTYPES = {0: "f32", 1: "f16", 7: "q8_0", 32: "bf16"}


def converter(path, model, llama_cpp, pre):
    ours, our_tensors = read(path)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "theirs.gguf"
        outtype = OUTTYPES[ours["general.file_type"]]
        command = [sys.executable, "-c", RUNNER, str(Path(llama_cpp).resolve()), pre, str(model)]
        done = subprocess.run([*command, "--outtype", outtype, "--outfile", str(out)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        theirs, their_tensors = read(out)
        differ = []
        for key in sorted((set(ours) | set(theirs)) - OF_ORIGIN):
            if ours.get(key) != theirs.get(key):
                short = lambda value: str(value)[:160]
                differ.append(f"  {key}: ours {short(ours.get(key))} | theirs {short(theirs.get(key))}")
        unlike = set(our_tensors) ^ set(their_tensors)
        if "output.weight" in unlike and np.array_equal(their_tensors["output.weight"].data, their_tensors["token_embd.weight"].data):
            # The tied head, which some folders hold twice; llama.cpp takes the embedding where there is no head.
            unlike.remove("output.weight")
        equal, far = 0, []
        for name in sorted(set(our_tensors) & set(their_tensors)):
            a, b = our_tensors[name], their_tensors[name]
            if a.tensor_type == b.tensor_type and np.array_equal(a.data, b.data) and list(a.shape) == list(b.shape):
                equal += 1
            else:
                far.append(f"  {name}: {a.tensor_type.name} {list(a.shape)} | {b.tensor_type.name} {list(b.shape)}")
        print(f"{path} ({outtype}): {equal} tensors the same byte for byte, {len(ours) - len(differ)} keys the same")
        print(*(["keys that differ:", *differ] if differ else []), sep="\n")
        print(*(["tensors that differ:", *sorted(unlike), *far] if unlike or far else []), sep="\n")
        return not (differ or unlike or far)


def llama(path, model):
    import torch
    import xllamacpp
    from transformers import AutoModelForCausalLM

    live = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    rows = live.get_input_embeddings().weight.shape[0]
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel, params.warmup = 256, 1, False
    params.cpuparams.n_threads = 2
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)
    rng = np.random.default_rng(3)
    worst, compared = 0.0, 0
    for length in (1, 5, 24, 3, 12, 40):
        ids = [int(n) for n in rng.integers(4, rows, length)]
        wish = {"prompt": ids, "n_predict": 1, "n_probs": rows, "temperature": 0.0, "cache_prompt": False}
        told = server.handle_completions(wish)["choices"][0]["logprobs"]
        if told is None:
            # The likeliest token ends the text: then the server tells nothing.
            continue
        got = {entry["id"]: entry["logprob"] for entry in told["content"][0]["top_logprobs"]}
        with torch.no_grad():
            wanted = torch.log_softmax(live(torch.tensor([ids])).logits[0, -1].double(), 0)
        # What is hardly possible is told with few digits.
        difference = max(abs(got[id] - wanted[id].item()) for id in got if wanted[id] > -15)
        worst, compared = max(worst, difference), compared + 1
        likely = max(got, key=got.get)
        assert wanted[likely] > wanted.max() - 0.2, "another next token"
    assert compared >= 2, "too few prompts were answered"
    assert math.isfinite(worst)
    print(f"{path}: llama.cpp's log-probabilities differ from transformers' by {worst:.2e} at most, {compared} prompts")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fixtures")
    for name in ("tensors", "converter", "llama"):
        command = commands.add_parser(name)
        command.add_argument("file", type=Path)
        command.add_argument("model", type=Path)
        if name == "converter":
            command.add_argument("--llama-cpp", required=True)
            command.add_argument("--pre", default="")
    args = parser.parse_args()
    match args.command:
        case "fixtures":
            fixtures()
        case "tensors":
            tensors(args.file, args.model)
        case "converter":
            sys.exit(0 if converter(args.file, args.model, args.llama_cpp, args.pre) else 1)
        case "llama":
            llama(args.file, args.model)


if __name__ == "__main__":
    main()
