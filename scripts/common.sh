# Sourced by the scripts beside it: where things are, Open MPI's settings, and stages with a time.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
mkdir -p build
# shellcheck disable=SC2034  # for the script that sources this one
jobs=$(nproc)

# Both families of names: mpirun of Open MPI 4 reads OMPI_*, of Open MPI 5 PRTE_*.  Root is usual in containers; more
# ranks than cores is usual on small machines; convoy itself decides which threads run where.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
export OMPI_MCA_hwloc_base_binding_policy=none PRTE_MCA_hwloc_default_binding_policy=none
# These scripts stay on one machine.  Where it has no usual network, Open MPI 5 complains about TCP for each rank.
export OMPI_MCA_btl=^tcp,openib

if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-ccache}
fi

# stage "what it does" COMMAND…: one line with the time it took; all output goes to the log.  If the command fails,
# the end of its output is shown and the status is handed on.
log=$root/build/$(basename "$0").log
: >"$log"
stage() {
  local what=$1 start=$SECONDS status=0 before
  shift
  before=$(wc -l <"$log")
  printf '%s … ' "$what"
  printf '\n==== %s\n' "$what" >>"$log"
  "$@" >>"$log" 2>&1 </dev/null || status=$?
  if [[ $status == 0 ]]; then
    printf '%d s\n' $((SECONDS - start))
  else
    printf 'failed (exit %d)\n' "$status"
    tail -n +"$((before + 1))" "$log" | tail -n 30
    printf 'The whole output is in %s\n' "$log"
  fi
  return "$status"
}

# Installs packages if any are missing, see scripts/install-dependencies; says nothing when none is.
install_packages() {
  local status=0
  scripts/install-dependencies --check "$@" || status=$?
  [[ $status == 0 ]] && return
  [[ $status == 1 ]] || exit "$status"
  stage "Installing packages" scripts/install-dependencies "$@"
}
