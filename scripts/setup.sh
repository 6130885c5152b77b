# Sourced by ./volna.sh and ./test.sh, which set `here` (the checkout) and `extra` ("" or "dev").
#
# Makes .venv in the checkout and installs Volna into it, unless that is done. The stamp inside .venv names what it was
# made from; it is written last, so a set-up that was interrupted, or made from another pyproject.toml or for a checkout
# that has been moved since, is done again. Everything here speaks on standard error: standard output belongs to the
# command.

venv=$here/.venv
stamp=$venv/volna-setup${extra:+-$extra}
unfinished=$venv/volna-unfinished

say() { printf 'volna set-up: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

find_python() {
    for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    die "needs Python 3.11 or newer. Debian: apt-get install python3 python3-venv. macOS: brew install python"
}

# Debian keeps the venv module apart from Python.
need_venv() {
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 && return
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    run=
    if [ "$(id -u)" != 0 ]; then run=sudo; fi
    if command -v apt-get >/dev/null 2>&1 && { [ -z "$run" ] || command -v sudo >/dev/null 2>&1; }; then
        say "$python has no venv module; installing $package with ${run:+$run }apt-get"
        $run apt-get update >&2 || true
        $run env DEBIAN_FRONTEND=noninteractive apt-get install -y "$package" >&2 || true
    fi
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        die "$python has no venv module. Type: apt-get install $package (as root), then the same command again"
}

# On Linux pip's default torch brings gigabytes of GPU libraries that Volna does not use. PyTorch's own index has the
# CPU build, which pip prefers (2.13.0+cpu counts as newer than 2.13.0); where it cannot be reached, pip decides alone.
torch_index() {
    [ "$(uname -s)" = Linux ] || return 0
    "$venv/bin/python" -c 'import torch' >/dev/null 2>&1 && return 0
    url=https://download.pytorch.org/whl/cpu
    probe="import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + '/torch/', timeout=5).read(1)"
    if "$venv/bin/python" -c "$probe" "$url" >/dev/null 2>&1; then
        printf '%s\n' "--extra-index-url $url"
    fi
}

make_environment() {
    if [ -e "$unfinished" ] || [ "$(cat "$venv/volna-place" 2>/dev/null)" != "$here" ] ||
        ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        # Half-made, moved, or its Python is gone: not worth repairing. Otherwise it is kept, so that a change of
        # pyproject.toml does not install torch again.
        python=$(find_python) || exit 1
        need_venv
        say "making $venv with $("$python" --version)"
        "$python" -m venv --clear "$venv" || die "could not make $venv"
        printf '%s\n' "$here" >"$venv/volna-place"
    fi
}

install() {
    # With the trap, a shell does not go on after a child that caught the signal itself, as pip does.
    trap 'say "stopped; the same command begins again"; exit 130' INT TERM HUP
    make_environment
    index=$(torch_index)
    if ! "$venv/bin/python" -c 'import torch' >/dev/null 2>&1; then
        say "downloading into .venv: torch 2.13.0 (about 200 MB as the CPU build) and some 150 MB of other packages"
        if [ "$(uname -s)" = Linux ] && [ -z "$index" ]; then
            say "PyTorch's CPU index does not answer, so pip takes torch from its usual place: that can be gigabytes"
        fi
    fi
    : >"$unfinished"
    failed=
    # $index is two words or none.
    # shellcheck disable=SC2086
    "$venv/bin/python" -m pip install --disable-pip-version-check $index --editable "$here${extra:+[$extra]}" >&2 ||
        failed=yes
    rm -f "$unfinished" # pip came to an end and tidied up, whatever its verdict; a Ctrl-C does not get here
    [ -z "$failed" ] || die "pip failed (see above); the same command tries again"
    wanted >"$stamp"
    trap - INT TERM HUP
    say "done"
}

# What the environment depends on: the place of the checkout and the text of pyproject.toml.
wanted() {
    printf '%s\n' "$here"
    cksum <"$here/pyproject.toml"
}

is_made() {
    # An environment with the tools of the developer has everything that the command needs.
    for made in "$stamp" "$venv/volna-setup-dev"; do
        [ "$(cat "$made" 2>/dev/null)" = "$(wanted)" ] && return 0
    done
    return 1
}

if ! is_made || [ ! -x "$venv/bin/python" ]; then
    install
fi
