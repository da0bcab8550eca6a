// Images per second from JPEG files to a batch of a network, for one thread or several; scripts/compare-loader runs it.
//
//   convoy_bench_loader ROW PATH [--threads N] [--seconds S] [--side N]
//
//   decode   libjpeg-turbo alone: every file of PATH decoded whole to RGB, as djpeg does, the files in memory
//   loader   what training does: random resized crop to N x N, flip, batches of 32, normalised to f32
//   read     as loader, without the normalising
//   store    every file once, in random order, not decoded: what disk and page cache give
//
// PATH is whatever data.path may be.  Prints one line of JSON.  With one thread, normalising takes turns with decoding
// on the same core.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <jpeglib.h>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/data/augment.h"
#include "core/data/image_dataset.h"
#include "core/data/loader.h"
#include "layers/normalize.h"
#include "layers/registry.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string row, path;
  int threads = 1, side = 224;
  double seconds = 2;
};

Options parse(const std::vector<std::string>& words) {
  const bool known =
      !words.empty() && (words[0] == "decode" || words[0] == "loader" || words[0] == "read" || words[0] == "store");
  if (!known || words.size() % 2 != 0) {
    throw Error(ExitCode::kUsage, "expected decode|loader|read|store PATH [--threads N] [--seconds S] [--side N]");
  }
  Options options{words[0], words[1]};
  for (size_t i = 2; i < words.size(); i += 2) {
    if (words[i] == "--threads")
      options.threads = std::stoi(words[i + 1]);
    else if (words[i] == "--side")
      options.side = std::stoi(words[i + 1]);
    else if (words[i] == "--seconds")
      options.seconds = std::stod(words[i + 1]);
    else
      throw Error(ExitCode::kUsage, "unknown option " + words[i]);
  }
  return options;
}

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// The library's example program, with its default settings.
void decode_whole(std::span<const std::byte> file, std::vector<uint8_t>& pixels) {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);  // exits on a damaged file
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&jpeg, TRUE);
  jpeg.out_color_space = JCS_RGB;
  jpeg_start_decompress(&jpeg);
  const size_t row_bytes = size_t{jpeg.output_width} * 3;
  pixels.resize(row_bytes * jpeg.output_height);
  while (jpeg.output_scanline < jpeg.output_height) {
    uint8_t* row = pixels.data() + jpeg.output_scanline * row_bytes;
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_decompress(&jpeg);
  jpeg_destroy_decompress(&jpeg);
}

// Images per second.
double decode(const Options& options) {
  const std::unique_ptr<ImageStore> store = open_image_store(options.path);
  std::vector<std::vector<std::byte>> files(static_cast<size_t>(store->size()));
  for (int64_t i = 0; i < store->size(); ++i) {
    std::vector<std::byte> scratch;
    const auto bytes = store->file(i, scratch);
    files[static_cast<size_t>(i)].assign(bytes.begin(), bytes.end());
  }
  std::vector<uint8_t> pixels;
  int64_t images = 0;
  const Clock::time_point begin = Clock::now();
  for (; seconds_since(begin) < options.seconds; ++images) {
    decode_whole(files[static_cast<size_t>(images) % files.size()], pixels);
  }
  return static_cast<double>(images) / seconds_since(begin);
}

// The first layer of a network, on batches of the loader.
class Normalizer {
 public:
  Normalizer(const Shape& batch, Device& device)
      : device_(device),
        layer_({0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F}),
        y_(device.allocator(), batch.elements() * 4) {
    kernel_ =
        make_cpu_kernels()->make(layer_, {.inputs = {{batch, Dtype::kU8}}, .wants_dx = {false}, .mode = Mode::kEval});
  }
  void run(const Batch& batch) {
    KernelArgs args;
    args.x = {{const_cast<uint8_t*>(batch.pixels.data()), kernel_->inputs()[0]}};
    args.y = {y_.data(), kernel_->output()};
    kernel_->bind(args);
    kernel_->forward(device_.compute());
  }

 private:
  Device& device_;
  const Normalize layer_;
  Buffer y_;
  std::unique_ptr<Kernel> kernel_;
};

double read_files(const Options& options) {
  const std::unique_ptr<ImageStore> store = open_image_store(options.path);
  std::vector<std::jthread> threads;
  std::atomic<int64_t> next = 0;
  std::atomic<uint64_t> all = 0;  // so that every page is looked at
  const Clock::time_point begin = Clock::now();
  for (int t = 0; t < options.threads; ++t) {
    threads.emplace_back([&] {
      std::vector<std::byte> scratch;
      for (int64_t i = next++; i < store->size(); i = next++) {
        all += hash64(store->file(permuted(i, store->size(), 1, 0), scratch));
      }
    });
  }
  threads.clear();
  return static_cast<double>(store->size()) / seconds_since(begin);
}

double load(const Options& options) {
  constexpr int kRows = 32;
  const Shape sample = {1, options.side, options.side, 3};
  auto store = open_image_store(options.path);
  const auto classes = static_cast<int>(store->class_names().size());
  const ImageCrop crop = {.type = ImageCrop::Type::kRandomResized};
  auto images = std::make_unique<ImageDataset>(std::move(store), sample, classes, crop, 1);
  const AugmentedDataset data(std::move(images), AugmentOptions{.cheap = {.flip = 0.5}}, 1);

  const std::unique_ptr<Device> device = make_cpu_device(1);
  const Sampler sampler({.size = data.size(),
                         .global_batch = std::min<int64_t>(kRows, data.size()),
                         .micro_batch = static_cast<int>(std::min<int64_t>(kRows, data.size())),
                         .seed = 1});
  Normalizer normalizer({sampler.micro_batch_rows(), options.side, options.side, 3}, *device);
  Loader loader(data, sampler, device->host_allocator(), {.threads = options.threads, .prefetch = 2});
  loader.next();
  int64_t rows = 0;
  const Clock::time_point begin = Clock::now();
  while (seconds_since(begin) < options.seconds) {
    const Batch& batch = loader.next();
    if (options.row == "loader") normalizer.run(batch);
    rows += batch.valid;
  }
  return static_cast<double>(rows) / seconds_since(begin);
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) try {
  using namespace convoy;
  const Options options = parse({argv + 1, argv + argc});
  const double rate = options.row == "decode"  ? decode(options)
                      : options.row == "store" ? read_files(options)
                                               : load(options);
  std::printf("{\"row\": \"%s\", \"images_per_second\": %.2f, \"threads\": %d}\n", options.row.c_str(), rate,
              options.threads);
} catch (const convoy::Error& error) {
  std::fprintf(stderr, "convoy_bench_loader: %s\n", error.what());
  return static_cast<int>(error.code());
}
