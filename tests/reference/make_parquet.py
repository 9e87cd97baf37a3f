"""Parquet files of many writers' habits, and their rows as the Python package `datasets` gives them.

    python tests/reference/make_parquet.py            (pyarrow 26.0.1, datasets 5.2.0)

Each case is `tests/fixtures/parquet/NAME.parquet` with `NAME.jsonl` beside it. What JSON has no word for is written
as our reader does: dates and times in ISO 8601, decimals as text, bytes that are no text in base64, what is not
finite as null, maps as objects.
"""

import base64
import datetime as dt
import decimal
import json
import math
import random
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import load_dataset

OUT = Path(__file__).resolve().parents[1] / "fixtures" / "parquet"
ROWS = 23
rng = random.Random(7)


def some(value):
    """Every fifth value is missing."""
    return None if rng.random() < 0.2 else value


def messages(row):
    turns = [{"role": "user", "content": f"Frage {row}: 你好"}, {"role": "assistant", "content": f'"{row}"\n✓'}]
    return turns * (row % 3)


def chat():
    rows = [{"prompt_id": f"{row:04x}", "messages": messages(row), "score": row / 8} for row in range(ROWS)]
    return pa.Table.from_pylist(rows)


def nested():
    inner = pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])
    schema = pa.schema([
        ("lists", pa.list_(pa.list_(pa.int64()))),
        ("structs", pa.list_(inner)),
        ("struct", pa.struct([("x", pa.struct([("y", pa.list_(inner))])), ("z", pa.bool_())])),
        ("large", pa.large_list(pa.float32())),
        ("fixed", pa.list_(pa.int16(), 2)),
    ])
    def deep(row):
        return some({"a": some(row), "b": some([some(f"s{row}")] * (row % 4))})
    rows = [{
        "lists": some([some([some(row)] * (item % 3)) for item in range(row % 4)]),
        "structs": some([deep(row) for _ in range(row % 3)]),
        "struct": some({"x": some({"y": some([deep(row)] * (row % 2))}), "z": some(row % 2 == 0)}),
        "large": some([0.5 * row, 0.1]),
        "fixed": [row, -row],
    } for row in range(ROWS)]
    return pa.Table.from_pylist(rows, schema)


def kinds():
    moment = dt.datetime(2024, 2, 29, 23, 59, 58, 123456)
    columns = {
        "bool": (pa.bool_(), lambda row: row % 2 == 0),
        "i8": (pa.int8(), lambda row: -row), "u8": (pa.uint8(), lambda row: 250 + row % 5),
        "i64": (pa.int64(), lambda row: -(2**62) + row), "u64": (pa.uint64(), lambda row: 2**64 - 1 - row),
        "u32": (pa.uint32(), lambda row: 2**32 - 1 - row),
        "f32": (pa.float32(), lambda row: row / 10), "f64": (pa.float64(), lambda row: row / 10 or math.nan),
        "f16": (pa.float16(), lambda row: row / 16),
        "decimal": (pa.decimal128(9, 3), lambda row: decimal.Decimal(row - 11) / 8),
        "wide": (pa.decimal128(30, 10), lambda row: decimal.Decimal(10) ** 15 - row),
        "date": (pa.date32(), lambda row: dt.date(1969, 12, 25) + dt.timedelta(days=row)),
        "time": (pa.time64("us"), lambda row: dt.time(row % 24, 1, 2, 500000)),
        "ms": (pa.timestamp("ms"), lambda row: moment.replace(microsecond=123000) + dt.timedelta(hours=row)),
        "us": (pa.timestamp("us", tz="UTC"), lambda row: moment.replace(tzinfo=dt.UTC) - dt.timedelta(days=row * 1000)),
        "bytes": (pa.binary(), lambda row: bytes([row, 255, 254])), "ascii": (pa.binary(), lambda row: b"plain"),
        "fixed": (pa.binary(4), lambda row: bytes([255, row, 0, 1])),
        "large": (pa.large_string(), lambda row: "é" * row),
        "null": (pa.null(), lambda row: None),
    }
    schema = pa.schema([(name, kind) for name, (kind, _) in columns.items()])
    rows = [{name: some(make(row)) for name, (_, make) in columns.items()} for row in range(ROWS)]
    return pa.Table.from_pylist(rows, schema)


def maps():
    schema = pa.schema([("by_name", pa.map_(pa.string(), pa.list_(pa.int32()))), ("id", pa.int32())])
    rows = [{"by_name": [(f"k{item}", some([item] * item)) for item in range(row % 4)], "id": row} for row in range(ROWS)]
    return pa.Table.from_pylist(rows, schema)


def repeated():
    rows = [{"label": ["a", "b"][row % 2], "mask": [1] * (row % 6), "text": "the same"} for row in range(ROWS * 8)]
    return pa.Table.from_pylist(rows)


CASES = {
    "chat": (chat, {"row_group_size": 5}),
    "chat-v2": (chat, {"data_page_version": "2.0", "compression": "zstd", "write_page_index": True}),
    "chat-small-pages": (chat, {"data_page_size": 64, "write_batch_size": 2, "use_dictionary": False}),
    "nested": (nested, {"row_group_size": 7, "compression": "gzip"}),
    "nested-old-lists": (nested, {"use_compliant_nested_type": False, "compression": "brotli"}),
    "kinds": (kinds, {"compression": "lz4"}),
    "kinds-old": (kinds, {"version": "1.0", "use_deprecated_int96_timestamps": True, "compression": "none"}),
    "delta": (chat, {"use_dictionary": False, "data_page_version": "2.0", "column_encoding": {
        "prompt_id": "DELTA_BYTE_ARRAY", "score": "BYTE_STREAM_SPLIT",
        "messages.list.element.role": "DELTA_LENGTH_BYTE_ARRAY", "messages.list.element.content": "PLAIN"}}),
    "maps": (maps, {}),
    "repeated": (repeated, {"row_group_size": 50}),
}


def plain(value):
    match value:
        case float() if not math.isfinite(value):
            return None
        case decimal.Decimal():
            return str(value)
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return base64.b64encode(value).decode()
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list() if value and all(isinstance(item, tuple) for item in value):
            return {key: plain(item) for key, item in value}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


def rows_of(path, cache):
    """As `datasets` gives them, and as pyarrow does where that knows no such type."""
    try:
        return list(load_dataset("parquet", data_files=str(path), split="train", cache_dir=cache)), "datasets"
    except Exception as err:  # noqa: BLE001
        return pq.read_table(path).to_pylist(), f"pyarrow ({type(err).__name__})"


def main():
    OUT.mkdir(exist_ok=True)
    for name, (make, options) in CASES.items():
        rng.seed(name)
        table = make()
        if name == "kinds-old":
            # What its time has no word for, or a different one.
            table = table.drop_columns(["f16", "time", "us"])
        path = OUT / f"{name}.parquet"
        pq.write_table(table, path, **options)
        with tempfile.TemporaryDirectory() as cache:
            rows, by = rows_of(path, cache)
        if name == "maps":
            rows = [{**row, "by_name": dict(row["by_name"])} for row in rows]
        lines = [json.dumps(plain(row), ensure_ascii=False, separators=(",", ":")) for row in rows]
        path.with_suffix(".jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{name}: {len(rows)} rows by {by}, {path.stat().st_size} bytes")


main()
