"""A binary dataset of CPM-Bee, written as `cpm_live/dataset/distributed_dataset.py` writes it (DatasetWriter, DatasetBuilder), with
blocks of 512 bytes instead of 16 MiB, so that there are several; and the same rows as JSON lines.

    python tests/reference/make_bee_data.py tests/fixtures/bee
"""

import json
import pickle
import struct
import sys
from pathlib import Path

BLOCK = 512


def rows():
    shared = "今天"
    made = [{"input": f"第{n}题：" + "云" * (n * 7 % 40), "options": {"<option_0>": "是", "<option_1>": "否"}, "<ans>": "是"} for n in range(12)]
    made.append({"input": shared, "prompt": shared, "<ans>": {"人名": shared, "地名": ["北京", "上海"], "score": 1.5, "n": -3, "big": 1 << 40, "ok": True, "no": None}})
    made.append({"input": "x" * 420, "<ans>": ""})
    return made


def write(folder, name, rows, protocol, mask=False):
    offset, blocks, nbytes = 0, 1, 0
    with open(folder / name, "wb") as file:
        for row in rows:
            data = pickle.dumps(row, protocol=protocol)
            data = struct.pack("I", len(data)) + data
            if offset + 2 + len(data) > BLOCK:
                file.write(b"\x00" * (BLOCK - offset))
                offset, blocks = 0, blocks + 1
            assert offset + 2 + len(data) <= BLOCK
            nbytes += len(data)
            offset += 1 + len(data)
            file.write(b"\x1f" + data)
        file.write(b"\x00" * (BLOCK - offset))
    meta = folder / "meta.bin"
    listed = [json.loads(line) for line in meta.read_text().splitlines()] if meta.exists() else []
    begin = listed[-1]["block_end"] if listed else 0
    entry = {"file_name": name, "block_begin": begin, "block_end": begin + blocks, "nbytes": nbytes, "nlines": len(rows), "mask": mask, "block_size": BLOCK}
    with open(meta, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def main(out):
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.bin").unlink(missing_ok=True)
    made = rows()
    write(folder, "part_2", made[:5], 2)
    write(folder, "part_masked", made[:1], 4, mask=True)
    write(folder, "part_1", made[5:], 4)
    write(folder, "part_5", made[:2], 5)
    lines = [json.dumps(row, ensure_ascii=False) for row in made + made[:2]]
    (folder.parent / "bee.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


main(sys.argv[1])
