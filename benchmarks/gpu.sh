#!/bin/bash
# Training steps per second on this machine's GPU: Convoy against PyTorch, one row a network and batch.
#
#   benchmarks/gpu.sh DIR ROW…          writes DIR/ROW.json and adds a line to DIR/gpu.md; at most 4 minutes a row
#   benchmarks/gpu.sh --list            names the rows
#
# A row that DIR has already is not run again, so the same command goes on after an interruption.  Options: see --help.
# Runs from a build tree and from an unpacked bundle ($CONVOY_BIN: another folder of convoy).  PyTorch is that of $PYTHON,
# by default python3; without one, or with --no-pytorch, its columns stay empty.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
for folder in "${CONVOY_BIN-}" "$here/../../../bin" "$here/../build/release"; do
  [[ -z $folder || ! -x $folder/convoy ]] || break
done
[[ -x $folder/convoy ]] || { echo "gpu.sh: no convoy in \$CONVOY_BIN, a bundle or build/release" >&2; exit 69; }
exec "${PYTHON:-python3}" "$here/gpu.py" --convoy "$(cd "$folder" && pwd)/convoy" "$@"
