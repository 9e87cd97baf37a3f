#!/usr/bin/env bash
# Kernels of our own and the golden tests on an NVIDIA GPU, and a run held against PyTorch there.
#
#   tests/bench/gpu_parity.sh [--tests FILE] [--program FILE] [--shared FOLDER] [--device cuda:N]
#
# A GPU machine may have no toolchain: --tests names the engine's test binary (`cargo test --release -p engine
# --no-run` prints its path) and --program the program, both built elsewhere; --shared names the folder that holds
# `golden/`, for a machine without the project's own tests/fixtures. Without --tests, cargo builds both.
# On a GPU the tests allow ten times the CPU's tolerance, as the golden set says.
set -euo pipefail

tests= program= device=cuda:0
while [ $# -gt 0 ]; do
    case $1 in
        --tests) tests=$(realpath "$2") ;;
        --program) program=$(realpath "$2") ;;
        --shared) EMBERWRIGHT_SHARED=$(realpath "$2") && export EMBERWRIGHT_SHARED ;;
        --device) device=$2 ;;
        *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2 && exit 2 ;;
    esac
    shift 2
done
cd "$(dirname "$0")/../.."

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader ||
    { echo "no NVIDIA GPU here: nothing was checked" >&2; exit 1; }

# The program finds the toolkit by itself; a test binary does not pass its `main`.
for root in "${CUDA_PATH:-}" /usr/local/cuda /opt/cuda; do
    if [ -n "$root" ] && [ -e "$root/include/cuda_fp16.h" ]; then
        export CUDA_PATH="$root" LD_LIBRARY_PATH="$root/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
        break
    fi
done

# The engine's tests of that name, one at a time: they share the GPU's memory.
check() {
    if [ -n "$tests" ]; then
        EMBERWRIGHT_TEST_DEVICE=$device "$tests" "$1" --test-threads 1 --nocapture
    else
        EMBERWRIGHT_TEST_DEVICE=$device cargo test --release --workspace --test engine -- "$1" --test-threads 1 --nocapture
    fi
}

# Each kernel of our own against its composition, in numbers and in time (the lines that begin with `bench`); then the
# golden tests with the kernels that serve, and without any.
check kernels
check golden
EMBERWRIGHT_KERNELS=off check golden

if [ -z "$tests" ]; then
    cargo build --release --workspace
    program=${program:-${CARGO_TARGET_DIR:-target}/release/emberwright}
fi

python=${PYTHON:-python3}
if [ -z "$program" ]; then
    echo "no --program: the comparison with PyTorch was left out" >&2
elif ! "$python" -c 'import torch, transformers, peft' 2>/dev/null; then
    echo "torch, transformers or peft is missing: the comparison with PyTorch was left out" >&2
else
    # f32 on a small model, twenty steps: each loss within 1e-4 of PyTorch's on the same GPU.
    for kernels in on off; do
        EMBERWRIGHT_KERNELS=$kernels "$python" tests/bench/gpu_vs_pytorch.py --emberwright "$program" --shape llama-tiny \
            --dtype f32 --batch 8 --length 512 --steps 20 --arms "torch sdpa,emberwright,emberwright" --no-bench
    done
fi
