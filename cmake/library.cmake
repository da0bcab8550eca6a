# convoy_library(NAME LIBRARIES …): a static library whose folders add their files with target_sources().
# Includes are written from the repository root.
function(convoy_library name)
  add_library(${name} STATIC)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} ${ARGN})
  file(WRITE ${PROJECT_BINARY_DIR}/empty.cpp "")
  target_sources(${name} PRIVATE ${PROJECT_BINARY_DIR}/empty.cpp)
endfunction()
