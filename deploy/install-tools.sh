#!/bin/bash
# Make prometheus, promtool, prometheus-alertmanager and amtool available for the tests and the demo.
#
#   deploy/install-tools.sh [DIR=.tools]
#
# Does nothing where they are on PATH or in DIR/bin already. Otherwise it takes the distribution's packages (Debian, Ubuntu) and
# unpacks the programs into DIR/bin: nothing is installed and no service is started. One thing has to stand where the distribution's
# Alertmanager looks for it, its templates in /usr/share/prometheus/alertmanager: they are laid there, which takes root or sudo.
set -euo pipefail

dir=${1:-.tools}
packages=(prometheus prometheus-alertmanager)

say() { echo "install-tools: $*"; }
fail() { say "$*" >&2; exit 1; }

has_all() {  # whether the four programs can be found by the lookup given
  "$1" prometheus && "$1" promtool && "$1" amtool && { "$1" prometheus-alertmanager || "$1" alertmanager; }
}
on_path() { [[ -n $(type -P "$1") ]]; }
in_dir() { [[ -x $dir/bin/$1 ]]; }

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"
  elif on_path sudo; then sudo "$@"
  else fail "this takes root or sudo: $*"; fi
}

templates=${ALERTMANAGER_TEMPLATES:-/usr/share/prometheus/alertmanager}
lay_templates() {  # an Alertmanager that is not built by the distribution has its own inside and needs none
  [[ -e $dir/share/alertmanager/default.tmpl && ! -e $templates/default.tmpl ]] || return 0
  say "laying Alertmanager's templates into $templates, where it looks for them"
  as_root mkdir -p "$templates"
  as_root cp "$dir"/share/alertmanager/*.tmpl "$templates/"
}

if has_all on_path; then say "prometheus and alertmanager are on PATH; nothing to do"; exit; fi
if has_all in_dir; then lay_templates; say "prometheus and alertmanager are in $dir/bin; nothing to do"; exit; fi
on_path apt-get && on_path dpkg-deb || fail "no prometheus on PATH, and no apt-get here to get it with;" \
  "put prometheus, promtool, alertmanager and amtool on PATH (https://prometheus.io/download) and try again"

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
work=$(mktemp -d "$dir/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{debs,lists/partial,archives/partial,root}

# As root, apt would hand the download to a user of its own who may not write here.
apt() { apt-get -qq -o APT::Sandbox::User="$(id -un)" "$@"; }
own_lists=(-o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work")

download() {  # promtool is a package of its own in newer releases, and part of prometheus in older ones
  (cd "$work/debs" && apt "$@" download "${packages[@]}" && { apt "$@" download promtool || true; }) 2>"$work/errors"
}

say "downloading the packages ${packages[*]}"
if ! download; then
  say "the package lists of this machine are missing or old; fetching fresh ones into a temporary folder"
  apt "${own_lists[@]}" update 2>"$work/update-errors" || true  # one source of several may be away; what counts is the download
  download "${own_lists[@]}" || fail "the packages cannot be downloaded:" "$(cat "$work/update-errors" "$work/errors")"
fi

say "unpacking them into $dir/bin"
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
mkdir -p "$dir/bin"
for program in "$work"/root/usr/bin/*; do
  [[ -f $program && -x $program ]] && mv -f "$program" "$dir/bin/"
done
if [[ -d $work/root/usr/share/prometheus/alertmanager ]]; then
  mkdir -p "$dir/share/alertmanager"
  cp "$work"/root/usr/share/prometheus/alertmanager/*.tmpl "$dir/share/alertmanager/"
fi
lay_templates
has_all in_dir || fail "the packages did not hold all of prometheus, promtool, prometheus-alertmanager and amtool; found: $(ls "$dir/bin")"
for program in prometheus prometheus-alertmanager; do
  "$dir/bin/$program" --version >/dev/null 2>&1 || fail "$dir/bin/$program does not run here: $("$dir/bin/$program" --version 2>&1 | head -1)"
done
say "done: $("$dir/bin/prometheus" --version 2>&1 | head -1 | cut -d' ' -f1-3), in $dir/bin"
