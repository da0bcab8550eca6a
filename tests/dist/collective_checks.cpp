#include "tests/dist/collective_checks.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <random>
#include <thread>

#include "core/base/hash.h"

namespace convoy {
namespace {

// Odd sizes, sizes around a cache line, around one block of the sum, and more than one scratch slot of the host.
constexpr int kSizes[] = {1, 2, 3, 5, 15, 16, 17, 63, 64, 65, 1000, 2047, 2049, 4099};
constexpr int kManySlots = 1'300'001;
constexpr Dtype kDtypes[] = {Dtype::kF32, Dtype::kBF16, Dtype::kI32};

// A tensor in memory of the communicator's allocator or of the device, at an odd offset within it.  Elements are set
// and looked at in a copy on the host.
class TestTensor {
 public:
  TestTensor(Communicator& communicator, Device& device, bool shared, Dtype dtype, int elements)
      : device_(device),
        dtype_(dtype),
        elements_(elements),
        buffer_(shared ? communicator.allocator() : device.allocator(), (elements + kOffset) * size_of(dtype)),
        host_(static_cast<size_t>(elements * size_of(dtype))) {}

  Tensor tensor() const {
    return {buffer_.as<std::byte>() + kOffset * size_of(dtype_), {{1, 1, 1, elements_}, dtype_}};
  }
  int elements() const { return elements_; }

  void fill(const std::function<float(int)>& value) {
    for (int i = 0; i < elements_; ++i) set(i, value(i));
    copy(tensor().data, host_.data());
  }
  // What the device has, as bytes.
  std::string_view bytes() {
    copy(host_.data(), tensor().data);
    return {reinterpret_cast<const char*>(host_.data()), host_.size()};
  }
  // Compares elements [begin, end); reports the first that is wrong.
  void expect(const std::function<float(int)>& value, const std::string& what, int begin = 0, int end = -1) {
    copy(host_.data(), tensor().data);
    for (int i = begin; i < (end < 0 ? elements_ : end); ++i) {
      if (get(i) == value(i)) continue;
      ADD_FAILURE() << what << ", " << elements_ << " " << to_string(dtype_) << ": element " << i << " is " << get(i)
                    << ", expected " << value(i);
      return;
    }
  }

 private:
  static constexpr int kOffset = 3;

  template <class T>
  T& at(int i) {
    return reinterpret_cast<T*>(host_.data())[i];
  }
  void set(int i, float value) {
    if (dtype_ == Dtype::kF32) at<float>(i) = value;
    if (dtype_ == Dtype::kI32) at<int32_t>(i) = static_cast<int32_t>(value);
    if (dtype_ == Dtype::kBF16) at<uint16_t>(i) = f32_to_bf16(value);
  }
  float get(int i) {
    if (dtype_ == Dtype::kF32) return at<float>(i);
    if (dtype_ == Dtype::kI32) return static_cast<float>(at<int32_t>(i));
    return bf16_to_f32(at<uint16_t>(i));
  }
  void copy(void* to, const void* from) {
    device_.copy(to, from, static_cast<int64_t>(host_.size()), device_.compute());
    device_.compute().synchronize();
  }

