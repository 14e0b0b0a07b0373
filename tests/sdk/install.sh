#!/bin/sh
# Installs the official MCP SDKs, reference servers and conformance suite that the tests talk through
# the gateway with, and prints the folder they are in (CONDUIT_SDK_DIR) as the only line on stdout.
#
#   CONDUIT_SDK_DIR="$(tests/sdk/install.sh)"
#
# The folder is named after a hash of the lock files, so that a kept machine installs once and a changed
# lock file never meets old packages. It holds node_modules/, python/ and bin/{node,python3}.
# CONDUIT_SDK_ROOT says where (default: $CARGO_TARGET_DIR, else target/ of the checkout).
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
checkout=$(CDPATH='' cd -- "$here/../.." && pwd)
root=${CONDUIT_SDK_ROOT:-${CARGO_TARGET_DIR:-$checkout/target}}
case $root in /*) ;; *) root=$checkout/$root ;; esac

say() { printf 'sdk: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is missing: $2"; }

need npm "install Node.js with npm, e.g. apt-get install nodejs npm"
need python3 "install Python 3.10 or newer, e.g. apt-get install python3 python3-venv"
need sha256sum "install coreutils"
need flock "install util-linux"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    die "python3 is $(python3 -V 2>&1): the official SDK needs 3.10 or newer"

key=$(
    {
        cat "$here/package-lock.json" "$here/requirements.txt" "$here/install.sh"
        uname -sm
        python3 -c 'import sys; print(sys.executable, sys.version_info[:2])'
    } | sha256sum | cut -c1-12
)
sdk=$root/sdk-$key
mkdir -p "$sdk"

# Two checkouts or two test runs may arrive here at once.
exec 9>"$sdk/.lock"
flock 9

install_node() {
    say "installing npm packages into $sdk"
    rm -rf "$sdk/node_modules"
    cp "$here/package.json" "$here/package-lock.json" "$sdk/"
    # No package here needs an install script, so none is allowed to run.
    (cd "$sdk" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
        die "npm ci failed (its message is above); is the npm registry reachable?"
}

# The conformance suite needs Node >= 22, newer than what Debian ships: npm brings a binary.
link_node() {
    node=
    for candidate in "$sdk"/node_modules/node-linux-*/bin/node "$(command -v node)"; do
        [ -x "$candidate" ] || continue
        major=$("$candidate" -p 'process.versions.node.split(".")[0]' 2>/dev/null) || continue
        if [ "$major" -ge 22 ]; then
            node=$candidate
            break
        fi
    done
    [ -n "$node" ] || die "no Node.js >= 22: npm has no binary for $(uname -sm), install one yourself"
    ln -sfn "$node" "$sdk/bin/node"
}

# Debian packs venv apart from Python, so a plain folder on PYTHONPATH is the second choice.
install_python() {
    say "installing Python packages into $sdk/python"
    rm -rf "$sdk/python" "$sdk/bin/python3"
    if python3 -m venv "$sdk/python" >/dev/null 2>&1; then
        pip="$sdk/python/bin/python3 -m pip install"
        run="exec '$sdk/python/bin/python3' \"\$@\""
    elif python3 -m pip --version >/dev/null 2>&1; then
        rm -rf "$sdk/python"
        pip="python3 -m pip install --target $sdk/python"
        run="PYTHONPATH='$sdk/python' exec '$(command -v python3)' \"\$@\""
    else
        die "python3 has neither venv nor pip: apt-get install python3-venv"
    fi
    # shellcheck disable=SC2086  # $pip is a command line
    $pip --quiet --disable-pip-version-check --no-input -r "$here/requirements.txt" >&2 ||
        die "pip failed (its message is above); is the package index reachable?"
    printf '#!/bin/sh\n%s\n' "$run" >"$sdk/bin/python3"
    chmod +x "$sdk/bin/python3"
}

if [ ! -e "$sdk/.complete" ]; then
    mkdir -p "$sdk/bin"
    install_node
    link_node
    install_python
    "$sdk/bin/python3" -c 'import mcp' || die "the Python SDK was installed but does not import"
    : >"$sdk/.complete"
    say "ready: $sdk"
fi

# Node resolves imports from the importing file's folder, so the client programs need it beside them.
[ "$(readlink "$here/node_modules" 2>/dev/null)" = "$sdk/node_modules" ] || {
    rm -rf "$here/node_modules"
    ln -s "$sdk/node_modules" "$here/node_modules"
}
printf '%s\n' "$sdk"
