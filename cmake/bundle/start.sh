#!/bin/sh
# Starts the program of this name in libexec.  Open MPI looks in the folders that it was built for unless it is told
# where each of them is now; on other hosts it starts this script too, as orted, from the same path.
here=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
export OPAL_PREFIX="$here" OPAL_PKGDATADIR="$here/share/openmpi"
export OMPI_MCA_mca_base_component_path="$here/lib/openmpi" OMPI_MCA_orte_launch_agent="$here/bin/orted"
export PMIX_INSTALL_PREFIX="$here"
export PMIX_MCA_mca_base_component_path="$here/lib/pmix" PMIX_MCA_pmix_mca_base_component_path="$here/lib/pmix"
# Without ssh there is one host only, which Open MPI takes for an error if it looks for ssh.
command -v ssh >/dev/null || export OMPI_MCA_plm="${OMPI_MCA_plm-^rsh}"
exec "$here/libexec/${0##*/}" "$@"
