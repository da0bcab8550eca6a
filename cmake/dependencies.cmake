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

# libhdf5, for convoy-h5 alone.  Linked statically where that works: the shared one of Debian brings in curl, Kerberos
# and LDAP, to read files from S3.
include(CheckSourceCompiles)
pkg_search_module(HDF5 REQUIRED hdf5-serial hdf5)
find_library(HDF5_ARCHIVE libhdf5.a PATHS ${HDF5_LIBRARY_DIRS} NO_DEFAULT_PATH)
set(CMAKE_REQUIRED_INCLUDES ${HDF5_INCLUDE_DIRS})
set(CMAKE_REQUIRED_LIBRARIES ${HDF5_ARCHIVE} sz z m ${CMAKE_DL_LIBS} Threads::Threads)
check_source_compiles(C "#include <hdf5.h>\nint main(void) { return H5open(); }" CONVOY_STATIC_HDF5)
add_library(convoy_hdf5 INTERFACE)
if(CONVOY_STATIC_HDF5)
  target_link_libraries(convoy_hdf5 INTERFACE ${CMAKE_REQUIRED_LIBRARIES})
else()
  target_link_libraries(convoy_hdf5 INTERFACE ${HDF5_LINK_LIBRARIES})
endif()
target_include_directories(convoy_hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
target_compile_definitions(convoy_hdf5 INTERFACE H5_USE_110_API)  # also where libhdf5 is newer
unset(CMAKE_REQUIRED_INCLUDES)
unset(CMAKE_REQUIRED_LIBRARIES)
