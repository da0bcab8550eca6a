#!/bin/sh
# with_small_shm.sh SIZE COMMAND…: runs it with a /dev/shm of that size, as in a container; exit 77 where that is
# not allowed.
size=$1
shift
[ "$(id -u)" = 0 ] || as_root=--map-root-user
namespace="unshare ${as_root-} --mount"
$namespace mount -t tmpfs -o "size=$size" tmpfs /dev/shm 2>/dev/null || exit 77
# shellcheck disable=SC2016
exec $namespace sh -c 'mount -t tmpfs -o "size=$0" tmpfs /dev/shm && exec "$@"' "$size" "$@"
