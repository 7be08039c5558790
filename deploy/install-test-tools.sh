#!/bin/bash
# Make a browser and nginx available for the tests of the page: chromium, and nginx in DIR/bin.
#
#   deploy/install-test-tools.sh [DIR=.tools]
#
# Does nothing where they are here already. Chromium is installed as the package of the distribution (Debian; root or sudo); nginx is
# unpacked into DIR/bin, so that no service is started. Where neither can be had, it says so and ends well: the tests that need them
# are skipped then, and fail where CI=true.
set -euo pipefail

dir=${1:-.tools}

say() { echo "install-test-tools: $*"; }
on_path() { [[ -n $(PATH=$PATH:/usr/sbin type -P "$1") ]]; }

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"
  elif on_path sudo; then sudo "$@"
  else return 1; fi
}

install_chromium() {
  local quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install chromium)
  as_root "${quiet[@]}" >/dev/null 2>&1 || { as_root apt-get -qq update >/dev/null 2>&1 && as_root "${quiet[@]}" >/dev/null; }
}

unpack_nginx() {
  local work
  mkdir -p "$dir/bin"
  work=$(mktemp -d "$dir/unpack.XXXXXX")
  # As root, apt would hand the download to a user of its own who may not write here.
  fetch() { (cd "$work" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download nginx 2>/dev/null); }
  { fetch || { as_root apt-get -qq update >/dev/null 2>&1 && fetch; }; } && dpkg-deb -x "$work"/nginx_*.deb "$work/root" \
    && mv -f "$work/root/usr/sbin/nginx" "$dir/bin/"
  local ended=$?
  rm -rf "$work"
  return $ended
}

on_path apt-get || { say "there is no apt-get; install chromium and nginx for the tests of the page"; exit 0; }
if [[ ! -x /usr/bin/chromium ]]; then
  say "installing the package chromium"
  install_chromium || say "chromium cannot be installed; the tests of the page need it"
fi
if ! on_path nginx && [[ ! -x $dir/bin/nginx ]]; then
  say "unpacking nginx into $dir/bin"
  unpack_nginx || say "nginx cannot be had; the tests of the page behind a proxy need it"
fi
