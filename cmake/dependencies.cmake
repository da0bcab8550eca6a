# Third-party libraries, all from the distribution.  scripts/install-dependencies names the packages.
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(ZLIB REQUIRED)
find_package(JPEG REQUIRED)  # libjpeg-turbo: region decode (jpeg_crop_scanline) is its own
find_package(PNG REQUIRED)
find_package(nlohmann_json 3 REQUIRED)
find_package(Boost 1.74 CONFIG REQUIRED COMPONENTS program_options)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(dnnl CONFIG REQUIRED)  # its own config file needs the package ocl-icd-opencl-dev
find_package(PkgConfig REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

find_package(yaml-cpp 0.7 REQUIRED)
if(NOT TARGET yaml-cpp::yaml-cpp)  # 0.7 exports the name without a namespace
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()

# The C interface only: mpi.h otherwise pulls in C++ bindings that the MPI standard removed and Open MPI 5 lacks.
find_package(MPI REQUIRED COMPONENTS C)
target_compile_definitions(MPI::MPI_C INTERFACE OMPI_SKIP_MPICXX=1 MPICH_SKIP_MPICXX=1)
