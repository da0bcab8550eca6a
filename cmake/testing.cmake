# convoy_test(NAME SOURCES … LIBRARIES … LABEL smoke|unit|dist [MPI 2 4] [TIMEOUT seconds])
#
# One GoogleTest program and its ctest entry NAME.  Without MPI, GoogleTest's own main() is used.  With MPI, main() is
# tests/mpi_main.cpp, and instead of NAME there is one entry NAME_npN per listed number of ranks, started by mpirun.
# smoke: the few seconds that tell whether anything works at all.  unit: the rest of one process.  dist: several ranks,
# as threads or as processes.
set(CONVOY_TEST_LABELS "" CACHE STRING "smoke|dist: test programs of other labels are not built")
find_package(GTest REQUIRED)
find_package(Boost 1.74 CONFIG REQUIRED COMPONENTS context)  # fibres of tests/cuda_on_cpu

# Containers and CI run as root, with fewer cores than ranks.  Open MPI 4 reads OMPI_*, Open MPI 5 reads PRTE_*.
set(CONVOY_MPI_ENVIRONMENT
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
  PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
  OMPI_MCA_btl=^tcp,openib
  PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe PRTE_MCA_hwloc_default_binding_policy=none)

set(CONVOY_TEST_ENVIRONMENT OMP_NUM_THREADS=1 ${CONVOY_MPI_ENVIRONMENT})
if(CONVOY_SANITIZE)
  set(rules ${PROJECT_SOURCE_DIR}/cmake/sanitizers)
  list(APPEND CONVOY_TEST_ENVIRONMENT
    LSAN_OPTIONS=suppressions=${rules}/leaks.txt:print_suppressions=0
    UBSAN_OPTIONS=print_stacktrace=1
    TSAN_OPTIONS=ignore_noninstrumented_modules=1:detect_deadlocks=0:exitcode=66)
endif()
if(CONVOY_SANITIZE MATCHES "thread")
  # Open MPI patches madvise() to tell network libraries of freed memory, and libfabric's answer takes a mutex.  glibc
  # calls madvise() last of all in a thread that ends, when ThreadSanitizer has forgotten the thread: signal 11.
  list(APPEND CONVOY_TEST_ENVIRONMENT OMPI_MCA_memory=^patcher)
endif()

function(convoy_test name)
  cmake_parse_arguments(TEST "" "LABEL;TIMEOUT" "SOURCES;LIBRARIES;MPI" ${ARGN})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  if(CONVOY_SANITIZE)  # where each allocation looks up the stack
    math(EXPR TEST_TIMEOUT "4 * ${TEST_TIMEOUT}")
  endif()
  convoy_executable(${name} ${TEST_SOURCES})
  target_compile_options(${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O1>)  # compiles in half the time
  set_target_properties(${name} PROPERTIES UNITY_BUILD ON)  # and together, in a third of that, see cmake/unity.cmake
  if(CONVOY_SANITIZE MATCHES "undefined")  # is looked for in what is tested; in the tests it is 2/5 of compiling them
    target_compile_options(${name} PRIVATE -fno-sanitize=undefined)
  endif()
  if(CONVOY_TEST_LABELS AND NOT TEST_LABEL MATCHES "^(${CONVOY_TEST_LABELS})$")
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
  target_link_libraries(${name} PRIVATE ${TEST_LIBRARIES} GTest::gtest)
  if(TEST_MPI)
    target_sources(${name} PRIVATE mpi_main.cpp)
    target_link_libraries(${name} PRIVATE MPI::MPI_C)
    foreach(ranks IN LISTS TEST_MPI)
      add_test(NAME ${name}_np${ranks}
        COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:${name}>)
      set_tests_properties(${name}_np${ranks} PROPERTIES PROCESSORS ${ranks} LABELS "${TEST_LABEL}"
        TIMEOUT ${TEST_TIMEOUT} ENVIRONMENT "${CONVOY_TEST_ENVIRONMENT}")
    endforeach()
  else()
    target_link_libraries(${name} PRIVATE GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABEL}" TIMEOUT ${TEST_TIMEOUT}
      ENVIRONMENT "${CONVOY_TEST_ENVIRONMENT}")
  endif()
endfunction()
