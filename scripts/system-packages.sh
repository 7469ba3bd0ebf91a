#!/bin/sh
# Makes sure that the system packages of a target are there: "run" (daemon, core, page) or "test" (checks as well).
# As root, or with sudo, it installs what is missing; otherwise it prints the line to run and stops.
set -eu

missing=""
need() { missing="$missing $1"; }
has() { command -v "$1" >/dev/null 2>&1; }

python="$1"
target="$2"

"$python" -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
"$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || need python3-dev
has cc || need gcc
echo '#include <stdint.h>' | cc -E -x c - >/dev/null 2>&1 || need libc6-dev
has node || need nodejs
has npm || need npm
if [ "$target" = test ]; then
    has openssl || need openssl
    has mbpoll || need mbpoll
    has initdb || [ -n "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || need postgresql
    echo '#include <modbus/modbus.h>' | cc -E -x c - >/dev/null 2>&1 || need libmodbus-dev
    has mosquitto || [ -x /usr/sbin/mosquitto ] || need mosquitto
    has chromium || need chromium
    has chromedriver || need chromium-driver
fi

[ -n "$missing" ] || exit 0

if ! has apt-get; then
    echo "huxi: these Debian packages (or your system's equivalents) are missing:$missing" >&2
    exit 2
fi
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif has sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    sudo="sudo"
else
    echo "huxi: system packages are missing. Run this line once as an administrator, then try again:" >&2
    echo "  sudo apt-get update && sudo apt-get install --no-install-recommends -y$missing" >&2
    exit 2
fi
echo "huxi: installing system packages:$missing"
$sudo apt-get update -qq
# shellcheck disable=SC2086 # a list of words on purpose
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install --no-install-recommends -y -qq $missing >/dev/null
