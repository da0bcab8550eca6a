#!/bin/bash
# What must hold between hosts: a run on two hosts has the bits of a run on one, and ends when a rank of the other host
# is killed.  hosts_test.sh CONVOY MPIRUN; ends with 77 where with_hosts does.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
convoy=$1 mpirun=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >x.yaml <<'EXPERIMENT'
experiment: {name: x}
model: {layers: [{conv2d: {filters: 8, kernel: 3}}, batch_norm, relu, flatten, {linear: {units: classes}}]}
data: {format: synthetic, shape: [12, 12, 1], classes: 10, train_size: 512, test_size: 64}
batch: {global: 32, micro: 8}
train: {steps: 40}
optimizer: {type: sgd, learning_rate: 0.05, momentum: 0.9}
device: cpu
progress: plain
threads: 1
EXPERIMENT
fail() { echo "FAILED: $*" >&2; exit 1; }
on_hosts() { "$here/with_hosts" "$@"; }

status=0
on_hosts 2 none true || status=$?
[[ $status == 0 ]] || exit "$status"

echo "two hosts have the bits of one"
"$mpirun" -np 2 "$convoy" train x.yaml experiment.output_dir=one >one.log
on_hosts 2 1gbit "$mpirun" -np 2 --map-by node "$convoy" train x.yaml experiment.output_dir=two >two.log
grep -q 'ranks are on 2 hosts' two.log || { cat two.log; fail "the run header does not say that ranks are on 2 hosts"; }
for file in model optimizer; do
  cmp {one,two}/x/checkpoints/step-0000000040/$file.safetensors || fail "$file differs"
done

echo "four hosts, gradients as bf16, sharded"
on_hosts 4 1gbit "$mpirun" -np 4 --map-by node "$convoy" train x.yaml experiment.name=four optimizer.sharded=true distributed.gradients=bf16 >four.log
grep -q 'ranks are on 4 hosts' four.log || { cat four.log; fail "the run header does not say that ranks are on 4 hosts"; }

echo "two hosts with two ranks each: flat with the bits of one host, hierarchical by itself"
"$mpirun" -np 4 --oversubscribe "$convoy" train x.yaml experiment.output_dir=one-4 >one-4.log
on_hosts 2 1gbit "$mpirun" -np 4 --oversubscribe --map-by node "$convoy" train x.yaml experiment.output_dir=flat distributed.transport=progress_thread >flat.log
cmp {one-4,flat}/x/checkpoints/step-0000000040/model.safetensors || fail "the model differs"
on_hosts 2 1gbit "$mpirun" -np 4 --oversubscribe --map-by node "$convoy" train x.yaml experiment.output_dir=hierarchical >hierarchical.log
grep -q 'ranks are on 2 hosts: progress thread between them; in each: mpi (shared window)' hierarchical.log ||
  { cat hierarchical.log; fail "four ranks on two hosts are not hierarchical"; }

echo "a report over two hosts names them"
on_hosts 2 1gbit "$mpirun" -np 2 --map-by node "$convoy" bench scaling x.yaml --repeat=2 --mode=synthetic --out=scaling >/dev/null 2>&1
grep -q '^- hosts: host1: 0, host2: 1$' scaling/report.md || { cat scaling/report.md; fail "the report does not name the hosts"; }

echo "a rank that is killed on the other host ends the job"
cat >kill.sh <<'KILL'
"$1" -np 2 --map-by node "$2" train x.yaml experiment.name=killed train.steps=1000000 >killed.log 2>&1 &
job=$!
until grep -qs 'step 2' killed.log; do sleep 0.1; done
victim=$(pgrep -f 'experiment.name=killed' | while read -r pid; do
  grep -qz OMPI_COMM_WORLD_RANK=1 "/proc/$pid/environ" 2>/dev/null && [[ $(readlink "/proc/$pid/exe") == */convoy ]] && echo "$pid"; done)
kill -9 $victim
begin=$SECONDS status=0
wait "$job" || status=$?
echo "ended with $status, $((SECONDS - begin)) s after the kill"
[[ $status != 0 ]] && ((SECONDS - begin < 20))
KILL
on_hosts 2 1gbit timeout 90 bash kill.sh "$mpirun" "$convoy" || { tail killed.log; fail "the job did not end well"; }
echo "passed"
