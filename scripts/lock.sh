#!/bin/sh
# Pins and hashes the requirements anew, without naming a registry in the files.
set -eu
python="$1"
"$python" -m pip install --quiet pip-tools
lock() {
    "$python" -m piptools compile --generate-hashes --allow-unsafe --strip-extras --quiet --no-header \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --upgrade "$@"
}
lock --output-file requirements/run.txt pyproject.toml
lock --extra central --constraint requirements/run.txt --output-file requirements/central.txt pyproject.toml
lock --output-file requirements/build.txt requirements/build.in
lock --output-file requirements/dev.txt requirements/dev.in
