#!/bin/bash
# Everything that a GPU must prove, in at most 6 minutes on one H100 or H200:
#
#   check.sh DIR [ROW…]     all rows, or those that are named; results go to DIR
#
# Prints a line "PASS|FAIL|SKIP row seconds reason" as rows end, the most decisive first; no row stops the others.
# Leaves DIR/check.json, DIR/check.log (what the rows printed) and DIR/logs/.  Exit 1 if a row failed.
#
# Runs from a build tree and from an unpacked bundle; $CONVOY_BIN names another folder of convoy and convoy_gpu_test.
# $CONVOY_CUDA_LIBRARY is the library under test (tests/cuda_on_cpu: the fake, with CONVOY_GPU_TEST_SMALL=1);
# CONVOY_CHECK_SECONDS=N for another limit.  CUDA's own libraries are found as convoy finds them.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export CONVOY_CONFIGS=$here/../../configs
export CONVOY_LAYER_ERRORS=1  # the worst errors by layer, as a table in the log
small=${CONVOY_GPU_TEST_SMALL:+1}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
export OMPI_MCA_hwloc_base_binding_policy=none PRTE_MCA_hwloc_default_binding_policy=none
export OMPI_MCA_btl=^tcp,openib

find_programs() {
  local folder
  for folder in "${CONVOY_BIN-}" "$here/../../../../bin" "$here/../../build/release"; do
    [[ -n $folder && -x $folder/convoy_gpu_test && -x $folder/convoy ]] || continue
    bin=$(cd "$folder" && pwd)
    mpirun=mpirun
    [[ ! -x $bin/mpirun ]] || mpirun=$bin/mpirun
    return
  done
  echo "check.sh: no convoy and convoy_gpu_test in \$CONVOY_BIN, a bundle or build/release" >&2
  exit 69
}

# ---- What rows are made of.  A row runs in a shell of its own, with its own working directory; its exit code is 0, 77
# (skipped) or a failure; "reason TEXT" and "figure NAME VALUE" lines of its output are for the report.

skip() { echo "reason $*"; exit 77; }
fail() { echo "reason $*"; exit 1; }
needs_hardware() { [[ -z $small ]] || skip "needs a GPU, this is the fake"; }
# Of the last row `device`.
known() { sed -n "s/^figure $1 //p" "$dir/logs/device.log" 2>/dev/null | tail -n 1; }
devices() { local n; n=$(known devices); echo "${n:-1}"; }
needs_several() { (($(devices) > 1)) || skip "needs several GPUs, there is $(devices)"; }

gtest() {  # gtest FILTER: some tests of convoy_gpu_test
  local status=0
  "$bin/convoy_gpu_test" --gtest_filter="$1" --gtest_print_time=1 >gtest.log 2>&1 || status=$?
  cat gtest.log
  ((status < 128)) || fail "ended by signal $((status - 128)) in $(grep -o 'RUN      \] .*' gtest.log | tail -n 1)"
  if ((status != 0)); then
    fail "$(grep -c '^\[  FAILED  \] .* ms)$' gtest.log) failed: $(grep -m 1 -A 1 ': Failure' gtest.log | tr '\n' ' ')$(
      grep -m 1 'FAILED  \] .* ms)$' gtest.log | cut -c 12-)"
  fi
  grep -q '^\[       OK' gtest.log && return
  skip "$(grep -m 1 -A 1 'Skipped$' gtest.log | tail -n 1)"
}

train() {  # train NAME RANK-COMMAND… -- OVERRIDE…: a short run of ResNet in f32; sets `loss` to that of its last step
  local name=$1 command=() size=('batch={global: 64, micro: 32}' train.steps=10)
  shift
  while [[ $1 != -- ]]; do command+=("$1"); shift; done
  shift
  if [[ -n $small ]]; then
    size=("model={config: $CONVOY_CONFIGS/models/cifar-resnet20.yaml}" 'data.shape=[8,8,3]' data.test_size=2
      'batch={global: 4, micro: 2}' train.steps=2)
  fi
  "${command[@]}" train "$CONVOY_CONFIGS/resnet18-synthetic.yaml" --fresh device=cuda train.precision=f32 \
    optimizer.learning_rate=0.01 progress=plain "experiment.name=$name" "${size[@]}" "$@" || return
  loss=$(sed -n 's/.*"event":"step".*"loss":\([^,]*\).*/\1/p' "runs/$name/log.jsonl" | tail -n 1)
  echo "loss of $name: $loss"
}
test_loss() { sed -n 's/.*"event":"test".*"loss":\([^,]*\).*/\1/p' "runs/$1/log.jsonl" | tail -n 1; }
expect_near() { # expect_near A B TOLERANCE, relative
  awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; printf "figure loss_apart %.2g\n", d / b; exit !(b > 0 && d <= t * b) }' ||
    fail "losses differ: $1 and $2"
}

