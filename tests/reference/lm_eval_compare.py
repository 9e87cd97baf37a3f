"""Our evaluations beside lm-evaluation-harness's, item by item, on the same local files and the same model.

    python -m venv venv && venv/bin/pip install lm_eval==0.4.13 torch transformers
    HF_HUB_OFFLINE=1 venv/bin/python tests/reference/lm_eval_compare.py PROGRAM MODEL REALDATA [--limit 20] [--shots 0 5]

Tasks are the harness's own, with their prompts; only the place of their data is changed. For every item the
log-likelihoods of all options must be within 1e-3 (nats) and the choice the same. Prints a table; exit code 1 where
something differs.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
import lm_eval  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

CLOSE = 1e-3


def csv_rows(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def mmlu_rows(path):
    return [
        {"question": row[0], "choices": row[1:5], "answer": "ABCD".index(row[5].strip())} for row in csv_rows(path)
    ]


def headed_rows(path):
    head, *rows = csv_rows(path)
    # Examples may have a column more than questions, which the harness's reader refuses.
    return [{name or "id": value for name, value in zip(head, row) if name != "explanation"} for row in rows]


def closed(answer):
    return answer if answer.endswith(".") else answer + "."


def truthful_rows(path):
    rows = []
    for row in headed_rows(path):
        split = lambda key: [closed(a.strip()) for a in row[key].split(";") if a.strip()]
        best, right, wrong = closed(row["Best Answer"].strip()), split("Correct Answers"), split("Incorrect Answers")
        rows.append(
            {
                "question": row["Question"].strip(),
                "mc1_targets": {"choices": [best] + wrong, "labels": [1] + [0] * len(wrong)},
                "mc2_targets": {"choices": right + wrong, "labels": [1] * len(right) + [0] * len(wrong)},
            }
        )
    return rows


MANAGER = TaskManager()


def task(name, splits, **changes):
    """A task of the harness over local files."""
    config = MANAGER._factory._load_full_config(MANAGER._index[name], None)
    kept = {key: value for key, value in config.items() if key not in ("tag", "group", "task_list")}
    kwargs = {"data_files": splits}
    return {**kept, "dataset_path": "json", "dataset_name": None, "dataset_kwargs": kwargs, **changes}


def exams(data, work, suite):
    """The harness's tasks for the subjects that are here."""
    split, name, read = {
        "mmlu": ("test", "mmlu_{}", mmlu_rows),
        "ceval": ("val", "ceval-valid_{}", headed_rows),
        "cmmlu": ("test", "cmmlu_{}", headed_rows),
    }[suite]
    folder = next(place for place in (data / suite, data / "noncommercial" / suite) if place.is_dir())
    tasks = []
    for path in sorted((folder / split).glob("*.csv")):
        subject = path.stem.removesuffix(f"_{split}")
        dev = folder / "dev" / path.name.replace(f"_{split}", "_dev")
        splits = {
            split: write_jsonl(work / f"{suite}_{subject}.jsonl", read(path)),
            "dev": write_jsonl(work / f"{suite}_{subject}_dev.jsonl", read(dev)),
        }
        tasks.append((subject, task(name.format(subject), splits)))
    return folder, tasks


def harness(model, tasks, shots, limit, **more):
    found = lm_eval.simple_evaluate(
        model=model, tasks=[config for _, config in tasks], num_fewshot=shots, limit=limit, log_samples=True,
        bootstrap_iters=0, **more,
    )
    return found


