"""IFD and k-center greedy as torch and numpy have them: what `tests/engine/analysis` is held against.

    python tests/reference/make_ifd.py MODEL OUT.json LENGTH   # writes rows.jsonl beside OUT.json, too

MODEL is a Hugging Face folder: `assets/starter/model` for the fixture in the project (LENGTH 96), or `realdata/models/stories260K-hf` (320).
LENGTH is what texts are cut to, in tokens.

Losses are taken as Cherry LLM's code takes them (`cherry_seletion/data_analysis.py` and `data_by_IFD.py`, commit ef867ee;
the formula and its conditions are stated in `src/engine/analysis/ifd.rs`), one text at a time, in f32. Embeddings are the mean over a
text's tokens of `hidden_states[-1]`. k-center is the naive form: all distances again at every choice, in f64.
"""

import json
import os
import sys

import numpy as np
import torch
import transformers

LONGEST = int(sys.argv[3])
TEMPLATE = open(os.path.join(os.path.dirname(__file__), "../../presets/templates/alpaca.jinja"), encoding="utf-8").read()
ALPACA = {
    True: "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:",
    False: "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:",
}


def row(instruction, output, text=""):
    return {"instruction": instruction, "input": text, "output": output}


def rows():
    """Of every kind: with and without input, Chinese, long, cut, empty, answers that repeat the question."""
    who, what, where = ["Lily", "Tom", "the cat", "小明", "妈妈"], ["ball", "red box", "花", "cake"], ["park", "garden", "家里"]
    made = []
    for n in range(30):
        a, b, c = who[n % 5], what[n % 4], where[n % 3]
        made.append(row(f"Tell a story about {a} and the {b}.", f"One day, {a} went to the {c} with a {b}. " * (1 + n % 3)))
        if n % 3 == 0:
            made.append(row("Who is it about?", f"It is about {a}.", f"{a} had a {b} in the {c}."))
    made.append(row("Say nothing.", ""))
    made.append(row("word " * 200, "Too long a question."))
    made.append(row("Go on.", "and on " * 200))
    made.append(row("Say it again: once upon a time", "once upon a time"))
    made.append(row("One.", " x"))
    return made


def part(model, tokenizer, front, answer, longest):
    """Losses of the answer's tokens behind `front`, the text cut to `longest` tokens."""
    text = front + answer
    ids = tokenizer.encode(text, truncation=True, max_length=longest)
    start = len(tokenizer.encode(text[: text.rfind(answer)] if answer else text))
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    losses = [
        torch.nn.functional.nll_loss(torch.log_softmax(logits[at - 1], -1)[None], torch.tensor([ids[at]])).item()
        for at in range(1, len(ids))
    ]
    return len(ids) - start, losses[start - 1 : len(ids) - 1]


def ifd(model, tokenizer, one, prompt):
    """Conditioned and direct mean loss; None where the row has no score."""
    instruction, text, answer = one["instruction"], one["input"], one["output"]
    if prompt == "alpaca":
        instruction = front = ALPACA[text != ""].format(instruction=instruction, input=text)
    else:
        front = instruction + (f"\nInput:{text}" if text else "") + "\n\n### Response:"
    asked = len(tokenizer.encode(instruction, truncation=True, max_length=LONGEST))
    if LONGEST - asked <= 0:
        return None
    alone, direct = part(model, tokenizer, "### Response:", answer, LONGEST - asked + 4)
    behind, conditioned = part(model, tokenizer, front, answer, LONGEST)
    if alone <= 0 or behind <= 0 or asked + alone > LONGEST:
        return None
    return float(np.mean(conditioned)), float(np.mean(direct))


def templated(model, tokenizer, one):
    """The same behind the chat template of the run, as training labels it: the answer and its end token; held against the answer behind
    an empty question. None where the row has no answer or is too long."""
    question = one["instruction"] + ("\n" + one["input"] if one["input"] else "")
    means = []
    for asked in (question, ""):
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": one["output"]}]
        text = tokenizer.apply_chat_template(turns, chat_template=TEMPLATE, tokenize=False)
        front = tokenizer.apply_chat_template(turns[:1], chat_template=TEMPLATE, tokenize=False, add_generation_prompt=True)
        assert text.startswith(front + one["output"] + tokenizer.eos_token)
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, end = encoded["input_ids"], len(front + one["output"] + tokenizer.eos_token)
        if one["output"] == "" or len(ids) > LONGEST:
            return None
        learned = [at for at, (begin, _) in enumerate(encoded["offset_mapping"]) if len(front) <= begin < end]
        logits = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
        means.append(float(np.mean([-logits[at - 1, ids[at]].item() for at in learned])))
    return means


def embedding(model, tokenizer, one):
    text = one["instruction"] + ("\n" + one["input"] if one["input"] else "")
    ids = tokenizer.encode(text, truncation=True, max_length=LONGEST)
    with torch.no_grad():
        return model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0].mean(0).double().numpy()


def k_center(points, count):
    chosen = [int(np.argmin(((points - points.mean(0)) ** 2).sum(1)))]
    while len(chosen) < count:
        far = np.min([((points - points[one]) ** 2).sum(1) for one in chosen], axis=0)
        far[chosen] = -1
        chosen.append(int(np.argmax(far)))
    return chosen


def main(folder, out):
    torch.set_grad_enabled(False)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    made = rows()
    with open(os.path.join(os.path.dirname(out), "rows.jsonl"), "w") as file:
        file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in made)
    points = np.stack([embedding(model, tokenizer, one) for one in made])
    told = {
        "max_length": LONGEST,
        **{prompt: [ifd(model, tokenizer, one, prompt) for one in made] for prompt in ("alpaca", "wiz")},
        "template": [templated(model, tokenizer, one) for one in made],
        "embedding": [[round(float(x), 7) for x in point[:4]] for point in points],
        "k_center": [one + 1 for one in k_center(points, 24)],
    }
    with open(out, "w") as file:
        json.dump(told, file)
        file.write("\n")
    for prompt in ("alpaca", "wiz", "template"):
        found = [pair for pair in told[prompt] if pair]
        print(prompt, len(found), "of", len(made), "IFD", np.mean([a / b for a, b in found]), "above 1:", sum(a > b for a, b in found))


main(*sys.argv[1:3])
