"""The other figures: build, start-up, tokenisation, export.

    python tests/bench/other.py start --emberwright target/release/emberwright
    python tests/bench/other.py tokenise --tokenizer FOLDER --text FILE
    python tests/bench/other.py export
    python tests/bench/other.py build          # from a clean clone; takes long, needs a quiet machine

`tokenise` and `export` run Python's way beside ours, on the same files (`--python` has torch, transformers, peft).
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import arms
from measure import mib, run_measured, spread, table

START_RUNS = 20


def timed(command, **more):
    """(seconds, standard output) of a command that must succeed."""
    start = time.perf_counter()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **more)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return seconds, done.stdout


def small_work(given, **more):
    """A made-up model of which only the folder is used."""
    values = {"inputs": os.path.join(given.scratch, "other-inputs"), "scratch": given.scratch, "batch": 1,
              "length": 64, "steps": 1, "method": "lora", "rank": 8, "alpha": 16, "lr": 1e-4, "dtype": "f32",
              "device": "cpu", "threads": 2, "python": given.python, "emberwright": given.emberwright}
    return arms.Work(**{**values, **more})


def start(given):
    """From exec to exit, with everything in the page cache."""
    work = small_work(given)
    arms.make_inputs(work, "llama-tiny")
    rows = []
    for name, command in (("--help", ["--help"]), ("inspect, 1 M parameters", ["inspect", work.path("model"), "--json"])):
        seconds = [timed([given.emberwright, *command])[0] for _ in range(START_RUNS + 1)][1:]
        rows.append([f"emberwright {name}", f"{1000 * statistics.median(seconds):.1f}", f"{1000 * max(seconds):.1f}"])
    imports = [timed([given.python, "-c", "import torch, transformers, peft"])[0] for _ in range(3)]
    rows.append(["python -c 'import torch, transformers, peft'", f"{1000 * statistics.median(imports):.0f}",
                 f"{1000 * max(imports):.0f}"])
    print(table(["command", "median ms", "slowest ms"], rows))


def write_text_rows(source, target, megabytes):
    """JSON lines {"text"} of about `megabytes` MB: the paragraphs of `source`, over and over, each with its number."""
    with open(source, encoding="utf-8") as handle:
        paragraphs = [part.strip() for part in handle.read().split("\n\n") if part.strip()]
    written, count = 0, 0
    with open(target, "w", encoding="utf-8") as out:
        while written < megabytes * 1_000_000:
            text = f"{count}: {paragraphs[count % len(paragraphs)]}"
            written += len(text.encode())
            out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
            count += 1
    return written, count


def tokenise(given):
    """`emberwright check` on a text file (reads, tokenises, counts) against Python's tokenizers on the same rows."""
    work = small_work(given, inputs=os.path.join(given.scratch, "tokenise-inputs"))
    arms.make_inputs(work, "tokenizer-host")
    for file in os.listdir(given.tokenizer):
        if "tokenizer" in file or "special" in file:
            shutil.copy(os.path.join(given.tokenizer, file), work.path("model"))
    texts = os.path.join(given.scratch, "texts.jsonl")
    size, count = write_text_rows(given.text, texts, given.megabytes)
    run_file = os.path.join(given.scratch, "tokenise.toml")
    with open(run_file, "w", encoding="utf-8") as handle:
        handle.write(f"[model]\npath = {json.dumps(os.path.abspath(work.path('model')))}\n"
                     f"[data]\ntrain = [{json.dumps(os.path.abspath(texts))}]\nformat = \"text\"\nvalidation = 0.0\n"
                     "max_length = 4096\n")
    ours, theirs, tokens = [], [], {}
    script = os.path.join(arms.HERE, "py_tokenise.py")
    for _ in range(given.repeat):
        seconds, said = timed([given.emberwright, "check", run_file, "--json", "--device", "cpu"])
        verdict = [event["verdict"] for event in map(json.loads, said.splitlines()) if event.get("event") == "checked"]
        tokens["emberwright check"] = verdict[-1]["tokens"]
        ours.append(size / seconds / 1e6)
        _, said = timed([given.python, script, work.path("model"), texts], env={**os.environ, "RAYON_NUM_THREADS": "2"})
        report = json.loads(said)
        tokens["tokenizers (Python)"] = report["tokens"]
        theirs.append(size / report["seconds"] / 1e6)
    print(f"{count} rows, {size / 1e6:.0f} MB of text; ours includes starting, reading, the verdict and its statistics, "
          "theirs reading and encode_batch_fast without starting Python")
    print(table(["side", "MB/s", "tokens (ours with the end token of each row, if the template adds one)"],
                [["emberwright check", spread(ours), tokens["emberwright check"]],
                 ["tokenizers (Python)", spread(theirs), tokens["tokenizers (Python)"]]]))


