# convoy_library(NAME LIBRARIES …): a static library whose folders add their files with target_sources().
# Includes are written from the repository root.
function(convoy_library name)
  add_library(${name} STATIC)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} ${ARGN})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)  # libconvoy_cuda.so holds some of them
  file(WRITE ${PROJECT_BINARY_DIR}/empty.cpp "")
  target_sources(${name} PRIVATE ${PROJECT_BINARY_DIR}/empty.cpp)
endfunction()

# convoy_executable(NAME SOURCES…).  Under AddressSanitizer libraries stay open until the end (see the file), and
# ENABLE_EXPORTS lets MPI's own plugins use that dlclose().
function(convoy_executable name)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  if(CONVOY_SANITIZE MATCHES "address")
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/sanitizers/keep_libraries_open.cpp)
    set_target_properties(${name} PROPERTIES ENABLE_EXPORTS ON)
  endif()
endfunction()
