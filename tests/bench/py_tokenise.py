"""Python's way: reads JSON lines {"text"} and encodes them in batches; prints {"seconds", "tokens"}."""

import json
import sys
import time

from tokenizers import Tokenizer


def main(folder, texts, batch=1000):
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    start, tokens = time.perf_counter(), 0
    with open(texts, encoding="utf-8") as handle:
        waiting = []
        for line in handle:
            waiting.append(json.loads(line)["text"])
            if len(waiting) == batch:
                tokens += sum(len(found.ids) for found in tokenizer.encode_batch_fast(waiting))
                waiting.clear()
        tokens += sum(len(found.ids) for found in tokenizer.encode_batch_fast(waiting))
    print(json.dumps({"seconds": time.perf_counter() - start, "tokens": tokens}))


if __name__ == "__main__":
    main(*sys.argv[1:])
