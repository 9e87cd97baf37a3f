#!/usr/bin/env python3
"""Compiles the CUDA text of every kernel in src/kernels with NVIDIA's compiler, without a GPU.

    pip install nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12 nvidia-cuda-nvcc-cu12 nvidia-cuda-cccl-cu12
    python tests/reference/kernels_nvrtc.py [--arch 80,90a] [--keep FOLDER]

The text comes from `cuda-text` of tests/kernels, which cargo builds; it wants a Vulkan device for its buffers (Mesa's
lavapipe will do: VK_DRIVER_FILES). Options are those that cubecl gives the compiler. Prints a line for each file and
architecture, and ends with 1 if one was refused.
"""

import argparse
import ctypes
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def wheels():
    """Folder of NVIDIA's wheels: NVRTC and the headers."""
    for path in map(pathlib.Path, sys.path):
        if (path / "nvidia/cuda_nvrtc/lib").is_dir():
            return path / "nvidia"
    sys.exit("NVRTC's wheels are missing: see the top of this file")


class Compiler:
    def __init__(self):
        self.wheels = wheels()
        library = next((self.wheels / "cuda_nvrtc/lib").glob("libnvrtc.so.*"))
        self.nvrtc = ctypes.CDLL(str(library))

    def version(self):
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        return f"{major.value}.{minor.value}"

    def text_of(self, program, size, get):
        length = ctypes.c_size_t()
        size(program, ctypes.byref(length))
        buffer = ctypes.create_string_buffer(length.value)
        get(program, buffer)
        return buffer.value.decode()

    def compile(self, source, arch):
        """The assembly; None and the compiler's words if it refuses."""
        program = ctypes.c_void_p()
        self.nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), None, 0, None, None)
        options = [f"--gpu-architecture=sm_{arch}", "-lineinfo"]
        options += [f"--include-path={path}" for path in self.wheels.glob("*/include")]
        options = [option.encode() for option in options]
        refused = self.nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
        log = self.text_of(program, self.nvrtc.nvrtcGetProgramLogSize, self.nvrtc.nvrtcGetProgramLog)
        ptx = None if refused else self.text_of(program, self.nvrtc.nvrtcGetPTXSize, self.nvrtc.nvrtcGetPTX)
        self.nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
        return ptx, log


def texts(folder):
    command = ["cargo", "run", "--locked", "--release", "--quiet", "--manifest-path", str(ROOT / "tests/kernels/Cargo.toml")]
    # Where run.sh builds the tests of the same package.
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "kernels"
    command += ["--target-dir", str(target), "--bin", "cuda-text", "--", str(folder)]
    subprocess.run(command, check=True)
    return sorted(pathlib.Path(folder).glob("*.cu"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="80,90a")
    parser.add_argument("--keep", help="where texts and assembly stay")
    options = parser.parse_args()
    compiler = Compiler()
    print(f"NVRTC {compiler.version()}")
    refused = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(options.keep or temporary)
        os.makedirs(folder, exist_ok=True)
        files = texts(folder)
        for file in files:
            for arch in options.arch.split(","):
                ptx, log = compiler.compile(file.read_text(), arch)
                if ptx is None:
                    refused += 1
                    print(f"{file.name} sm_{arch}: refused\n{log}")
                else:
                    file.with_suffix(f".{arch}.ptx").write_text(ptx)
                    print(f"{file.name} sm_{arch}: {len(ptx.splitlines())} lines of assembly")
    print(f"{len(files)} kernels, {refused} refusals")
    return 1 if refused or not files else 0


if __name__ == "__main__":
    sys.exit(main())
