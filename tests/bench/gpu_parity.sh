#!/usr/bin/env bash
# The golden parity tests and the PEFT round trip on the first NVIDIA GPU.
#
#   tests/bench/gpu_parity.sh [PATH_TO_GOLDEN]
#
# EMBERWRIGHT_TEST_DEVICE tells the engine's tests which device to use; on a GPU they allow ten times the CPU's
# tolerance, as the golden set says. Where the test binary was built elsewhere, name it in EMBERWRIGHT_TESTS (and the
# program in EMBERWRIGHT), since a GPU machine may have no toolchain.
set -euo pipefail
cd "$(dirname "$0")/../.."

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader -i 0 ||
    { echo "no NVIDIA GPU here: nothing was checked" >&2; exit 1; }

export EMBERWRIGHT_TEST_DEVICE=cuda:0
if [ -n "${1:-}" ]; then export EMBERWRIGHT_GOLDEN="$1"; fi

if [ -n "${EMBERWRIGHT_TESTS:-}" ]; then
    "$EMBERWRIGHT_TESTS" golden --test-threads 1
else
    cargo test --release --package engine -- golden --test-threads 1
fi

program="${EMBERWRIGHT:-target/release/emberwright}"
python="${PYTHON:-python3}"
if "$python" -c 'import torch, transformers, peft' 2>/dev/null; then
    # f32 on a small model, twenty steps: each loss within 1e-4 of PyTorch's on the same GPU.
    "$python" tests/bench/gpu_vs_pytorch.py --emberwright "$program" --shape llama-tiny --dtype f32 --batch 8 \
        --length 512 --steps 20 --warmup 5 --arms "torch sdpa,emberwright,emberwright" --no-bench
else
    echo "torch, transformers or peft is missing: the comparison with PyTorch was left out" >&2
fi