# ---- Rows

row_device() {
  "$bin/convoy" --version
  gtest 'GpuDeviceTest.*'
}

layers() { gtest "Gpu/GpuLayersTest.*/$1"; }  # one process each: an illegal access ends all that comes behind it
row_layers_conv2d() { layers 'conv2d_*'; }
row_layers_linear() { layers 'linear*'; }
row_layers_batch_norm() { layers 'batch_norm*'; }
row_layers_pool() { layers '*pool_*:Gpu/GpuLayersTest.*/global_average*'; }
row_layers_loss() {
  layers 'softmax_cross_entropy*:Gpu/GpuLayersTest.*/distillation*:Gpu/GpuLayersTest.*/binary_cross_entropy*:Gpu/GpuLayersTest.*/mean_squared_error*'
}
row_layers_others() {
  layers '*-*/conv2d_*:*/linear*:*/batch_norm*:*pool_*:*/global_average*:*/*_cross_entropy*:*/distillation*:*/mean_squared_error*'
}
row_layers_tf32() { gtest 'Gpu/GpuTf32Test.*'; }
row_layers_autotune() { gtest 'Gpu/GpuAutotuneTest.*'; }

row_resnet18_step() { gtest GpuNetworkTest.ResNet18EqualsTheCpu; }
row_run_cpu() { gtest GpuRunTest.EqualsTheCpu; }
row_graph() { gtest GpuRunTest.CapturedOrNotTheBitsAreTheSame; }
row_precision() { gtest GpuRunTest.SixteenBitsStayNear; }
row_loss_scale() { gtest GpuNetworkTest.AnOverflowSkipsTheStepAndHalvesTheScale; }
row_cache() { gtest GpuRunTest.DataInTheMemoryOfTheGpuAreTheSame; }
row_augment() { gtest GpuRunTest.AugmentsAndMixesAsTheHostDoes; }
row_resume() { gtest GpuRunTest.ResumedRunIsBitwiseEqual; }
row_recompute() { gtest GpuRunTest.RecomputedBlocksAreTheSame; }
row_staged_np2() { gtest GpuRunTest.TwoRanksShareTheGpu:GpuRunTest.BatchNormOverRanks*:GpuRunTest.WhatIsForSlowLinks*:GpuRunTest.SaysWhatItWaitsFor; }
row_nccl_one_rank() { gtest GpuNcclTest.OneRankAddsUpInsideCapturedWork:GpuNcclTest.GradientsInItsMemoryAreTheSame; }
row_replay() { gtest GpuNetworkTest.AThousandReplaysTakeNoMemory; }
row_nccl_sums() { gtest GpuNcclTest.RanksAddUpExactly; }
row_nccl_runs() { gtest GpuNcclTest.ResultDoesNotDependOnTheNumberOfRanks; }

row_mpirun_np2() {
  local alone
  train alone "$bin/convoy" -- || fail "one rank: exit code $?"
  alone=$loss
  train shared "$mpirun" -np 2 "$bin/convoy" -- distributed.share_device=true || fail "two ranks: exit code $?"
  expect_near "$loss" "$alone" 1e-3
  train sharded "$mpirun" -np 2 "$bin/convoy" -- distributed.share_device=true optimizer.sharded=true ||
    fail "two ranks with a sharded optimizer: exit code $?"
  expect_near "$loss" "$alone" 1e-3
}

# The update rules that no other row uses, with gradients clipped.
row_optimizers() {
  local rule on_gpu settings=(optimizer.momentum=null optimizer.learning_rate=0.001 optimizer.clip_norm=1)
  for rule in adam adamw rmsprop; do
    train "$rule" "$bin/convoy" -- optimizer.type=$rule "${settings[@]}" || fail "$rule on the GPU: exit code $?"
    on_gpu=$loss
    train "${rule}_cpu" "$bin/convoy" -- optimizer.type=$rule "${settings[@]}" device=cpu || fail "$rule on the CPU: exit code $?"
    expect_near "$on_gpu" "$loss" 1e-3
  done
}

