"""Small sets of questions of our own in the published layouts, and what lm-evaluation-harness makes of them on a golden
model: tests/fixtures/reference/suites, read by tests/cli/eval.rs.

    HF_HUB_OFFLINE=1 venv/bin/python tests/reference/make_suites.py     # with the venv of lm_eval_compare.py
"""

import csv
import json
import tempfile
from pathlib import Path

from lm_eval_compare import HFLM, exams, harness, likelihoods, samples_of, task, truthful_rows, write_jsonl

ROOT = Path(__file__).parents[2]
OUT = ROOT / "tests/fixtures/reference/suites"
MODEL = ROOT / "tests/fixtures/golden/llama-gqa-llama3/model"
SHOTS = 2

ENGLISH = [
    (" Which of these shines by itself? ", "A stone", "The sun", "A lake, frozen", "A door", "B"),
    ("What is 2 + 3?", "5", "6", "23", "1", "A"),
    ('Who said "light"?', "nobody", "everybody", "the river", "the\nwood", "D"),
]
CHINESE = [
    ("下列哪一个会自己发光？", "石头", "太阳", "湖", "门", "B"),
    (" 二加三等于____。", "五", "六", "二十三", "一", "A"),
    ("“光”字有几画？", "四", "五", "六", "七", "C"),
]
TRUTHS = [
    ("Misconceptions", "Do stones grow?", "Stones do not grow", "Stones do not grow; No, they do not", "Yes; They grow in rain"),
    ("Weather", "Is rain dry?", "Rain is wet.", "Rain is wet; No", "Rain is dry; Only at night."),
]
PAIRS = [("The river runs.", "The river run."), ("She has a cat.", "She have a cat."), ("They are here.", "They is here.")]
TEXTS = ["ember", "  The river ran over the stones\n\nand the light was old.  ", "木头与石头。" * 40, "cloud iron wood " * 60]


def table(path, rows, head=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(([head] if head else []) + rows)


def write_questions():
    for split in ("test", "dev"):
        rows = ENGLISH if split == "test" else ENGLISH[1:]
        table(OUT / f"mmlu/{split}/college_physics_{split}.csv", rows)
        table(OUT / f"mmlu/{split}/global_facts_{split}.csv", rows[::-1])
    numbered = lambda rows: [(index, *row) for index, row in enumerate(rows)]
    head = ["id", "question", "A", "B", "C", "D", "answer"]
    table(OUT / "ceval/val/logic_val.csv", numbered(CHINESE), head)
    table(OUT / "ceval/dev/logic_dev.csv", [(*row, "因为") for row in numbered(CHINESE[1:])], [*head, "explanation"])
    head = ["", "Question", "A", "B", "C", "D", "Answer"]
    table(OUT / "cmmlu/test/agronomy.csv", numbered(CHINESE), head)
    table(OUT / "cmmlu/dev/agronomy.csv", numbered(CHINESE[1:]), head)
    head = ["Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers"]
    table(OUT / "TruthfulQA.csv", TRUTHS, head)
    (OUT / "blimp").mkdir(exist_ok=True)
    # A paradigm of the harness's own, with sentences of ours.
    write_jsonl(OUT / "blimp/causative.jsonl", [{"sentence_good": a, "sentence_bad": b} for a, b in PAIRS])
    write_jsonl(OUT / "texts.jsonl", [{"text": text} for text in TEXTS])


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    write_questions()
    model = HFLM(pretrained=str(MODEL), device="cpu", dtype="float32", batch_size=1)
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for suite in ("mmlu", "ceval", "cmmlu"):
            for shots in (0, SHOTS):
                _, tasks = exams(OUT, work, suite)
                found = harness(model, tasks, shots, None)
                told[f"{suite} {shots}"] = {
                    f"{subject}/{sample['doc_id']}": likelihoods(sample)
                    for subject, config in tasks
                    for sample in samples_of(found, config["task"])
                }
        path = write_jsonl(work / "truthful.jsonl", truthful_rows(OUT / "TruthfulQA.csv"))
        for name in ("mc1", "mc2"):
            found = harness(model, [("", task(f"truthfulqa_{name}", {"validation": path}))], 0, None)
            samples = samples_of(found, f"truthfulqa_{name}")
            told[f"truthfulqa {name}"] = {
                f"truthfulqa/{sample['doc_id'] + 1}": {
                    "options": dict(zip(sample["doc"][f"{name}_targets"]["choices"], likelihoods(sample))),
                    "value": float(sample["acc"]),
                }
                for sample in samples
            }
        found = harness(model, [("", task("blimp_causative", {"train": str(OUT / "blimp/causative.jsonl")}))], 0, None)
        told["blimp"] = {
            f"causative/{sample['doc_id']}": likelihoods(sample) for sample in samples_of(found, "blimp_causative")
        }
        rows = [{"page": text} for text in TEXTS]
        rolling = task("wikitext", {"test": write_jsonl(work / "texts.jsonl", rows)}, doc_to_target="{{page}}", training_split=None, validation_split=None)
        found = harness(model, [("", rolling)], 0, None)
        told["perplexity"] = {
            f"perplexity/{sample['doc_id'] + 1}": [float(sample["filtered_resps"][0])]
            for sample in samples_of(found, "wikitext")
        }
        figures = found["results"]["wikitext"]
        told["figures"] = {
            name: figures[f"{name},none"] for name in ("word_perplexity", "byte_perplexity", "bits_per_byte")
        }
    (OUT / "expected.json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
