# Sets CONVOY_WITH_CUDA.  All CUDA code is one shared library that convoy opens at run time, so nothing else in the
# build depends on the answer.
set(CONVOY_WITH_CUDA OFF)

# Adds files of the current folder to the CUDA library; tests/cuda_on_cpu compiles them for the CPU as well.
function(convoy_cuda_sources)
  foreach(file ${ARGN})
    set_property(GLOBAL APPEND PROPERTY CONVOY_CUDA_SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    if(CONVOY_WITH_CUDA)
      target_sources(convoy_cuda PRIVATE ${file})
    endif()
  endforeach()
endfunction()

# Likewise, but what only the vendor's libraries can run: tests/cuda_on_cpu has plain loops in their place.
function(convoy_cuda_library_sources)
  if(CONVOY_WITH_CUDA)
    target_sources(convoy_cuda PRIVATE ${ARGN})
  endif()
endfunction()
if(CONVOY_CUDA STREQUAL "OFF")
  return()
endif()

find_program(CONVOY_NVCC nvcc PATHS /usr/local/cuda ENV CUDA_HOME PATH_SUFFIXES bin)
cmake_path(GET CONVOY_NVCC PARENT_PATH cuda_root)
cmake_path(GET cuda_root PARENT_PATH cuda_root)
# Wheels carry versioned names only.
find_path(CUDNN_INCLUDE_DIR cudnn_version.h HINTS ${CUDNN_ROOT} ${cuda_root} PATH_SUFFIXES include)
find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS ${CUDNN_ROOT} ${cuda_root} PATH_SUFFIXES lib64 lib)
find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${NCCL_ROOT} ${cuda_root} PATH_SUFFIXES include)
find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ${NCCL_ROOT} ${cuda_root} PATH_SUFFIXES lib64 lib)

set(missing)
if(NOT CONVOY_NVCC)
  list(APPEND missing "nvcc")
endif()
if(NOT CUDNN_INCLUDE_DIR OR NOT CUDNN_LIBRARY)
  list(APPEND missing "cuDNN (cudnn_version.h and libcudnn, see CUDNN_ROOT)")
endif()
if(NOT NCCL_INCLUDE_DIR OR NOT NCCL_LIBRARY)
  list(APPEND missing "NCCL (nccl.h and libnccl, see NCCL_ROOT)")
endif()
if(missing)
  list(JOIN missing ", " missing)
  if(CONVOY_CUDA STREQUAL "ON")
    message(FATAL_ERROR "CONVOY_CUDA=ON: missing ${missing}")
  endif()
  message(STATUS "Building without CUDA: missing ${missing}")
  return()
endif()

set(CMAKE_CUDA_COMPILER ${CONVOY_NVCC})
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES "80-real;90")  # Ampere, Hopper; the PTX of 90 serves what is newer
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc 13 has C++20
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
find_package(CUDAToolkit 12.0 REQUIRED)
set(CONVOY_WITH_CUDA ON)
message(STATUS "Building with CUDA ${CUDAToolkit_VERSION}")

# The folders add their *_cuda.* files; what is linked here is what the loader (core/device/cuda_library.h) looks for.
add_library(convoy_cuda SHARED)
target_include_directories(convoy_cuda PRIVATE ${PROJECT_SOURCE_DIR} ${CUDNN_INCLUDE_DIR} ${NCCL_INCLUDE_DIR})
target_link_libraries(convoy_cuda PRIVATE CUDA::cudart CUDA::cublasLt ${CUDNN_LIBRARY} ${NCCL_LIBRARY})
# Shape rules and errors are compiled into it: it takes nothing from the program that opens it.
target_link_libraries(convoy_cuda PRIVATE convoy_layers convoy_dist convoy_core)
target_link_options(convoy_cuda PRIVATE -Wl,--exclude-libs,ALL -Wl,--no-undefined)
target_compile_options(convoy_cuda PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-fstack-protector-strong --expt-relaxed-constexpr --extended-lambda>)
if(CONVOY_WERROR)
  target_compile_options(convoy_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>)
endif()
set_target_properties(convoy_cuda PROPERTIES CUDA_RUNTIME_LIBRARY Shared LINKER_LANGUAGE CXX
  CXX_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden)
