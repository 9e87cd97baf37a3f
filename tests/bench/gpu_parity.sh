#!/usr/bin/env bash
# Kernels of our own and the golden tests on a GPU, and a run held against PyTorch there.
#
#   tests/bench/gpu_parity.sh [--tests FILE] [--program FILE] [--shared FOLDER] [--device cuda:N]
#
# A GPU machine may have no toolchain: --tests names the engine's test binary (`cargo test --release -p engine
# --no-run` prints its path) and --program the program, both built elsewhere; --shared names the folder that holds
# `golden/`, for a machine without the project's own tests/fixtures. Without --tests, cargo builds both.
# On an NVIDIA GPU the tests allow ten times the CPU's tolerance, as the golden set says.
#
# Where there is none, `--device wgpu` has Mesa's lavapipe play one (VK_DRIVER_FILES names it, XDG_RUNTIME_DIR is any folder of
# one's own): the same code, with Burn's fusion and tuning, in f32, with a tolerance as the CPU's. Burn is built once more for
# it (half an hour on two cores), and a minute goes into the shaders of each method. Matrices in few bits need bytes, which it has not.
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

built=--workspace
case $device in
    wgpu*) built="-p emberwright -p engine --no-default-features --features emberwright/wgpu" ;;
    *)
        nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader ||
            { echo "no NVIDIA GPU here: nothing was checked (see --device wgpu)" >&2; exit 1; }
        ;;
esac

# The program finds the toolkit by itself; a test binary does not pass its `main`.
for root in "${CUDA_PATH:-}" /usr/local/cuda /opt/cuda; do
    if [ -n "$root" ] && [ -e "$root/include/cuda_fp16.h" ]; then
        export CUDA_PATH="$root" LD_LIBRARY_PATH="$root/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
        break
    fi
done

# The engine's tests of these names, one at a time: they share the GPU's memory.
check() {
    if [ -n "$tests" ]; then
        EMBERWRIGHT_TEST_DEVICE=$device "$tests" "$@" --test-threads 1 --nocapture
    else
        # shellcheck disable=SC2086 # several words
        EMBERWRIGHT_TEST_DEVICE=$device cargo test --release $built --test engine -- "$@" --test-threads 1 --nocapture
    fi
}

# Each kernel of our own against its composition, in numbers and in time (the lines that begin with `bench`); then the
# golden tests with the kernels that serve, and without any.
case $device in
    wgpu*)
        # WGSL has no bytes: no matrices in few bits there, and no optimizers with states in 8 bits.
        check kernels updates_are_those_of_the_papers paged_states golden --skip quantised --skip halves
        exit
        ;;
esac
check kernels optimizers
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