def ours(args, suite, data, out, limit, *flags):
    command = [args.program, "eval", "--suite", suite, "--data", data, "--model", args.model, "--out", out]
    command += ["--limit", limit, "--device", "cpu", "--json", *flags]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command}\n{done.stderr}")
    lines = (Path(out) / "items.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    items = [json.loads(line) for line in lines]
    report = json.loads((Path(out) / "report.json").read_text(encoding="utf-8"))
    return {item["item"]: item for item in items}, report


class Table:
    def __init__(self):
        self.failed = False
        print(f"{'suite':<22} {'items':>6} {'options':>8} {'max |diff|':>11} {'same choice':>12}  figures (theirs, ours)")

    def line(self, name, pairs, figures):
        """Pairs of (their log-likelihoods, ours, same choice)."""
        apart = [abs(a - b) for theirs, mine, _ in pairs for a, b in zip(theirs, mine, strict=True)]
        same = sum(choice for *_, choice in pairs)
        most = max(apart, default=float("nan"))
        shown = ", ".join(f"{key} {a:.6f} {b:.6f}" for key, (a, b) in figures.items())
        print(f"{name:<22} {len(pairs):>6} {len(apart):>8} {most:>11.2e} {same:>7}/{len(pairs):<4}  {shown}", flush=True)
        good = apart and most < CLOSE and same == len(pairs)
        self.failed |= not good or any(abs(a - b) > 1e-6 * max(1, abs(a)) for a, b in figures.values())


def samples_of(found, name):
    return found["samples"][name]


def likelihoods(sample):
    return [float(response[0]) for response in sample["filtered_resps"]]


def greatest(values):
    return max(range(len(values)), key=lambda index: (values[index], -index))


def compare_choices(found, items, tasks, item_id):
    pairs = []
    for subject, config in tasks:
        for sample in samples_of(found, config["task"]):
            mine, theirs = items[item_id(subject, sample["doc_id"])], likelihoods(sample)
            pairs.append((theirs, mine["logprobs"], greatest(theirs) == mine["chosen"]))
    return pairs


def total(report, name):
    figures = {metric["name"]: metric["base"]["value"] for metric in report["rows"][0]["metrics"]}
    return figures[name]


def mean(found, tasks, key):
    values = [sample[key] for _, config in tasks for sample in samples_of(found, config["task"])]
    return sum(values) / len(values)


def run(args):
    data, table = Path(args.data) / "eval", Table()
    model = HFLM(pretrained=args.model, device="cpu", dtype="float32", batch_size=8)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for suite in ("mmlu", "ceval", "cmmlu"):
            for shots in args.shots:
                path, tasks = exams(data, work, suite)
                found = harness(model, tasks, shots, args.limit)
                items, report = ours(args, suite, path, work / f"{suite}{shots}", args.limit, "--shots", shots)
                pairs = compare_choices(found, items, tasks, lambda subject, doc: f"{subject}/{doc}")
                figures = {"acc": (mean(found, tasks, "acc"), total(report, "acc"))}
                table.line(f"{suite}, {shots} shots", pairs, figures)
        truthful(args, table, data, work, model)
        blimp(args, table, data, work, model)
        rolling(args, table, work, model)
        written(args, table, data, work, model)
    return table.failed


def truthful(args, table, data, work, model):
    limit = args.limit * 2
    path = write_jsonl(work / "truthful.jsonl", truthful_rows(data / "TruthfulQA.csv"))
    items, report = ours(args, "truthfulqa", data / "TruthfulQA.csv", work / "truthful", limit)
    for name in ("mc1", "mc2"):
        tasks = [("truthfulqa", task(f"truthfulqa_{name}", {"validation": path}))]
        found = harness(model, tasks, 0, limit)
        pairs = []
        for sample in samples_of(found, f"truthfulqa_{name}"):
            mine, theirs = items[f"truthfulqa/{sample['doc_id'] + 1}"], likelihoods(sample)
            known = dict(zip(mine["options"], mine["logprobs"]))
            options = [" " + choice for choice in sample["doc"][f"{name}_targets"]["choices"]]
            same = name == "mc2" or greatest(theirs) == mine["chosen"]
            pairs.append((theirs, [known[option] for option in options], same))
        table.line(f"truthfulqa {name}", pairs, {name: (mean(found, tasks, "acc"), total(report, name))})


def blimp(args, table, data, work, model):
    limit = args.limit * 5
    tasks = [
        (path.stem, task(f"blimp_{path.stem}", {"train": str(path)})) for path in sorted((data / "blimp").glob("*.jsonl"))
    ]
    found = harness(model, tasks, 0, limit)
    items, report = ours(args, "blimp", data / "blimp", work / "blimp", limit)
    pairs = compare_choices(found, items, tasks, lambda subject, doc: f"{subject}/{doc}")
    table.line("blimp", pairs, {"acc": (mean(found, tasks, "acc"), total(report, "acc"))})


def rolling(args, table, work, model):
    text = (Path(args.data) / "data/tiny_shakespeare.txt").read_text(encoding="utf-8")
    sizes = [40, 700, 1500, 3000, 6000]
    documents = [text[at * 7000 : at * 7000 + size] for at, size in enumerate(sizes)]
    path = write_jsonl(work / "texts.jsonl", [{"page": document, "text": document} for document in documents])
    tasks = [("perplexity", task("wikitext", {"test": path}, doc_to_target="{{page}}", training_split=None, validation_split=None))]
    found = harness(model, tasks, 0, None)
    items, report = ours(args, "perplexity", path, work / "perplexity", 0)
    pairs = []
    for sample in samples_of(found, "wikitext"):
        mine = items[f"perplexity/{sample['doc_id'] + 1}"]
        pairs.append(([float(sample["filtered_resps"][0])], mine["logprobs"], True))
    results = found["results"]["wikitext"]
    names = ("word_perplexity", "byte_perplexity", "bits_per_byte")
    # A log-likelihood of thousands of nats: 1e-3 of it each item, and the figures follow.
    table.line("perplexity, rolling", pairs, {name: (results[f"{name},none"], total(report, name)) for name in names})


def written(args, table, data, work, model):
    path = str(data / "gsm8k/test.jsonl")
    tasks = [("gsm8k", task("gsm8k", {"test": path, "train": path}))]
    found = harness(model, tasks, 0, args.limit, gen_kwargs={"max_gen_toks": 48})
    items, report = ours(args, "gsm8k", data / "gsm8k", work / "gsm8k", args.limit, "--set", "max_new_tokens=48")
    pairs = []
    for sample in samples_of(found, "gsm8k"):
        if sample["filter"] == "strict-match":
            same = sample["resps"][0][0] == items[f"gsm8k/{sample['doc_id'] + 1}"]["text"]
            pairs.append(([0.0], [0.0], same))
    results = found["results"]["gsm8k"]
    figures = {name: (results[f"exact_match,{name}"], total(report, name)) for name in ("strict-match", "flexible-extract")}
    table.line("gsm8k, same text", pairs, figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--limit", type=int, default=20, help="items of each subject")
    parser.add_argument("--shots", type=int, nargs="+", default=[0, 5])
    args = parser.parse_args()
    sys.exit(1 if run(args) else 0)


if __name__ == "__main__":
    main()
