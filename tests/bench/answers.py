"""Answers side by side: emberwright's `predict` against itself one row at a time, and against transformers' `generate`.

    python tests/bench/answers.py --emberwright target/release/emberwright

asks the starter model (or `--model`) the questions of its own dataset, greedily, `--tokens` tokens each whatever they are
(f32, two threads); each side many rows at once and one at a time, in turn. Times are those of answering alone: what the
program's report says, and what passes around `generate`. The answers of all sides are compared. Needs torch and
transformers.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emberwright", required=True)
    parser.add_argument("--model", default=os.path.join(ROOT, "assets/starter/model"))
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--batch", type=int, default=32, help="rows at once on transformers' side")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    return parser.parse_args()


def prompts(count):
    with open(os.path.join(ROOT, "assets/starter/data/ember_en.jsonl"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    texts = [next(value for value in row.values() if isinstance(value, str)) if "messages" not in row
             else row["messages"][0]["content"] for row in rows]
    # Of different lengths: some have several questions in them.
    return [" ".join(texts[(at + more) % len(texts)] for more in range(1 + at % 5)) for at in range(count)]


def ours(given, texts, scratch, one):
    source, output = os.path.join(scratch, "rows.jsonl"), os.path.join(scratch, "out.jsonl")
    with open(source, "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"prompt": text, "completion": ""}) + "\n" for text in texts)
    if os.path.exists(output):
        os.remove(output)
    command = [given.emberwright, "predict", "--json", "--device", "cpu", "--dtype", "f32", "--model", given.model,
               "--format", "completion", "--input", source, "--output", output, "--max-new-tokens", str(given.tokens),
               "--ignore-eos", "--columns", "answer", "--batch-tokens", "1" if one else "0"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    report = [json.loads(line) for line in said.splitlines()][-1]["report"]
    with open(output, encoding="utf-8") as file:
        return report["tokens"] / report["seconds"], [json.loads(line)["answer"] for line in file]


def theirs(given, texts, side, one):
    model, tokenizer, torch = side
    answers, seconds = [], 0.0
    batch = 1 if one else given.batch
    # As a careful user would: rows of like length together.
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    for start in range(0, len(order), batch):
        rows = [texts[at] for at in order[start:start + batch]]
        began = time.perf_counter()
        inputs = tokenizer(rows, return_tensors="pt", padding=True)
        with torch.no_grad():
            made = model.generate(**inputs, do_sample=False, min_new_tokens=given.tokens, eos_token_id=None,
                                  max_new_tokens=given.tokens, pad_token_id=tokenizer.pad_token_id)
        texts_of = tokenizer.batch_decode(made[:, inputs["input_ids"].shape[1]:], skip_special_tokens=True)
        seconds += time.perf_counter() - began
        answers += texts_of
    placed = dict(zip(order, answers))
    return len(texts) * given.tokens / seconds, [placed[at] for at in range(len(texts))]


def main():
    given = parse()
    os.environ.setdefault("RAYON_NUM_THREADS", str(given.threads))
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(given.threads)
    tokenizer = AutoTokenizer.from_pretrained(given.model, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32).eval()
    side = (model, tokenizer, torch)
    texts = prompts(given.rows)
    figures, said = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(given.repeat):
            for one in (False, True):
                word = "one row at a time" if one else "side by side"
                for name, run in (("emberwright", lambda: ours(given, texts, scratch, one)),
                                  ("transformers", lambda: theirs(given, texts, side, one))):
                    speed, answers = run()
                    figures.setdefault(f"{name}, {word}", []).append(speed)
                    said[f"{name}, {word}"] = answers
    lengths = sorted(len(tokenizer(text)["input_ids"]) for text in texts)
    print(f"{given.rows} prompts of {lengths[0]} to {lengths[-1]} tokens, {given.tokens} new tokens each; load {os.getloadavg()[0]:.1f}")
    for name, speeds in figures.items():
        print(f"{name:<34} {statistics.median(speeds):8.0f} tokens/s  [{min(speeds):.0f} … {max(speeds):.0f}]")
    base = said["transformers, one row at a time"]
    for name, answers in said.items():
        same = sum(a.strip() == b.strip() for a, b in zip(answers, base))
        print(f"{name:<34} {same} of {given.rows} answers as transformers' one by one")


if __name__ == "__main__":
    main()
