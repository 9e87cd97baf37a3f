"""What the Python packages make of pairs of texts: BLEU, ROUGE and words, for tests/data/metrics.rs.

    python -m venv venv && venv/bin/pip install jieba==0.42.1 rouge_chinese==1.0.3 nltk==3.10.4 sacrebleu==2.6.0 rouge-score==0.1.2
    venv/bin/python tests/reference/make_metrics.py tests/fixtures/reference/metrics [realdata]

`own.json` has texts of our own with their figures. With the folder of real files, `real.json` gets figures for pairs
made of rows of those files; it names file and rows and holds none of their texts.
"""

import json
import sys
from pathlib import Path

import jieba
import sacrebleu
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_chinese import Rouge
from rouge_score import rouge_scorer

OWN = [
    ("今天天气很好", "今天天气不错"),
    ("这件外套是白色的，版型宽松，穿起来很舒服。", "白色外套，宽松的版型，舒适又百搭。"),
    ("“你好！”他说。你在哪里？我在这里……好的。", "他说：“你好！”你在哪里？我在这里。"),
    ("价格是 3.5 元，折扣 50%。", "价格：3.5元；打五折。"),
    ("GPT-2 是 OpenAI 的模型，有 1.5B 参数。", "GPT-2 模型由 OpenAI 发布，参数量为 15 亿。"),
    ("......abc......。？？！”真的", "……真的吗？？"),
    ("第一行\n第二行\n\n第三行", "第一行\r\n第二行\t第三行"),
    ("好", "好"),
    ("好", "坏"),
    ("a", "好"),
    ("the cat sat on the mat", "The cat, sat on a mat."),
    ("It's 3.5, \"not\" 1-2 &amp; so <b>on</b>.", "It is 3,500 - not 1.2 & so on!"),
    ("def f(x):\n    return x**2 - 1", "def f(y):\n    return y ** 2 - 1"),
    ("state-of-the-art e-mail@example.com 10,000.5%", "state of the art email at example.com 10000.5 %"),
    ("重复重复重复重复", "重复"),
    ("長い文章です。日本語も混ざります。", "短い文です。日本語。"),
    ("ａｂｃ１２３！", "abc123!"),
    ("mixed 中文 and English 混合 text，with punctuation。", "中文 mixed with English，混合文本。"),
    ("0.5 .5 5. 5,000 a.b a,b -1 --", "0.5 .5 5. 5000 a.b a b -1 -"),
    ("我们在海边散步，看见了很多贝壳和小螃蟹，孩子们非常高兴。", "孩子们在海边捡贝壳，看见小螃蟹，高兴极了。"),
]

FILES = [
    ("eval/advertisegen/data_sample.jsonl", "response", 98),
    ("data/belle/eval_set.json", "std_answer", 150),
    ("data/llama-factory/alpaca_zh_demo.json", "output", 150),
    ("data/llama-factory/alpaca_en_demo.json", "output", 120),
    ("eval/gsm8k/test.jsonl", "answer", 60),
]


def chatglm(answer, reference):
    """The body of `compute_metrics` in ChatGLM2-6B's ptuning/main.py."""
    hypothesis, label = list(jieba.cut(answer)), list(jieba.cut(reference))
    scores = Rouge().get_scores(" ".join(hypothesis), " ".join(label))[0]
    bleu = sentence_bleu([list(reference)], list(answer), smoothing_function=SmoothingFunction().method3)
    return [round(scores[name]["f"] * 100, 4) for name in ("rouge-1", "rouge-2", "rouge-l")] + [round(bleu * 100, 4)]


def latin(answer, reference):
    scores = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"]).score(reference, answer)
    return [scores[name].fmeasure * 100 for name in ("rouge1", "rouge2", "rougeL")]


def figures(pairs):
    corpus = {
        name: sacrebleu.corpus_bleu([a for a, _ in pairs], [[r for _, r in pairs]], tokenize=name).score
        for name in ("13a", "zh")
    }
    return {
        "corpus": corpus,
        "pairs": [{"chatglm": chatglm(a, r), "latin": latin(a, r)} for a, r in pairs],
    }


def rows(path, field):
    text = path.read_text(encoding="utf-8")
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = [json.loads(line) for line in text.splitlines()]
    return [row[field] for row in found]


def mixed(texts, index):
    """An answer that shares something with its reference: two thirds of it, and a third of the next row."""
    reference, other = texts[index], texts[index + 1]
    return reference[: len(reference) * 2 // 3] + other[: len(other) // 3]


def main():
    out = Path(sys.argv[1])
    own = figures(OWN)
    for (answer, reference), pair in zip(OWN, own["pairs"]):
        pair.update(answer=answer, reference=reference, words=list(jieba.cut(answer)))
    (out / "own.json").write_text(json.dumps(own, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if len(sys.argv) < 3:
        return
    real = []
    for name, field, count in FILES:
        texts = rows(Path(sys.argv[2]) / name, field)
        kept = [index for index in range(count) if texts[index].strip() and mixed(texts, index).strip()]
        made = figures([(mixed(texts, index), texts[index]) for index in kept])
        real.append({"file": name, "field": field, "rows": kept, **made})
    (out / "real.json").write_text(json.dumps(real, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