  Device& device_;
  Dtype dtype_;
  int elements_;
  Buffer buffer_;
  std::vector<std::byte> host_;
};

float input(int rank, int i) { return static_cast<float>((i * 7 + rank * 3) % 11 - 5); }

float sum_of_inputs(int ranks, int i) {
  float sum = 0;
  for (int r = 0; r < ranks; ++r) sum += input(r, i);
  return sum;
}

void for_each_tensor(Communicator& communicator, Device& device,
                     const std::function<void(TestTensor&, const std::string&)>& body) {
  std::vector<int> sizes(std::begin(kSizes), std::end(kSizes));
  if (device.kind() == DeviceKind::kCpu) sizes.push_back(kManySlots);
  for (const bool shared : {true, false}) {
    for (const Dtype dtype : kDtypes) {
      for (const int elements : sizes) {
        TestTensor tensor(communicator, device, shared, dtype, elements);
        tensor.fill([&](int i) { return input(communicator.rank(), i); });
        body(tensor, shared ? "the communicator's memory" : "other memory");
      }
    }
  }
}

std::pair<int, int> my_part(Communicator& communicator, int elements) {
  const int part = (elements + communicator.size() - 1) / communicator.size();
  return {std::min(communicator.rank() * part, elements), std::min((communicator.rank() + 1) * part, elements)};
}

}  // namespace

void check_memory(Communicator& communicator, Device& device) {
  for (const int64_t bytes : {1, 4096, 5'000'001, 1}) {
    Buffer buffer(communicator.allocator(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 256, 0U);
    std::string content(static_cast<size_t>(bytes), 'x');
    device.copy(content.data(), buffer.data(), bytes, device.compute());
    device.compute().synchronize();
    EXPECT_EQ(content.find_first_not_of('\0'), std::string::npos) << "memory is zero-filled";
    content.assign(content.size(), 'x');
    device.copy(buffer.data(), content.data(), bytes, device.compute());
    device.compute().synchronize();
  }
}

void check_all_reduce(Communicator& communicator, Device& device) {
  for_each_tensor(communicator, device, [&](TestTensor& it, const std::string& where) {
    communicator.all_reduce_sum(it.tensor());
    communicator.stream().synchronize();
    it.expect([&](int i) { return sum_of_inputs(communicator.size(), i); }, "all_reduce in " + where);
  });
}

void check_reduce_scatter_and_all_gather(Communicator& communicator, Device& device) {
  for_each_tensor(communicator, device, [&](TestTensor& it, const std::string& where) {
    const auto sum = [&](int i) { return sum_of_inputs(communicator.size(), i); };
    const auto [begin, end] = my_part(communicator, it.elements());
    communicator.reduce_scatter_sum(it.tensor());
    communicator.stream().synchronize();
    it.expect(sum, "reduce_scatter in " + where, begin, end);
    // What is not my part must come from the others.
    it.fill([&, begin = begin, end = end](int i) { return i < begin || i >= end ? 99 : sum(i); });
    communicator.all_gather(it.tensor());
    communicator.stream().synchronize();
    it.expect(sum, "all_gather in " + where);
  });
}

void check_broadcast(Communicator& communicator, Device& device) {
  int root = 0;
  for_each_tensor(communicator, device, [&](TestTensor& it, const std::string& where) {
    root = (root + 1) % communicator.size();
    communicator.broadcast(it.tensor(), root);
    communicator.stream().synchronize();
    it.expect([&](int i) { return input(root, i); }, "broadcast in " + where);
  });
}

void check_many_in_flight_with_delays(Communicator& communicator, Device& device) {
  constexpr int kOperations = 700, kElements = 40;  // more than a rank may run ahead
  std::mt19937 random(static_cast<unsigned>(communicator.rank()));
  std::vector<TestTensor> tensors;
  for (const bool shared : {true, false})
    tensors.emplace_back(communicator, device, shared, Dtype::kF32, kOperations * kElements);
  for (TestTensor& it : tensors) it.fill([&](int i) { return input(communicator.rank(), i); });
  for (int op = 0; op < kOperations; ++op) {
    for (const TestTensor& it : tensors) {
      communicator.all_reduce_sum({it.tensor().as<float>() + op * kElements, {{1, 1, 1, kElements}}});
    }
    if (random() % 3 == 0) communicator.progress();
    if (random() % 40 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 800));
  }
  communicator.stream().synchronize();
  for (TestTensor& it : tensors) {
    it.expect([&](int i) { return sum_of_inputs(communicator.size(), i); }, "many in flight");
  }
}

void check_events(Communicator& communicator, Device& device) {
  std::vector<TestTensor> tensors;
  std::vector<std::unique_ptr<Event>> ends;
  communicator.make_event()->wait();  // of nothing
  communicator.take_busy_seconds();
  for (const int elements : {100'000, 1, 300'000, 64, 5000}) {
    TestTensor& it = tensors.emplace_back(communicator, device, true, Dtype::kF32, elements);
    it.fill([&](int i) { return input(communicator.rank(), i); });
  }
  for (const TestTensor& it : tensors) {
    communicator.all_reduce_sum(it.tensor());
    ends.push_back(communicator.make_event());
    ends.back()->record(communicator.stream());
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    ends[i]->wait();
    tensors[i].expect([&](int k) { return sum_of_inputs(communicator.size(), k); }, "behind its event");
  }
  const std::vector<double> times = communicator.take_busy_seconds();
  if (times.empty()) return;  // the host does not see them
  ASSERT_EQ(times.size(), tensors.size());
  for (const double seconds : times) EXPECT_GT(seconds, 0);
  EXPECT_TRUE(communicator.take_busy_seconds().empty());
}

void check_replicas_bitwise_equal(Communicator& communicator, Device& device) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16}) {
    for (const bool shared : {true, false}) {
      TestTensor it(communicator, device, shared, dtype, 50'001);
      std::mt19937 random(static_cast<unsigned>(communicator.rank()));
      it.fill([&](int) { return std::normal_distribution<float>()(random); });
      communicator.all_reduce_sum(it.tensor());
      communicator.stream().synchronize();
      const std::string hash = hash128_hex(it.bytes());
      for (const std::string& theirs : communicator.all_gather_bytes(hash)) EXPECT_EQ(theirs, hash);
    }
  }
}