# Those that look at tensors as a whole, with the average of weights, which the test loss is of.
row_layerwise() {
  local rule on_gpu average settings
  for rule in lars lamb muon; do
    settings=(optimizer.type=$rule optimizer.learning_rate=0.01 optimizer.clip_norm=1 train.ema_decay=0.5)
    [[ $rule != lamb ]] || settings+=(optimizer.momentum=null)
    train "$rule" "$bin/convoy" -- "${settings[@]}" || fail "$rule on the GPU: exit code $?"
    on_gpu=$loss
    average=$(test_loss "$rule")
    train "${rule}_cpu" "$bin/convoy" -- "${settings[@]}" device=cpu || fail "$rule on the CPU: exit code $?"
    expect_near "$on_gpu" "$loss" 1e-3
    expect_near "$average" "$(test_loss "${rule}_cpu")" 1e-3
  done
}

# The losses that no other row uses; what they are evaluated to, counted by the kernel and from fetched logits.
row_losses() {
  local kind on_gpu number=0 table
  for kind in '{label_smoothing: 0.1, class_weights: [1, 2, 0, 0.5, 1, 1, 3, 1, 1, 1]}' \
    '{type: binary_cross_entropy, label_smoothing: 0.1}' '{type: mean_squared_error}' '{teacher: {file: runs/loss1}}'; do
    train "loss$((++number))" "$bin/convoy" -- "loss=$kind" || fail "$kind on the GPU: exit code $?"
    on_gpu=$loss
    table=$("$bin/convoy" eval "runs/loss$number/config.yaml" --confusion --json) || fail "eval: exit code $?"
    grep -o '"correct":[0-9]*' <<<"$table" | awk -F: 'NR == 1 { all = $2 } NR > 1 { sum += $2 } END { exit !(NR == 11 && sum == all) }' ||
      fail "the table of confusions is not what was counted: $table"
    train "loss${number}_cpu" "$bin/convoy" -- "loss=$kind" device=cpu || fail "$kind on the CPU: exit code $?"
    expect_near "$on_gpu" "$loss" 1e-3
  done
}

# Smaller images in the first epoch.
row_stages() {
  local samples=320 size='[96, 96]' on_gpu
  [[ -z $small ]] || samples=4 size='[6, 6]'
  local stages=("train.stages=[{epochs: 1, size: $size}]" "data.train_size=$samples")
  train stages "$bin/convoy" -- "${stages[@]}" || fail "on the GPU: exit code $?"
  on_gpu=$loss
  train stages_cpu "$bin/convoy" -- "${stages[@]}" device=cpu || fail "on the CPU: exit code $?"
  expect_near "$on_gpu" "$loss" 1e-3
}

# The front of a network, frozen, under a new head.
row_frozen() {
  local network=resnet18 model on_gpu
  [[ -z $small ]] || network=cifar-resnet20
  model="model={base: {config: $CONVOY_CONFIGS/models/$network.yaml, freeze: true},
    layers: [global_average, flatten, linear: {units: classes}]}"
  train frozen "$bin/convoy" -- "$model" || fail "on the GPU: exit code $?"
  on_gpu=$loss
  train frozen_cpu "$bin/convoy" -- "$model" device=cpu || fail "on the CPU: exit code $?"
  expect_near "$on_gpu" "$loss" 1e-3
}

row_predict() {
  local image device
  train net "$bin/convoy" -- 'train.exports=[net.safetensors]' || fail "training: exit code $?"
  mkdir images
  for image in 1 2 3 4 5; do { printf 'P6\n32 32\n255\n'; head -c 3072 /dev/urandom; } >images/$image.ppm; done
  for device in cpu cuda; do
    "$bin/convoy" predict runs/net/net.safetensors images --device=$device --precision=f32 --top=10 --logits \
      --format=csv --out=$device.csv || fail "on $device: exit code $?"
    sort -t , -k 1,1 -k 3,3n $device.csv >$device.sorted
  done
  paste -d , cpu.sorted cuda.sorted | awk -F , '
    $1 == "path" { next }
    $1 != $7 || $3 != $9 { print "other rows: " $0; exit 1 }
    { d = $6 - $12; if (d < 0) d = -d; if (d > most) most = d; a = $6 < 0 ? -$6 : $6; if (a > size) size = a; ++rows }
    END { printf "figure logits_apart %.2g\n", most / size; exit !(rows == 50 && most <= 1e-3 * size) }' ||
    fail "logits differ between CPU and GPU"
}

