#!/bin/sh
# Sets up a fresh Debian or Ubuntu, builds Emberwright and runs it. Nothing is done twice.
#
#   ./run.sh                 open the window
#   ./run.sh quickstart      fine-tune the starter model on the starter dataset
#   ./run.sh test            format, lints and all tests (the same as tests/run.sh)
#   ./run.sh setup           only install what is missing
#   ./run.sh COMMAND …       any command of the program, for example: ./run.sh chat --model DIR
#
# CARGO_TARGET_DIR is honoured.
set -eu
here=$PWD
cd "$(dirname "$0")"
root=$PWD

say() { printf '%s\n' "$*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }

# install WHAT-FOR PACKAGE…
install() {
    why=$1
    shift
    if ! have apt-get; then
        say "Missing: $why. Install the packages of your system that stand for: $*. Then run this again."
        exit 1
    fi
    say "Installing $why: $*"
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif have sudo; then
        as_root=sudo
    else
        say "Missing: $why. As root: apt-get install $*. Then run this again."
        exit 1
    fi
    # Index and packages; stdout stays the program's.
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

setup() {
    # Crates with C in them (the tokenizer's regular expressions, hashes) need a compiler and libc's headers.
    have cc || install "a C compiler" gcc libc6-dev
    have cargo || PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    if ! have cargo; then
        have curl && [ -e /etc/ssl/certs/ca-certificates.crt ] || install "curl" curl ca-certificates
        say "Installing Rust with rustup"
        installer=$(mktemp)
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs -o "$installer" || {
            say "Could not download rustup. Install Rust as https://rustup.rs describes, then run this again."
            exit 1
        }
        # The toolchain itself is the one that rust-toolchain.toml names.
        sh "$installer" -y -q --no-modify-path --profile minimal --default-toolchain none >&2
        rm -f "$installer"
    fi
    export PATH
    # With rustup, this installs the toolchain of rust-toolchain.toml the first time.
    cargo --version >&2
}

library() { PATH=$PATH:/usr/sbin:/sbin ldconfig -p | grep -q "^[[:space:]]*$1 "; }

# What the window's tests draw with: Vulkan on the processor (Mesa's lavapipe) for pictures, and a display without a screen.
setup_test() {
    lavapipe=/usr/share/vulkan/icd.d/lvp_icd
    [ -n "$(ls "$lavapipe"* 2>/dev/null)" ] && library libvulkan.so.1 ||
        install "Vulkan on the processor" mesa-vulkan-drivers libvulkan1
    have Xvfb && library libEGL.so.1 && library libXcursor.so.1 && library libXi.so.6 && library libxkbcommon-x11.so.0 ||
        install "a display without a screen" xvfb xauth libgl1 libgl1-mesa-dri libegl1 libx11-6 libx11-xcb1 libxcursor1 \
            libxi6 libxrandr2 libxkbcommon0 libxkbcommon-x11-0
    have xdotool && have import || install "hands and eyes for it" xdotool imagemagick x11-utils
    # A picture must not depend on whose machine draws it: no other driver is looked for. The second name is the older one.
    VK_DRIVER_FILES=$(ls "$lavapipe"* | tr '\n' : | sed 's/:$//')
    VK_ICD_FILENAMES=$VK_DRIVER_FILES
    # Nor on where it stands: times of day are drawn, too.
    TZ=UTC
    export VK_DRIVER_FILES VK_ICD_FILENAMES TZ
    if [ -z "${XDG_RUNTIME_DIR:-}" ]; then
        XDG_RUNTIME_DIR=$(mktemp -d)
        export XDG_RUNTIME_DIR
        trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
        trap 'exit 130' INT TERM
    fi
}

test_all() {
    # `cargo fmt` does not see the files that a registry's macro declares.
    find assets packaging src tests -name '*.rs' -exec rustfmt --check {} +
    cargo clippy --locked --release --workspace --all-targets -- -D warnings
    cargo test --locked --release --workspace
    # Kernels for GPUs, on the processor: a package by itself, since its runtime would change how Burn is built.
    cargo test --locked --release --manifest-path tests/kernels/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/kernels"
}

# Runs the program where the user stands, so that paths mean what they say.
program() {
    cargo build --locked --release
    case ${CARGO_TARGET_DIR:-target} in
        /*) target=$CARGO_TARGET_DIR ;;
        *) target=$root/${CARGO_TARGET_DIR:-target} ;;
    esac
    cd "$here"
    exec "$target/release/emberwright" "$@"
}

case ${1:-} in
    -h | --help | help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$root/run.sh" ;;
    setup) setup ;;
    test)
        setup
        setup_test
        test_all
        ;;
    quickstart)
        setup
        shift
        program train "$root/presets/recipes/quickstart.toml" "$@"
        ;;
    *) setup && program "$@" ;;
esac