void check_sum_in_rank_order(Communicator& communicator, Device& device) {
  const auto value = [](int rank, int i) {
    std::mt19937 random(static_cast<unsigned>(rank * 100'003 + i));
    return bf16_to_f32(f32_to_bf16(std::normal_distribution<float>()(random)));
  };
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16}) {
    TestTensor it(communicator, device, true, dtype, 2'503);
    it.fill([&](int i) { return value(communicator.rank(), i); });
    communicator.all_reduce_sum(it.tensor());
    communicator.stream().synchronize();
    const auto expected = [&](int i) {
      float sum = value(0, i);
      for (int r = 1; r < communicator.size(); ++r) sum += value(r, i);
      return dtype == Dtype::kBF16 ? bf16_to_f32(f32_to_bf16(sum)) : sum;
    };
    it.expect(expected, "rank order");
  }
}

void check_host_collectives(Communicator& communicator, Device& device) {
  const auto text = [](int rank) {
    return std::string(static_cast<size_t>(rank * 1000), static_cast<char>('a' + rank));
  };
  for (int round = 0; round < 3; ++round) {
    const std::vector<std::string> all = communicator.all_gather_bytes(text(communicator.rank()));
    ASSERT_EQ(static_cast<int>(all.size()), communicator.size());
    for (int r = 0; r < communicator.size(); ++r) {
      EXPECT_EQ(all[static_cast<size_t>(r)], text(r));
      EXPECT_EQ(communicator.broadcast_bytes(text(communicator.rank()), r), text(r));
    }
  }
  // Half of the ranks synchronise before the barrier, half do not: nobody may wait for ever.
  TestTensor it(communicator, device, true, Dtype::kF32, 100);
  it.fill([](int) { return 1; });
  communicator.all_reduce_sum(it.tensor());
  if (communicator.rank() % 2 == 0) communicator.stream().synchronize();
  communicator.barrier();
  communicator.stream().synchronize();
  it.expect([&](int) { return communicator.size(); }, "around a barrier");
}

void check_everything(Communicator& communicator, Device& device) {
  check_memory(communicator, device);
  check_all_reduce(communicator, device);
  check_reduce_scatter_and_all_gather(communicator, device);
  check_broadcast(communicator, device);
  check_many_in_flight_with_delays(communicator, device);
  check_events(communicator, device);
  check_replicas_bitwise_equal(communicator, device);
  check_host_collectives(communicator, device);
}

}  // namespace convoy
