#!/bin/bash
# self_contained.sh BUNDLE.tar.gz: nothing in it uses a library that is neither in it nor part of glibc 2.36; only
# libconvoy_cuda.so asks for CUDA's libraries.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar -xzf "${1:?usage: self_contained.sh BUNDLE.tar.gz}" -C "$folder" --strip-components=1
cd "$folder"

count=0 errors=0
error() { echo "$*"; errors=$((errors + 1)); }
while read -r file; do
  readelf -h "$file" >/dev/null 2>&1 || continue
  count=$((count + 1))
  allowed="^$folder/|^/lib64/ld-linux-x86-64\.so\.2|/lib(c|m|dl|rt|pthread|resolv)\.so\.[0-9]+\$"
  [[ $file == lib/libconvoy_cuda.so ]] && allowed+='|/lib(cudart|cublas|cublasLt|cudnn|nccl|nvrtc)\.so\.[0-9]+$|^not$'
  while read -r name _ where _; do
    [[ ${where:-$name} =~ $allowed ]] || error "$file: $name is $where"
  done < <(env -u LD_LIBRARY_PATH ldd "$file" | grep -v linux-vdso)
  newest=$(readelf -V "$file" | grep -o 'GLIBC_2\.[0-9]*' | sort -V | tail -n 1 || true)
  [[ -z $newest || $(printf '%s\n' "$newest" GLIBC_2.36 | sort -V | tail -n 1) == GLIBC_2.36 ]] || error "$file needs $newest"
done < <(find libexec lib -type f)
echo "$count programs and libraries, $errors errors"
[[ $count -gt 50 && $errors == 0 ]]
