"""What the machine can do at best: prints one JSON object. Every benchmark report carries it."""

import argparse
import json
import os
import platform
import tempfile
import time

import torch


def best_of(times, work):
    """The shortest of some runs of `work`, in seconds, after one to warm up."""
    work()
    shortest = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest


def sgemm_gflops(rows, inner, columns):
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    return 2e-9 * rows * inner * columns / best_of(8, lambda: left @ right)


def copy_gigabytes_per_second(size=256 * 2**20):
    source = torch.empty(size, dtype=torch.uint8).fill_(1)
    target = torch.empty_like(source).fill_(0)
    return 2e-9 * size / best_of(5, lambda: target.copy_(source))


def disk(scratch, size=256 * 2**20):
    """(GB/s of writing and flushing, seconds of flushing 4 KiB)"""
    block = os.urandom(2**20)
    with tempfile.NamedTemporaryFile(dir=scratch) as file:
        start = time.perf_counter()
        for _ in range(size // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        wrote = time.perf_counter() - start
        file.write(block[:4096])
        file.flush()
        start = time.perf_counter()
        os.fsync(file.fileno())
        return 1e-9 * size / wrote, time.perf_counter() - start


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as handle:
        names = [line.partition(":")[2].strip() for line in handle if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scratch", default=".")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    write, flush = disk(given.scratch)
    figures = {
        "processor": processor(), "threads": given.threads, "torch": torch.__version__,
        "sgemm_gflops": sgemm_gflops(2048, 2048, 2048),
        # The block's own shapes: 1024 tokens, hidden 512, feed-forward 1536.
        "sgemm_1024x512x1536_gflops": sgemm_gflops(1024, 512, 1536),
        "sgemm_1024x512x8_gflops": sgemm_gflops(1024, 512, 8),
        "copy_gb_s": copy_gigabytes_per_second(), "disk_write_gb_s": write, "fsync_s": flush,
    }
    print(json.dumps({key: round(value, 4) if isinstance(value, float) else value
                      for key, value in figures.items()}))


if __name__ == "__main__":
    main()
