"""Tables of a comparison."""

import json
import os
import statistics
import struct

from measure import difference, mib, spread, table


def by_arm(results):
    grouped = {}
    for seen, adapter in results:
        grouped.setdefault(seen.arm, []).append((seen, adapter))
    return grouped


def speed_table(results, work, warmup):
    """Speed, memory and start of every side; figures are `median [lowest … highest]` over the turns."""
    rows, medians = [], {}
    for arm, runs in by_arm(results).items():
        speeds = [seen.tokens_per_second(work.tokens_a_step, warmup) for seen, _ in runs]
        medians[arm] = statistics.median(speeds)
        steps = [second for seen, _ in runs for second in seen.seconds_of_steps()[warmup - 1:]]
        cpu = [second for seen, _ in runs for second in seen.cpu_seconds_of_steps()[warmup - 1:] if second == second]
        rows.append([arm, spread(speeds), spread([seen.claimed_tokens_per_second(warmup) for seen, _ in runs]),
                     f"{statistics.median(steps):.3f} / {percentile(steps, 0.95):.3f}",
                     f"{statistics.median(cpu):.2f}" if cpu else "-",
                     mib(max(seen.peak_rss for seen, _ in runs)), mib(max(seen.peak_anonymous for seen, _ in runs)),
                     spread([seen.time_to_first_step() for seen, _ in runs])])
    head = ["side", "tokens/s (seen from outside)", "tokens/s (its own figure)", "step s, median / p95", "CPU s a step",
            "peak RSS MiB", "of it anonymous MiB", "first step after s"]
    return table(head, rows), medians


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def ratio_lines(medians, results):
    """How the first side stands against each other one."""
    if "emberwright" not in medians:
        return []
    memory = {arm: max(seen.peak_rss for seen, _ in runs) for arm, runs in by_arm(results).items()}
    return [f"emberwright against {arm}: {medians['emberwright'] / speed:.2f} × the speed, "
            f"{memory['emberwright'] / memory[arm]:.2f} × the peak memory"
            for arm, speed in medians.items() if arm != "emberwright"]


def loss_table(results):
    """Every side's losses against those of the first torch side (or of the first side), and against itself."""
    grouped = by_arm(results)
    reference = next((arm for arm in grouped if arm.startswith("torch")), next(iter(grouped)))
    base, base_adapter = grouped[reference][0]
    rows = []
    for arm, runs in grouped.items():
        first, adapter = runs[0]
        absolute, relative = difference(first.losses(), base.losses())
        norm_gap = difference([line["grad_norm"] for _, line in first.lines],
                              [line["grad_norm"] for _, line in base.lines])[1]
        same = all(seen.losses() == first.losses() for seen, _ in runs)
        again = "only one turn" if len(runs) == 1 else ("bit for bit" if same else "differs")
        cosine, gap = trained_difference(adapter, base_adapter)
        rows.append([arm, f"{first.losses()[0]:.6f}", f"{first.losses()[-1]:.6f}", f"{absolute:.2e}",
                     f"{relative:.2e}", f"{norm_gap:.2e}", f"{cosine:.6f}", f"{gap:.1e}", again])
    head = ["side", "first loss", "last loss", f"largest Δ to {reference}", "relative", "gradient norm, relative",
            "what was trained, cosine", "largest Δ", "its own turns agree"]
    return table(head, rows)


def trained_difference(ours, theirs):
    """(cosine, largest absolute difference) of two adapters or models over all their tensors, in f64."""
    left, right = read_trained(ours), read_trained(theirs)
    if left.keys() != right.keys():
        raise SystemExit(f"the two hold different tensors: {sorted(left.keys() ^ right.keys())[:6]}")
    dot = ours_square = theirs_square = largest = 0.0
    for name, a in left.items():
        b = right[name]
        dot += float(a @ b)
        ours_square += float(a @ a)
        theirs_square += float(b @ b)
        largest = max(largest, float(abs(a - b).max()))
    return dot / max((ours_square * theirs_square) ** 0.5, 1e-300), largest


def read_trained(folder):
    """Name → numbers (flat, f64) of the safetensors file in a folder, f32 or bf16."""
    import numpy  # here, because the process that starts and weighs the others should be small until they have ended

    names = [name for name in ("adapter_model.safetensors", "model.safetensors")
             if os.path.exists(os.path.join(folder, name))]
    if not names:
        raise SystemExit(f"{folder} holds no adapter and no model in one file")
    path = os.path.join(folder, names[0])
    with open(path, "rb") as handle:
        header = json.loads(handle.read(struct.unpack("<Q", handle.read(8))[0]))
        body = handle.read()
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        if entry["dtype"] == "BF16":
            wide = numpy.frombuffer(body[first:last], dtype="<u2").astype("<u4") << 16
            found[name] = wide.view("<f4").astype("f8")
        elif entry["dtype"] == "F32":
            found[name] = numpy.frombuffer(body[first:last], dtype="<f4").astype("f8")
        else:
            raise SystemExit(f"{path}: {name} is {entry['dtype']}, expected F32 or BF16")
    return found


def write_json(path, results, work, warmup):
    rows = [{"arm": seen.arm, "tokens_per_s": seen.tokens_per_second(work.tokens_a_step, warmup),
             "claimed_tokens_per_s": seen.claimed_tokens_per_second(warmup), "peak_rss": seen.peak_rss,
             "peak_anonymous": seen.peak_anonymous, "first_step_s": seen.time_to_first_step(),
             "losses": seen.losses(), "extra": seen.extra} for seen, _ in results]
    with open(path, "w", encoding="ascii") as handle:
        json.dump(rows, handle, indent=1)
