# What goes into the bundle: a folder that runs wherever there is glibc 2.36 or newer, wherever it lies.
# scripts/make-bundle makes it, on Debian 12: these are the folders of its Open MPI 4.
set(debian_libraries /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE})
set(fashion_mnist /usr/share/datasets/fashion-mnist)

add_custom_target(bundle_programs)
foreach(target convoy convoy-h5 convoy_cuda convoy_gpu_test)
  if(TARGET ${target})
    add_dependencies(bundle_programs ${target})
    install(TARGETS ${target} RUNTIME DESTINATION libexec LIBRARY DESTINATION lib)
  endif()
endforeach()

# mpirun starts processes here, orted on other hosts.
install(PROGRAMS /usr/bin/orterun DESTINATION libexec RENAME mpirun)
install(PROGRAMS /usr/bin/orted DESTINATION libexec)
# Left out: networks that need a driver's own libraries, OpenSHMEM, MPI-IO, monitoring.
install(DIRECTORY ${debian_libraries}/openmpi/lib/openmpi3/ DESTINATION lib/openmpi FILES_MATCHING PATTERN mca_*.so
  REGEX "_(ucx|ofi|openib|psm|psm2|monitoring)\\.so$" EXCLUDE
  REGEX "/mca_(atomic|memheap|scoll|spml|sshmem|io|fs|fbtl|fcoll|sharedfp)_" EXCLUDE)
install(DIRECTORY ${debian_libraries}/pmix2/lib/pmix/ DESTINATION lib/pmix FILES_MATCHING PATTERN *.so)
install(DIRECTORY /usr/share/openmpi/ DESTINATION share/openmpi FILES_MATCHING PATTERN help-*.txt)
install(DIRECTORY ${debian_libraries}/pmix2/share/pmix/ DESTINATION share/pmix FILES_MATCHING PATTERN help-*.txt)

install(DIRECTORY configs DESTINATION share/convoy)
install(DIRECTORY ${fashion_mnist} DESTINATION share/convoy)
install(PROGRAMS tests/gpu/check.sh DESTINATION share/convoy/tests/gpu)
install(PROGRAMS benchmarks/gpu.sh DESTINATION share/convoy/benchmarks)
install(FILES benchmarks/gpu.py benchmarks/gpu_pytorch.py DESTINATION share/convoy/benchmarks)
install(FILES LICENSE DESTINATION share/doc/licenses/convoy)
# What is compiled in or copied; complete.sh adds those of the libraries.
foreach(package openmpi-bin openmpi-common dataset-fashion-mnist nlohmann-json3-dev libxxhash-dev libgtest-dev
    libhdf5-dev)
  install(FILES /usr/share/doc/${package}/copyright DESTINATION share/doc/licenses/${package} OPTIONAL)
endforeach()
install(DIRECTORY /usr/share/common-licenses DESTINATION share/doc/licenses)  # which Debian's copyright files refer to
file(GLOB cudnn_frontend_license ${CUDNN_FRONTEND_INCLUDE_DIR}/../*cudnn_frontend*.dist-info/licenses/LICENSE.txt)
install(FILES ${cudnn_frontend_license} DESTINATION share/doc/licenses/cudnn-frontend)

# Last: the libraries that all of this needs, and bin/, which starts what is in libexec/.
install(CODE "execute_process(COMMAND \"${PROJECT_SOURCE_DIR}/cmake/bundle/complete.sh\"
  \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}\" ${fashion_mnist} COMMAND_ERROR_IS_FATAL ANY)")

string(TOLOWER ${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR} CPACK_SYSTEM_NAME)
set(CPACK_PACKAGE_NAME convoy)
set(CPACK_GENERATOR TXZ)  # a fifth smaller than TGZ: the data set, unpacked first, and oneDNN are most of it
set(CPACK_THREADS 0)  # all
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