def export(given):
    """Merging a LoRA into the 60 M model and writing it, each side in its own process."""
    work = small_work(given, inputs=os.path.join(given.scratch, "inputs-export"))
    arms.make_inputs(work, "llama-60m")
    subprocess.run([given.python, os.path.join(arms.HERE, "py_export.py"), "--fill", work.path("adapter")], check=True)
    model_bytes = os.path.getsize(os.path.join(work.path("model"), "model.safetensors"))
    seen = {"emberwright export": [], "merge_and_unload + save_pretrained": []}
    folders = {name: os.path.join(given.scratch, f"merged-{place}") for place, name in enumerate(seen)}
    for _ in range(given.repeat):
        for name, folder in folders.items():
            shutil.rmtree(folder, ignore_errors=True)
            parts = ["--model", work.path("model"), "--adapter", work.path("adapter"), "--out", folder]
            command = ([given.emberwright, "export", *parts, "--to", "merged", "--dtype", "keep", "--device", "cpu"]
                       if name.startswith("emberwright") else
                       [given.python, os.path.join(arms.HERE, "py_export.py"), *parts])
            seen[name].append(run_measured(name, command, os.path.join(given.scratch, "none"),
                                           os.path.join(given.scratch, "export.log"), arms.thread_limits(2)))
    rows = [[name, spread([run.seconds for run in runs]),
             spread([model_bytes / run.seconds / 1e6 for run in runs]), mib(max(run.peak_rss for run in runs)),
             mib(max(run.peak_anonymous for run in runs))] for name, runs in seen.items()]
    print(f"model of {model_bytes / 1e6:.0f} MB in f32; seconds from the start of the process to its end")
    print(table(["side", "s", "MB/s", "peak RSS MiB", "of it anonymous MiB"], rows))
    _, said = timed([given.python, os.path.join(arms.HERE, "py_export.py"), "--compare", *folders.values()])
    print(said.strip())


def build(given):
    """`git clone` and `cargo build --release --locked`, nothing compiled before; downloads are not counted."""
    root = subprocess.run(["git", "rev-parse", "--show-toplevel"], check=True, capture_output=True, text=True,
                          cwd=arms.HERE).stdout.strip()
    clone = os.path.join(os.path.abspath(given.scratch), "clone")
    shutil.rmtree(clone, ignore_errors=True)
    timed(["git", "clone", "--quiet", root, clone])
    clean = {key: value for key, value in os.environ.items() if key not in ("CARGO_TARGET_DIR", "RUSTFLAGS")}
    timed(["cargo", "fetch", "--locked"], cwd=clone, env=clean)
    rows = []
    for name, options in (("default (with CUDA)", []), ("CPU only", ["--no-default-features"])):
        target = os.path.join(clone, "target")
        shutil.rmtree(target, ignore_errors=True)
        seconds, _ = timed(["cargo", "build", "--release", "--locked", *options], cwd=clone, env=clean)
        binary = os.path.join(target, "release", "emberwright")
        folder = sum(os.path.getsize(os.path.join(at, file)) for at, _, files in os.walk(target) for file in files
                     if not os.path.islink(os.path.join(at, file)))
        rows.append([name, f"{seconds / 60:.1f}", f"{os.path.getsize(binary) / 1e6:.1f}", f"{folder / 1e9:.1f}"])
    print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.2f}")
    print(table(["build", "minutes", "binary MB", "target folder GB"], rows))


TASKS = {"start": start, "tokenise": tokenise, "export": export, "build": build}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--emberwright", default="target/release/emberwright")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--scratch", default="target/bench")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--tokenizer", help="folder with a tokenizer.json of at most 50304 tokens")
    parser.add_argument("--text", help="a text file whose paragraphs are repeated")
    parser.add_argument("--megabytes", type=float, default=50)
    given = parser.parse_args()
    if given.task == "tokenise" and not (given.tokenizer and given.text):
        parser.error("tokenise needs --tokenizer and --text")
    given.emberwright = os.path.abspath(given.emberwright)
    os.makedirs(given.scratch, exist_ok=True)
    TASKS[given.task](given)


if __name__ == "__main__":
    main()