# NCCL refuses two ranks on one GPU unless it takes them for two hosts: slow, but the whole way through NCCL.
row_nccl_np2_on_one() {
  needs_hardware
  local alone
  train alone "$bin/convoy" -- || fail "one rank: exit code $?"
  alone=$loss
  export NCCL_SOCKET_IFNAME=lo NCCL_IB_DISABLE=1 NCCL_NET=Socket NCCL_NVLS_ENABLE=0 NCCL_MNNVL_ENABLE=0
  export NCCL_RAS_ENABLE=0 NCCL_MAX_CTAS=2 NCCL_PROTO=Simple CUDA_VISIBLE_DEVICES=0
  # shellcheck disable=SC2016  # for the rank's shell
  train nccl "$mpirun" -np 2 sh -c 'NCCL_HOSTID=convoy-$OMPI_COMM_WORLD_RANK exec "$0" "$@"' "$bin/convoy" -- ||
    skip "a work-around that NCCL need not accept: exit code $?, see the log"
  expect_near "$loss" "$alone" 1e-3
}

row_fashion() {
  needs_hardware
  "$bin/convoy" train "$CONVOY_CONFIGS/fashion-mnist.yaml" --fresh device=cuda data.cache=device progress=plain 2>&1 |
    tee fashion.log
  ((PIPESTATUS[0] == 0)) || fail "exit code ${PIPESTATUS[0]}"
  local top1
  top1=$(sed -n 's/.*top-1 \([0-9.]*\)%.*/\1/p' fashion.log | tail -n 1)
  echo "figure top1_percent $top1"
  awk -v a="$top1" 'BEGIN { exit !(a >= 91) }' || fail "top-1 $top1 %, wanted 91"
}

sanitizer() {  # sanitizer TOOL: over Convoy's own kernels, not those of libraries
  needs_hardware
  local program
  program=$(PATH=$PATH:/usr/local/cuda/bin:/usr/local/cuda/compute-sanitizer command -v compute-sanitizer) ||
    skip "there is no compute-sanitizer"
  "$program" --tool "$1" --target-processes all --report-api-errors no "$bin/convoy_gpu_test" --gtest_filter="GpuDeviceTest.*:$(
    printf '*GpuLayersTest.*/%s:' '*_odd_bf16' '*_odd_f32' max_pool_overlap_f32 'softmax_cross_entropy_padded*' \
      'softmax_cross_entropy_weighted_smoothed_padded*' 'binary_cross_entropy_padded*' \
      'conv2d_depthwise_17_*')-*linear*" >sanitizer.log 2>&1
  cat sanitizer.log
  grep -qE '(ERROR|RACECHECK) SUMMARY' sanitizer.log || skip "did not start: $(grep '^=========' sanitizer.log | tail -n 1)"
  grep -qE '(ERROR|RACECHECK) SUMMARY: 0 ' sanitizer.log || fail "$(grep -E 'SUMMARY' sanitizer.log | tail -n 1)"
  grep -q '^\[  PASSED  \]' sanitizer.log || fail "no errors, but tests failed"
}
row_memcheck() { sanitizer memcheck; }
row_racecheck() { sanitizer racecheck; }
row_synccheck() { sanitizer synccheck; }
row_initcheck() { sanitizer initcheck; }

row_overlap() {
  needs_hardware
  needs_several
  "$mpirun" -np "$(devices)" "$bin/convoy" bench overlap "$CONVOY_CONFIGS/resnet50-synthetic.yaml" device=cuda \
    'batch={per_rank: 64}' >overlap.log 2>&1 || { cat overlap.log; fail "exit code $?"; }
  cat overlap.log
  overlap_figures
}
# Of a table of `bench overlap`: steps with buckets while backward runs, by those with one sum behind it; efficiency; what compute waits.
overlap_figures() {
  awk -F'|' '/^\| buckets while/ { with = $3 } /^\| one bucket/ { print "figure with_over_without", with / $3; seen = 1 }
    END { exit !seen }' overlap.log || fail "no table"
  sed -n 's/^Efficiency \([0-9.]*\)%; a rank waits \([0-9.]*\) ms.*/figure efficiency_percent \1\nfigure exposed_milliseconds \2/p' overlap.log
}

