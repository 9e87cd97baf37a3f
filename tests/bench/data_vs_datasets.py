"""A large file of conversations: its first rows, and every row rendered and tokenised, by emberwright and by
`datasets` + transformers' fast tokenizer; each side a process of its own, watched in the same way.

    python tests/bench/make_data.py SHARED /tmp/gb.jsonl
    python tests/bench/data_vs_datasets.py /tmp/gb.jsonl --tokenizer SHARED/realdata/tokenizers/qwen2.5 [--rows N]

Needs `datasets` and `transformers`. `--rows` gives both sides the first N rows only. Prints a Markdown table. The
page cache is warm for all: the file is read once before.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 4096, "torch_dtype": "float32", "tie_word_embeddings": True, "eos_token_id": 2,
}
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def python_first(data, model):
    from datasets import load_dataset
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{model}/tokenizer.json", chat_template=CHATML)
    rows = load_dataset("json", data_files=data, split="train", streaming=True).take(5)
    tokens = sum(len(tokenizer.apply_chat_template(row["messages"])["input_ids"]) for row in rows)
    print(json.dumps({"tokens": tokens}))


def python_all(data, model):
    from datasets import load_dataset
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{model}/tokenizer.json", chat_template=CHATML)

    def encode(batch):
        texts = tokenizer.apply_chat_template(batch["messages"], tokenize=False)
        return {"input_ids": tokenizer(texts, add_special_tokens=False)["input_ids"]}

    with tempfile.TemporaryDirectory(dir=Path(data).parent) as cache:
        began = time.perf_counter()
        rows = load_dataset("json", data_files=data, split="train", cache_dir=cache)
        loaded = time.perf_counter() - began
        rows = rows.map(encode, batched=True, remove_columns=rows.column_names)
        lengths = [len(ids) for batch in rows.iter(1000) for ids in batch["input_ids"]]
        print(json.dumps({"rows": len(lengths), "tokens": sum(lengths), "longest": max(lengths), "loaded": loaded}))


SIDES = {"python-first": python_first, "python-all": python_all}


def watched(command, env=None):
    """Seconds, bytes of memory at most, CPU seconds, and what it said."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **(env or {})})
    # The peak of the process and of those it started, looked at often.
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{command}: status {status}")
    return seconds, usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime, said.decode()


def last_object(said, key):
    for line in reversed(said.splitlines()):
        if line.startswith("{"):
            found = find(json.loads(line), key)
            if found is not None:
                return found
    raise SystemExit(f"no {key} in {said[-500:]}")


def find(value, key):
    if isinstance(value, dict):
        if key in value:
            return value
        value = list(value.values())
    if isinstance(value, list):
        return next((found for item in value if (found := find(item, key)) is not None), None)
    return None


def main():
    if sys.argv[1] in SIDES:
        return SIDES[sys.argv[1]](*sys.argv[2:])
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--program", default=os.path.expanduser("~/.cache/emberwright/target/release/emberwright"))
    parser.add_argument("--rows", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path(options.data).parent) as folder:
        measure(options, Path(folder))


def measure(options, folder):
    data = str(Path(options.data).resolve())
    if options.rows:
        with open(data, "rb") as source, open(folder / "part.jsonl", "wb") as part:
            part.writelines(line for line, _ in zip(source, range(options.rows)))
        data = str(folder / "part.jsonl")
    size = os.path.getsize(data)
    subprocess.run(["cat", data], stdout=subprocess.DEVNULL, check=True)
    model = folder / "model"
    convert = f"from transformers import AutoTokenizer; AutoTokenizer.from_pretrained({options.tokenizer!r}).save_pretrained({str(model)!r})"
    subprocess.run([sys.executable, "-c", convert], check=True)
    tokenizer = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    ids = [*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])]
    (model / "config.json").write_text(json.dumps({**CONFIG, "vocab_size": max(ids) + 1}))
    (folder / "chatml.jinja").write_text(CHATML)
    run = folder / "run.toml"
    run.write_text(
        f'[model]\npath = "model"\nfrom_scratch = true\n[method]\nkind = "full"\n[data]\ntrain = [{json.dumps(data)}]\n'
        'template = "chatml.jinja"\nmax_length = 1000000\n'
    )
    print(f"load before: {os.getloadavg()[0]:.1f}; {size / 1e6:.0f} MB, {os.cpu_count()} cores\n")
    print("| | seconds | CPU seconds | MB/s | peak MiB | rows | tokens |\n|---|---|---|---|---|---|---|")
    arms = [
        ("first rows: emberwright", [options.program, "preview", str(run), "--rows", "5", "--json", "--device", "cpu"], None),
        ("first rows: datasets", [sys.executable, __file__, "python-first", data, str(model)], None),
        ("all rows: emberwright", [options.program, "check", str(run), "--json", "--device", "cpu"], "longest"),
        ("all rows: datasets", [sys.executable, __file__, "python-all", data, str(model)], "longest"),
    ]
    for name, command, key in arms:
        seconds, memory, cpu, said = watched(command)
        found = last_object(said, key) if key else {}
        speed = f"{size / 1e6 / seconds:.1f}" if key else "–"
        print(f"| {name} | {seconds:.2f} | {cpu:.2f} | {speed} | {memory / 2**20:.0f} | {found.get('rows', '–')} | {found.get('tokens', '–')} |", flush=True)


main()
