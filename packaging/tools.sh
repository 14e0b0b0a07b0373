#!/usr/bin/env bash
# Installs the build tools that a fresh machine may lack, and with `tools.sh test` also what the
# tests start, with `tools.sh bench` what the bench runs beside the gateway. Does nothing where they are there.
#
# Pingora's zlib-ng is built with cmake and a C compiler; nothing else is needed beyond Rust. Tests of
# what several gateways share start Redis servers of their own.
set -euo pipefail

missing=()
command -v cmake >/dev/null || missing+=(cmake)
command -v cc >/dev/null || missing+=(gcc libc6-dev)
if [ "${1:-}" = test ]; then
    command -v redis-server >/dev/null || missing+=(redis-server)
fi
if [ "${1:-}" = bench ]; then
    command -v redis-server >/dev/null || missing+=(redis-server)
    command -v valgrind >/dev/null || missing+=(valgrind)
fi
[ ${#missing[@]} -eq 0 ] && exit 0

echo "tools: installing ${missing[*]}" >&2
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
elif command -v apt-get >/dev/null && command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo apt-get update -qq
    sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
elif [ "${missing[*]}" = cmake ] && command -v python3 >/dev/null; then
    # Without root, PyPI brings a cmake of its own.
    python3 -m pip install --user --quiet cmake
    hash -r
    command -v cmake >/dev/null || {
        echo "tools: cmake is in ~/.local/bin: add that to PATH and run again" >&2
        exit 1
    }
else
    echo "tools: please install: ${missing[*]}" >&2
    exit 1
fi