# What is measured is finite and right, not fast: two ranks on one GPU are summed through the host.
row_bench() {
  "$mpirun" -np 2 "$bin/convoy" bench overlap "$CONVOY_CONFIGS/resnet18-synthetic.yaml" device=cuda \
    distributed.share_device=true 'batch={per_rank: 2}' --repeat=2 >overlap.log 2>&1 || { cat overlap.log; fail "overlap: exit code $?"; }
  overlap_figures
  "$mpirun" -np 2 "$bin/convoy" bench all-reduce "$CONVOY_CONFIGS/resnet18-synthetic.yaml" device=cuda --maxbytes=65536 \
    distributed.share_device=true --repeat=2 --json >sums.json || fail "all-reduce: exit code $?"  # 70 where a sum is wrong
  needs_hardware  # the peak takes minutes on the fake
  "$bin/convoy" bench step "$CONVOY_CONFIGS/resnet18-synthetic.yaml" device=cuda --json >step.json || fail "step: exit code $?"
  grep -q '"bytes_per_second":[1-9]' step.json && grep -q '"flops_per_second":[1-9]' step.json || fail "no peak"
  sed -n 's/.*"bytes_per_second":\([0-9.e+]*\),"flops_per_second":\([0-9.e+]*\).*/figure bytes_per_second \1\nfigure flops_per_second \2/p' step.json
}

row_kill_rank() {
  needs_hardware
  needs_several
  "$mpirun" -np "$(devices)" "$bin/convoy" train "$CONVOY_CONFIGS/resnet18-synthetic.yaml" --fresh device=cuda \
    train.steps=10000000 train.log_every_steps=10 'batch={per_rank: 64}' progress=plain >kill.log 2>&1 &
  local job=$! victim begin status=0
  for _ in {1..300}; do
    grep -q ' step [0-9]' kill.log && break
    kill -0 "$job" || break
    sleep 0.2
  done
  victim=$(pgrep -P "$job" convoy | tail -n 1)
  [[ -n $victim ]] || { cat kill.log; fail "no rank is running"; }
  begin=$SECONDS
  kill -KILL "$victim"
  wait "$job" || status=$?
  cat kill.log
  echo "figure exit_code $status"
  echo "figure seconds_to_end $((SECONDS - begin))"
  ((status != 0)) || fail "nobody noticed that a rank died"
  ((SECONDS - begin <= 15)) || fail "peers waited $((SECONDS - begin)) s for a rank that is gone"
}

row_scaling() {
  needs_hardware
  needs_several
  local n
  for ((n = 1; n <= $(devices); n = 2 * n > $(devices) && n < $(devices) ? $(devices) : 2 * n)); do
    "$mpirun" -np $n "$bin/convoy" bench step "$CONVOY_CONFIGS/resnet50-synthetic.yaml" device=cuda \
      'batch={per_rank: 64}' --json >"step$n.json" || fail "$n ranks: exit code $?"
    sed -n "s/.*\"images_per_second\":\([0-9.]*\).*/figure images_per_second_$n \1/p" "step$n.json"
  done
}

# ---- Running rows

start=$SECONDS
limit=${CONVOY_CHECK_SECONDS:-360}

one() {  # one ROW TIMEOUT: runs it and notes "STATUS seconds reason" in DIR/rows/ROW
  local name=$1 seconds=$2 left=$((limit - SECONDS + start)) began=$SECONDS status=0 log=$dir/logs/$1.log word reason
  local work=$dir/scratch/$name
  ((seconds <= left)) || seconds=$left
  if ((seconds < 3)); then
    echo "SKIP 0 no time was left" >"$dir/rows/$name"
  else
    mkdir -p "$work"
    (cd "$work" && timeout -k 5 "$seconds" "$here/check.sh" --row "$name" "$dir") >"$log" 2>&1 </dev/null || status=$?
    case $status in 0) word=PASS ;; 77) word=SKIP ;; *) word=FAIL ;; esac
    reason=$(sed -n 's/^reason //p' "$log" | tail -n 1)
    case $status in 124 | 137) reason="not done after $seconds s" ;; esac
    [[ $word == PASS || -n $reason ]] || reason="exit code $status: $(tail -n 1 "$log")"
    echo "$word $((SECONDS - began)) $reason" >"$dir/rows/$name"
  fi
  read -r word seconds reason <"$dir/rows/$name"
  printf '%s %-16s %3d s  %s\n' "$word" "$name" "$seconds" "$reason"
}

