"""Runs a trainer as its own process and watches it from outside: the same eyes for every side.

Standard library only, so that this process stays small and the children's figures are their own.
"""

import json
import os
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass, field

POLL_SECONDS = 0.02


@dataclass
class Measured:
    """What was seen of one run. Times are seconds since the process was started."""

    arm: str
    exit_code: int
    seconds: float
    peak_rss: int  # bytes: VmHWM, mapped files included
    peak_anonymous: int  # bytes: the most RssAnon seen, i.e. without mapped files
    lines: list = field(default_factory=list)  # (time seen, object) of each step line
    cpu_seconds: list = field(default_factory=list)  # CPU time of the process when each of them was seen
    extra: list = field(default_factory=list)  # other JSON lines, e.g. a trainer's own memory figures

    def losses(self):
        return [line["loss"] for _, line in self.lines]

    def time_to_first_step(self):
        return self.lines[0][0] if self.lines else float("nan")

    def seconds_of_steps(self):
        """Wall time between the arrivals of successive step lines; one fewer than there are steps."""
        times = [seen for seen, _ in self.lines]
        return [after - before for before, after in zip(times, times[1:])]

    def cpu_seconds_of_steps(self):
        """CPU time, of all threads, between the arrivals of successive step lines."""
        return [after - before for before, after in zip(self.cpu_seconds, self.cpu_seconds[1:])]

    def tokens_per_second(self, tokens_a_step, warmup):
        """Over the whole window after `warmup` steps, by the arrival of the lines."""
        times = [seen for seen, _ in self.lines]
        if len(times) <= warmup or times[-1] <= times[warmup - 1]:
            return float("nan")
        return tokens_a_step * (len(times) - warmup) / (times[-1] - times[warmup - 1])

    def claimed_tokens_per_second(self, warmup):
        """Median of what the trainer itself wrote."""
        claims = [line["tokens_per_s"] for _, line in self.lines[warmup:]]
        return statistics.median(claims) if claims else float("nan")


class Tail:
    """Whole lines of a growing JSON-lines file that may not exist yet."""

    def __init__(self, path):
        self.path, self.offset = path, 0

    def read(self):
        try:
            with open(self.path, "rb") as handle:
                handle.seek(self.offset)
                chunk = handle.read()
        except FileNotFoundError:
            return []
        whole = chunk.rfind(b"\n") + 1
        self.offset += whole
        return [json.loads(line) for line in chunk[:whole].splitlines() if line.strip()]


def memory_of(pid):
    """(VmHWM, RssAnon) of a live process in bytes; zeros when it has gone."""
    found = {"VmHWM": 0, "RssAnon": 0}
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            for line in status:
                key, _, rest = line.partition(":")
                if key in found:
                    found[key] = int(rest.split()[0]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found["VmHWM"], found["RssAnon"]


def cpu_time_of(pid):
    """CPU seconds of a live process, of all its threads; NaN when it has gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            user, system = stat.read().rpartition(")")[2].split()[11:13]
    except (FileNotFoundError, ProcessLookupError):
        return float("nan")
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def run_measured(arm, command, metrics, log, env=None, cpus=None, time_limit=3600.0):
    """Runs `command`, which writes step lines to the file `metrics`; its output goes to the file `log`."""
    tail, seen = Tail(metrics), Measured(arm, -1, 0.0, 0, 0)
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    with open(log, "wb") as out:
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})},
                                 preexec_fn=pin)
        try:
            seen.exit_code = watch(child, tail, seen, start, time_limit)
        finally:
            if child.returncode is None:
                child.send_signal(signal.SIGKILL)
                child.wait()
    seen.seconds = time.monotonic() - start
    collect(tail, seen, start, child.pid)
    if seen.exit_code != 0:
        with open(log, encoding="utf-8", errors="replace") as said:
            raise SystemExit(f"{arm} ended with {seen.exit_code}: {' '.join(map(str, command))}\n{said.read()[-4000:]}")
    return seen


def watch(child, tail, seen, start, time_limit):
    """Polls until the child ends; returns its exit code."""
    while True:
        high, anonymous = memory_of(child.pid)
        seen.peak_rss = max(seen.peak_rss, high)
        seen.peak_anonymous = max(seen.peak_anonymous, anonymous)
        collect(tail, seen, start, child.pid)
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            seen.peak_rss = max(seen.peak_rss, usage.ru_maxrss * 1024)
            return child.returncode
        if time.monotonic() - start > time_limit:
            raise SystemExit(f"{seen.arm} took longer than {time_limit} s and was ended")
        time.sleep(POLL_SECONDS)


def collect(tail, seen, start, pid):
    """Sorts new lines into steps and the rest."""
    for line in tail.read():
        if "kind" in line:
            seen.extra.append(line)
        else:
            seen.lines.append((time.monotonic() - start, line))
            seen.cpu_seconds.append(cpu_time_of(pid))


def spread(values):
    """`median [lowest … highest]` of some figures."""
    values = [value for value in values if value == value]
    if not values:
        return "-"
    middle = statistics.median(values)
    return f"{figure(middle)} [{figure(min(values))} … {figure(max(values))}]"


def figure(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def mib(size):
    return f"{size / 2**20:.0f}"


def table(head, rows):
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def difference(ours, theirs):
    """(largest absolute, largest relative) difference of two loss curves over the steps both have."""
    pairs = list(zip(ours, theirs))
    if not pairs:
        return float("nan"), float("nan")
    return (max(abs(a - b) for a, b in pairs),
            max(abs(a - b) / max(abs(b), 1e-12) for a, b in pairs))
