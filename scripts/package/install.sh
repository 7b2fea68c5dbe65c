#!/bin/sh
# Installs signalbox on Linux or macOS from a release:
#
#   curl -fsSL https://example.org/signalbox/install.sh | sudo sh -s -- https://example.org/signalbox
#
# It downloads the executable for this machine, checks its SHA-256, and puts it into /usr/local/bin, or the folder that
# BIN_DIR names. On a terminal it then offers to install the systemd unit.
set -eu

# The address of this release, if it was made with one.
release_url=
bin_dir=${BIN_DIR:-/usr/local/bin}

fail() {
  printf 'install.sh: %s\n' "$1" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

find_target() {
  case $(uname -s) in
    Linux) system=unknown-linux-gnu ;;
    Darwin) system=apple-darwin ;;
    *) fail "there is no executable for $(uname -s): download one by hand, or make it with deno task compile." ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) machine=x86_64 ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) fail "there is no executable for $(uname -m): x86_64 and aarch64 alone have one." ;;
  esac
  printf '%s-%s' "$machine" "$system"
}

# Downloads the file $1 of the release to $2.
download() {
  if has curl; then
    curl -fsSL --retry 2 -o "$2" "$url/$1"
  elif has wget; then
    wget -q -O "$2" "$url/$1"
  else
    fail "curl or wget is needed to download signalbox: install one of them."
  fi || fail "cannot download $url/$1: is this the address of a release?"
}

sum_of() {
  if has sha256sum; then
    sum=$(sha256sum "$1")
  elif has shasum; then
    sum=$(shasum -a 256 "$1")
  else
    fail "sha256sum or shasum is needed to check the download: install one of them."
  fi
  sum=${sum%% *}
}

# Downloads the file $1 of the release to $2, and compares it with SHA256SUMS.
fetch() {
  expected=$(sed -n "s/^\([0-9a-f]\{64\}\)  $1\$/\1/p" "$temporary/SHA256SUMS")
  [ -n "$expected" ] || fail "$url has no $1."
  download "$1" "$2"
  sum_of "$2"
  [ "$sum" = "$expected" ] ||
    fail "$url/$1 is not what SHA256SUMS says: its SHA-256 is $sum, not $expected. It was not installed."
}

explain_no_run() {
  case $1 in
    *[Pp]ermission\ denied*)
      echo "no program can be run in $bin_dir, which is mounted noexec, most likely: name another folder: BIN_DIR=\$HOME/bin. $1"
      ;;
    *)
      echo "signalbox does not run on this machine: it needs glibc 2.27 or newer and libgcc, which Alpine has not. $1"
      ;;
  esac
}

install_executable() {
  mkdir -p "$bin_dir" 2>/dev/null || true
  [ -d "$bin_dir" ] && [ -w "$bin_dir" ] ||
    fail "$bin_dir is not writable: run this as root (sudo sh), or name another folder: BIN_DIR=\$HOME/bin."
  [ ! -d "$bin_dir/signalbox" ] ||
    fail "$bin_dir/signalbox is a folder: remove it, or name another folder for the executable: BIN_DIR=\$HOME/bin."
  fetch "signalbox-$target" "$temporary/signalbox"
  chmod 755 "$temporary/signalbox"
  # It runs where it will stay: the folder for temporary files may be mounted noexec.
  new=$bin_dir/.signalbox.new
  cp -p "$temporary/signalbox" "$new" || fail "cannot write $new."
  version=$("$new" --version 2>"$temporary/error") || fail "$(explain_no_run "$(cat "$temporary/error")")"
  # Renamed in one step: a signalbox that is running keeps its file.
  mv -f "$new" "$bin_dir/signalbox" || fail "cannot write $bin_dir/signalbox."
  echo "$version is $bin_dir/signalbox."
}

# Offers the unit to a person on a terminal; stdin may be this script.
offer_unit() {
  if [ "$(uname -s)" != Linux ] || [ ! -d /run/systemd/system ] || [ "$bin_dir" != /usr/local/bin ]; then
    echo "Start it: $bin_dir/signalbox"
    return 0
  fi
  if systemctl is-active --quiet signalbox; then
    echo "The service still runs the version before: systemctl restart signalbox"
    return
  fi
  answer=no
  if (: </dev/tty) 2>/dev/null; then
    printf 'Run it as a service, now and at each start of the machine? [y/N] '
    read -r answer </dev/tty || answer=no
  fi
  case $answer in
    [yY] | [yY][eE][sS]) install_unit ;;
    *) echo "Start it: signalbox. As a service: $url/signalbox.service belongs into /etc/systemd/system." ;;
  esac
}

install_unit() {
  [ -w /etc/systemd/system ] || fail "/etc/systemd/system is not writable: run this as root (sudo sh)."
  fetch signalbox.service "$temporary/signalbox.service"
  fetch signalbox.env "$temporary/signalbox.env"
  mkdir -p /etc/signalbox
  cp "$temporary/signalbox.service" /etc/systemd/system/
  [ -e /etc/signalbox/signalbox.env ] || (umask 077 && cp "$temporary/signalbox.env" /etc/signalbox/)
  systemctl daemon-reload
  systemctl enable --quiet signalbox
  systemctl restart signalbox
  echo "signalbox is running. Its options: /etc/signalbox/signalbox.env"
}

main() {
  url=${1:-$release_url}
  url=${url%/}
  case $url in
    ?*://?*) ;;
    --help | -h)
      echo "Usage: [BIN_DIR=/usr/local/bin] sh install.sh [URL of a release, such as https://example.org/signalbox]"
      exit
      ;;
    '') fail "which release? Give its address: sh install.sh https://example.org/signalbox" ;;
    *) fail "$url is not the address of a release: sh install.sh https://example.org/signalbox" ;;
  esac
  target=$(find_target)
  temporary=$(mktemp -d)
  trap 'rm -rf "$temporary" "$bin_dir/.signalbox.new"' EXIT
  download SHA256SUMS "$temporary/downloaded"
  tr -d '\r' <"$temporary/downloaded" >"$temporary/SHA256SUMS" # a web server may have made CRLF of the line ends
  [ -n "$(sed -n '/^[0-9a-f]\{64\}  /p' "$temporary/SHA256SUMS")" ] ||
    fail "$url/SHA256SUMS is not a list of sums: is $url the address of a release?"
  install_executable
  offer_unit
}

main "$@"
