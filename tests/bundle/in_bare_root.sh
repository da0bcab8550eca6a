#!/bin/bash
# in_bare_root.sh BUNDLE.tar.gz: the bundle works in a Debian 12 that has nothing but its essential packages, from a
# path with a space in it, for a user who is not root.  Needs root and mmdebstrap, else exit 77; takes a minute or two.
set -euo pipefail
bundle=$(realpath "${1:?usage: in_bare_root.sh BUNDLE.tar.gz}")
skip() { echo "$*"; exit 77; }
[[ $EUID == 0 ]] || skip "needs root"
command -v mmdebstrap >/dev/null || skip "needs mmdebstrap"
if [[ ${CONVOY_BARE_ROOT:-} != inside ]]; then  # mounts made here are seen by nobody else and end with this script
  unshare --mount true 2>/dev/null || skip "may not mount"
  CONVOY_BARE_ROOT=inside exec unshare --mount --propagation private "$0" "$@"
fi

root=$(mktemp -d "${TMPDIR:-/tmp}/convoy-bare.XXXXXX")
chmod 755 "$root"
trap 'umount -R "$root"/{dev,proc,sys} 2>/dev/null || true; rm -rf --one-file-system "$root"' EXIT
proxy=$(apt-config dump --format 'Acquire::http::Proxy "%v";%n' Acquire::http::Proxy)
mmdebstrap --quiet --variant=essential ${proxy:+--aptopt="$proxy"} \
  bookworm "$root" "${CONVOY_DEBIAN_MIRROR:-http://deb.debian.org/debian}"
mount -t proc proc "$root/proc"
mount --rbind -o ro /sys "$root/sys"
mount --make-rslave "$root/sys"
mount --bind /dev "$root/dev"
mount -t tmpfs -o size=256m tmpfs "$root/dev/shm"
home="/opt/some where"
mkdir -p "$root$home"
tar -xzf "$bundle" -C "$root$home"
mv "$root$home"/convoy-* "$root$home/convoy"
chown -R 1000:1000 "$root$home"

# expect STATUS TEXT COMMAND…: the command, given from the bundle's folder, ends so and prints that.
expect() {
  local status=0 output
  printf '$ %s\n' "${*:3}"
  # shellcheck disable=SC2016
  output=$(chroot --userspec=1000:1000 "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME="$home" OMP_NUM_THREADS=1 \
    sh -c 'cd "$HOME/convoy" && exec "$@"' sh "${@:3}" 2>&1) || status=$?
  printf '%s\n' "$output"
  [[ $status == "$1" && $output =~ $2 ]] || { echo "expected exit $1 and '$2', found exit $status"; exit 1; }
}
config=share/convoy/configs/fashion-mnist.yaml
short=(train.epochs=1 data.train_limit=6400)
expect 0 "convoy 0" bin/convoy --version
expect 0 "" bin/mpirun --oversubscribe -np 2 bin/convoy train "$config" "${short[@]}"
expect 0 "" bin/convoy eval "$config" "${short[@]}"
expect 69 "libconvoy_cuda.so" bin/convoy train "$config" "${short[@]}" device=cuda experiment.name=cuda
