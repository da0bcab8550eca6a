# Decides CONVOY_WITH_CUDA.  The CUDA code is one shared library that convoy opens at run time, so nothing else in the
# build depends on this answer.
set(CONVOY_WITH_CUDA OFF)
