#!/bin/bash
# ResNet-20 on CIFAR-10 in Convoy and in PyTorch, the same recipe, two seeds each: four runs, one after another, and the plot.
#
#   CIFAR10=DIR benchmarks/curves/run.sh CONVOY PYTHON OUT [EPOCHS]
#
# CIFAR10: the directory with data_batch_*.bin and test_batch.bin.  PYTHON has torch, torchvision, pyyaml and matplotlib.
# OUT gets the runs, curves.svg and curves.md.  EPOCHS: 24 if not given, which for 8,068 images are about 10 minutes a run on two cores.
# Two ranks with a micro-batch of 64 rows each: batch norm sees what it saw on the two GPUs of He et al. 2015.
set -euo pipefail
: "${CIFAR10:?is the directory of data_batch_*.bin}"
here=$(cd "$(dirname "$0")" && pwd)
convoy=$(realpath "${1:?CONVOY: the program}") python=$(realpath -s "${2:?PYTHON: an interpreter with torch}")
mkdir -p "${3:?OUT: a directory for the results}"
CIFAR10=$(realpath "$CIFAR10")
export CIFAR10
cd "$3"
epochs=${4:-24}

for seed in 1 2; do
  mpirun -np 2 "$convoy" train "$here/../../configs/cifar10-resnet20.yaml" experiment.name="resnet20-$seed" \
    experiment.seed=$seed train.epochs="$epochs" batch.micro=64 train.log_every_steps=1
  "$python" "$here/train_pytorch.py" "runs/resnet20-$seed" "pytorch-$seed.jsonl"
done
"$python" "$here/plot.py" curves.svg Convoy=runs/resnet20-{1,2} PyTorch=pytorch-{1,2}.jsonl | tee curves.md
