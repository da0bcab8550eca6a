#!/bin/bash
# rank_dies.sh PROGRAM MPIEXEC…: however a rank dies, its peers end within seconds and leave nothing behind.
# Requires: nobody else uses /dev/shm, see with_small_shm.sh.
set -uo pipefail
program=$1
shift
status=0
fail() {
  echo "$*"
  status=1
}
left_behind() {  # processes that carry our mark, and shared memory
  grep -lsz "^CONVOY_RANK_DIES=$$\$" /proc/[0-9]*/environ
  ls /dev/shm
}

for transport in window thread; do
  for way in exit abort kill throw; do
    start=$SECONDS
    CONVOY_RANK_DIES=$$ timeout -k 5 30 "$@" "$program" "$way" "$transport" >/dev/null 2>&1
    code=$?
    echo "$transport, $way: exit code $code after $((SECONDS - start)) s"
    ((code != 0 && code != 124)) || fail "nobody noticed that a rank died"
    ((SECONDS - start <= 10)) || fail "peers waited for a rank that is gone"
    for _ in {1..20}; do
      [[ -n $(left_behind) ]] || break
      sleep 0.1
    done
    [[ -z $(left_behind) ]] || fail "left behind: $(left_behind)"
  done
done
exit $status
