# Language level, warnings, hardening and sanitizers for every target.
include(CheckCXXCompilerFlag)
include(CheckLinkerFlag)
include(CheckPIESupported)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug or RelWithDebInfo" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
check_pie_supported()

# Adds each flag that this compiler knows; clang and g++ do not know the same ones.
function(convoy_add_flags)
  foreach(flag IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "HAVE${flag}" known)
    check_cxx_compiler_flag(${flag} ${known})
    if(${known})
      add_compile_options($<$<COMPILE_LANGUAGE:CXX>:${flag}>)
    endif()
  endforeach()
endfunction()

function(convoy_add_link_flags)
  foreach(flag IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "HAVE_LINK${flag}" known)
    check_linker_flag(CXX ${flag} ${known})
    if(${known})
      add_link_options(${flag})
    endif()
  endforeach()
endfunction()

# An elementwise kernel must give the same bits at every SIMD level, so no multiply-add is fused behind its back.
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wformat=2;-Werror=format-security>")
if(CONVOY_WERROR)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()

if(CMAKE_UNITY_BUILD)  # a source is a header there, whose unnamed namespace would be a mistake
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
endif()

add_compile_definitions(_GLIBCXX_ASSERTIONS)
convoy_add_flags(-fstack-protector-strong -fstack-clash-protection -fcf-protection=full
                 -fno-delete-null-pointer-checks -fno-strict-overflow)
# A flag that some compilers miscompile with: only where they do not.
try_run(CONVOY_AUTO_VAR_INIT_WORKS compiles SOURCES ${PROJECT_SOURCE_DIR}/cmake/checks/auto_var_init.cpp
  COMPILE_DEFINITIONS -ftrivial-auto-var-init=zero)
if(compiles AND CONVOY_AUTO_VAR_INIT_WORKS EQUAL 0)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-ftrivial-auto-var-init=zero>)
endif()
convoy_add_link_flags(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code -Wl,--as-needed)

if(CONVOY_SANITIZE)
  add_compile_options(-fsanitize=${CONVOY_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CONVOY_SANITIZE})
  if(CONVOY_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)  # counts what runs; tests/fuzz links the rest
  elseif(CONVOY_SANITIZE MATCHES "undefined")
    # A third of the compile time.  Null is found by AddressSanitizer as well, alignment by the fuzzers, where it matters.
    add_compile_options(-fno-sanitize=null,alignment,vptr)
  endif()
  # g++ warns without cause where instrumented code hides from it that a value was set; g++ 12 does for any std::regex.
  add_compile_options(-Wno-maybe-uninitialized)
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  # Needs optimisation, and hides what the sanitizers look for.  Debian and Ubuntu may set their own level first.
  add_compile_options(-U_FORTIFY_SOURCE)
  add_compile_definitions(_FORTIFY_SOURCE=3)
endif()