wanted=()
rows() {  # rows TIMEOUT ROW…: at the same time
  local timeout=$1 name names=() chosen
  shift
  for name in "$@"; do
    chosen=" ${wanted[*]} "
    [[ ${#wanted[@]} == 0 || $chosen == *" $name "* ]] && names+=("$name")
  done
  for name in "${names[@]}"; do one "$name" "$timeout" & done
  wait
  [[ ${#names[@]} == 0 ]] || order+=("${names[@]}")
  report
}

report() {  # check.json and check.log of the rows so far
  local name
  for name in "${order[@]}"; do printf '==== %s\n' "$name"; cat "$dir/logs/$name.log" 2>/dev/null; done >"$dir/check.log"
  python3 - "$dir" "${order[@]}" <<'PYTHON'
import json, os, pathlib, platform, re, subprocess, sys, time

def said(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return f"unknown: {error}"

def value(text):
    try:
        return float(text)
    except ValueError:
        return text

folder, names, rows = pathlib.Path(sys.argv[1]), sys.argv[2:], []
for name in names:
    status, seconds, *reason = (folder / "rows" / name).read_text().split(maxsplit=2)
    log = folder / "logs" / f"{name}.log"
    text = log.read_text(errors="replace") if log.exists() else ""
    figures = {key: value(it) for key, it in re.findall(r"^figure (\S+) (.*)$", text, re.M)}
    rows.append({"row": name, "status": status, "seconds": int(seconds), "reason": "".join(reason).strip(), "figures": figures})
device = next((row["figures"] for row in rows if row["row"] == "device"), {})
version = (folder / "version.txt").read_text().splitlines() or [""]
revision = re.search(r"\(([^,]*)", version[0])
gpu = said("nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.max.sm", "--format=csv,noheader")
result = {"machine": platform.platform(), "processors": os.cpu_count(), "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
          "gpu": device.get("device"), "gpus": device.get("devices"), "nvidia_smi": gpu.splitlines(),
          "libraries": device.get("libraries"), "convoy": version[0], "revision": revision and revision[1], "rows": rows}
(folder / "check.json").write_text(json.dumps(result, indent=1) + "\n")
PYTHON
}

find_programs
if [[ ${1-} == --row ]]; then
  dir=$3
  "row_$2"
  exit
fi

[[ -n ${1-} && $1 != -* ]] || { echo "usage: check.sh DIR [ROW…]" >&2; exit 64; }
command -v python3 >/dev/null || { echo "check.sh: python3 is not found, which writes the report" >&2; exit 69; }
dir=$1
shift
mkdir -p "$dir" && dir=$(cd "$dir" && pwd) || exit 73
# What an earlier check left there may go; nothing else.
[[ -e $dir/check.json || -z $(ls -A "$dir") ]] || { echo "check.sh: $dir: expected an empty folder, or one of an earlier check" >&2; exit 73; }
wanted=()
(($# == 0)) || wanted=(device "$@")  # which also says what machine this is
for name in "${wanted[@]}"; do
  declare -F "row_$name" >/dev/null || { echo "check.sh: there is no row '$name'" >&2; exit 64; }
done
order=()
rm -rf "$dir"/{rows,logs,scratch,check.json,check.log}
mkdir -p "$dir"/{rows,logs,scratch}
"$bin/convoy" --version >"$dir/version.txt" 2>&1

rows 60 device
rows 120 layers_conv2d layers_linear layers_batch_norm layers_pool layers_loss layers_others layers_tf32
rows 60 resnet18_step
rows 90 graph loss_scale staged_np2 run_cpu precision cache augment resume recompute nccl_one_rank
rows 60 nccl_sums
rows 60 nccl_runs
rows 60 replay
rows 60 mpirun_np2 frozen predict
rows 60 optimizers layerwise
rows 90 losses stages bench
rows 60 fashion
rows 60 memcheck racecheck synccheck initcheck
rows 60 layers_autotune
rows 60 overlap
rows 60 kill_rank
rows 90 scaling
rows 60 nccl_np2_on_one

cat "$dir"/rows/* | awk '{ ++n[$1] } END { printf "%d passed, %d failed, %d skipped\n", n["PASS"], n["FAIL"], n["SKIP"] }'
! grep -q '^FAIL' "$dir"/rows/*
