#!/bin/bash
# Make a virtual environment, and Python's own parts for it where the distribution packs them apart.
#
#   deploy/install-venv.sh DIR PYTHON
#
# Does nothing when DIR is a working environment already. Only where Python or its venv is missing does it call apt-get, as root
# or through sudo, and says so.
set -euo pipefail

dir=${1:?usage: install-venv.sh DIR PYTHON}
python=${2:?usage: install-venv.sh DIR PYTHON}

say() { echo "install-venv: $*"; }
fail() { say "$*" >&2; exit 1; }

install() {  # PACKAGE...: through apt-get, with fresh package lists only when the ones at hand do not do
  type -P apt-get >/dev/null || fail "this needs $*, and there is no apt-get here to install it with; install it and try again"
  local root=()
  if [[ $(id -u) != 0 ]]; then
    type -P sudo >/dev/null || fail "this needs $*; install it as root (apt-get install $*) and try again"
    root=(sudo)
  fi
  say "installing $* with apt-get${root:+ and sudo}"
  local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
  "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null 2>&1 && return
  "${apt[@]}" update || true  # one source of several may be away; what counts is the installation
  "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null
}

if "$dir/bin/python" -m pip --version >/dev/null 2>&1; then exit; fi
if ! type -P "$python" >/dev/null; then
  [[ $python == python3 ]] || fail "there is no \"$python\" here; name a Python of 3.11 or newer: make PYTHON=python3"
  install python3 python3-venv
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "\"$python\" is Python $version, and 3.11 or newer is needed; name another one, for instance: make PYTHON=python3.12"
"$python" -c 'import ensurepip, venv' 2>/dev/null || install "python$version-venv"
say "making $dir with Python $version"
"$python" -m venv --clear "$dir"
