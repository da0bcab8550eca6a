#!/bin/bash
# complete.sh BUNDLE DATA: copies the libraries that the programs and plugins of BUNDLE need beside them, with their
# licences, lets each find the others wherever BUNDLE lies, makes bin/, and points the configurations at BUNDLE's copy
# of DATA.  Not copied: glibc, and what comes with CUDA or PyTorch (see core/device/cuda_library.cpp).
set -euo pipefail
bundle=$1 data=$2
from_system='lib(c|m|dl|rt|pthread|resolv|cuda|cudart|cublas|cublasLt|cudnn|nccl|nvrtc)'

programs() { (cd "$bundle" && find libexec lib -type f -exec sh -c 'head -c 4 "$1" | grep -q ELF' sh {} \; -print); }

# The name by which each library is asked for, and where it is here.
(cd "$bundle" && programs | xargs ldd) | awk '$2 == "=>" && $3 ~ "^/" { print $1, $3 }' | sort -u |
  grep -vE "^($from_system)\.so" | while read -r name file; do
  [[ -e $bundle/lib/$name ]] && continue
  file=$(realpath "$file")
  install -m 644 "$file" "$bundle/lib/$name"
  # Debian 12 installs in /usr what dpkg may have noted as /lib.
  package=$(dpkg -S "$file" 2>/dev/null || dpkg -S "${file#/usr}")
  package=${package%%:*}
  install -D -m 644 "/usr/share/doc/$package/copyright" "$bundle/share/doc/licenses/$package/copyright"
done

programs | while read -r file; do
  above=$(dirname "$file" | sed 's|[^/]*|..|g')
  patchelf --force-rpath --set-rpath "\$ORIGIN/$above/lib" "$bundle/$file"
done
for program in "$bundle"/libexec/*; do
  install -D "$(dirname "$0")/start.sh" "$bundle/bin/${program##*/}"
done
# The data lie unpacked: the archive packs them better.
data_name=$(basename "$data")
gunzip -f "$bundle/share/convoy/$data_name"/*.gz
sed -i "s|:$data}\(.*\)\.gz|:../$data_name}\1|" "$bundle"/share/convoy/configs/*.yaml
