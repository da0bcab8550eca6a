// keras_copy FROM TO [FORMAT]: reads a file of Keras and writes it, as FORMAT (0 to 3, KerasFormat) or as it was.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "core/io/keras_file.h"

int main(int argc, char** argv) {
  if (argc < 3) return 64;
  try {
    convoy::KerasFile file = convoy::read_keras(argv[1]);
    if (argc > 3) file.format = static_cast<convoy::KerasFormat>(std::atoi(argv[3]));
    convoy::write_keras(argv[2], file);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 65;
  }
}
