# Tests always, and everything for the sanitizers and clang-tidy (CMAKE_UNITY_BUILD in the presets), are compiled eight
# sources at a time: the headers of the system cost more than what is ours.  A file here has a name in common with
# another of its program and is compiled by itself.
set(alone
  core/data/image_manifest.cpp
  core/data/tar_shards.cpp
  core/graph/parameters.cpp
  core/image/jpeg.cpp
  core/image/resize.cpp
  core/io/hdf5_stream.cpp
  core/io/keras_vars.cpp
  core/io/safetensors.cpp
  core/io/safetensors_header.cpp
  core/io/tar.cpp
  launcher/commands/convert.cpp
  launcher/commands/data.cpp
  launcher/commands/predict.cpp
  launcher/exchange/keras_graph.cpp
  launcher/exchange/model_text.cpp
  launcher/exchange/onnx_import.cpp
  launcher/exchange/tensor_files.cpp
  launcher/exchange/weights.cpp
  launcher/fetch.cpp
  launcher/layer_builder.cpp
  launcher/layer_table.cpp
  launcher/run_directory.cpp
  launcher/run_header.cpp
  layers/conv_transpose_cpu.cpp
  layers/cudnn_cuda.cpp
  layers/depthwise_cpu.cpp
  layers/dropout_cpu.cpp
  layers/group_norm_cpu.cpp
  layers/layer_norm_cpu.cpp
  layers/upsample_cpu.cpp
  tests/core/data/cheap_augment_test.cpp
  tests/core/data/mix_test.cpp
  tests/core/data/order_test.cpp
  tests/core/data/ram_cache_test.cpp
  tests/core/graph/program_test.cpp
  tests/core/image/png_test.cpp
  tests/core/image/resize_test.cpp
  tests/core/io/json_fields_test.cpp
  tests/core/io/keras_file_test.cpp
  tests/core/io/npy_test.cpp
  tests/core/io/onnx_test.cpp
  tests/core/io/protobuf_test.cpp
  tests/core/io/safetensors_test.cpp
  tests/core/io/tar_test.cpp
  tests/core/io/zip_test.cpp
  tests/cuda_on_cpu/memory.cpp
  tests/cuda_on_cpu/streams_test.cpp
  tests/cuda_on_cpu/thread_scheduler.cpp
  tests/launcher/exchange/weights_test.cpp
  tests/launcher/inference_test.cpp
  tests/launcher/predict_command_test.cpp
  tests/reference/losses.cpp
  tests/reference/windows.cpp
)
list(TRANSFORM alone PREPEND ${PROJECT_SOURCE_DIR}/)
set(folders . core layers launcher)
if(BUILD_TESTING)
  list(APPEND folders tests)
endif()
set_source_files_properties(${alone} DIRECTORY ${folders} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
