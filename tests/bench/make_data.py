"""One large file of conversations from the real data sets beside the project: JSON lines of messages, each row with
a number of its own so that none is a double.

    python tests/bench/make_data.py SHARED OUT.jsonl [BYTES]
"""

import json
import sys
from pathlib import Path


def rows(shared):
    data = Path(shared) / "realdata" / "data"
    for path in sorted((data / "llama-factory").glob("alpaca_*.json")):
        for row in json.loads(path.read_text(encoding="utf-8")):
            question = "\n".join(part for part in (row["instruction"], row.get("input", "")) if part)
            yield [("user", question), ("assistant", row["output"])]
    for line in (data / "dolly_hhrlhf_train_small.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if "prompt" in row and "response" in row:
            yield [("user", row["prompt"]), ("assistant", row["response"])]
    names = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
    for path in sorted((data / "belle").glob("*.json*")):
        text = path.read_text(encoding="utf-8")
        parsed = json.loads(text) if text.lstrip().startswith("[") else [json.loads(l) for l in text.splitlines() if l]
        for row in parsed:
            turns = row.get("conversations") or row.get("messages") or []
            turns = [(names.get(turn.get("from", turn.get("role"))), turn.get("value", turn.get("content"))) for turn in turns]
            if turns and all(role and isinstance(content, str) for role, content in turns):
                yield turns


def main(shared, out, size=1_000_000_000):
    source = list(rows(shared))
    written = number = 0
    with open(out, "w", encoding="utf-8") as handle:
        while written < int(size):
            turns = list(source[number % len(source)])
            turns[0] = (turns[0][0], f"{number}. {turns[0][1]}")
            number += 1
            row = {"messages": [{"role": role, "content": content} for role, content in turns]}
            line = json.dumps(row, ensure_ascii=False) + "\n"
            written += len(line.encode())
            handle.write(line)
    print(f"{number} rows from {len(source)} real ones, {written} bytes")


main(*sys.argv[1:])
