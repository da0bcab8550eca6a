#include "core/data/npz.h"

#include "core/data/idx.h"
#include "tests/core/base/testing.h"
#include "tests/core/data/testing.h"

namespace convoy {
namespace {

// numpy.savez_compressed(f, x_train=arange(24, dtype='u1').reshape(2, 2, 2, 3), y_train=array([[1], [0]], dtype='i8'),
// x_test=arange(4, dtype='u1').reshape(1, 2, 2), y_test=array([2], dtype='u1')), NumPy 2.4, in base64.
const char* const kSaved =
    "UEsDBC0AAAAIAAAAIQCFOo9T//////////8LABQAeF90cmFpbi5ucHkBABAAmAAAAAAAAABgAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6l"
    "oF5Taqiuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6ChBkrKmjUKtABuBiYGRiZmFlY+fg5OLm4eXjFxAUEhYRFRMHAFBLAwQt"
    "AAAACAAAACEAiW6luv//////////CwAUAHlfdHJhaW4ubnB5AQAQAJAAAAAAAAAASgAAAAAAAACb7BfqGxDJyFDGUK2eklqcXKRupaBuk2mh"
    "rqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RpGOgqGmjoKtQpkAy5GBlQAAFBLAwQtAAAACAAAACEASNp2av//////////CgAUAHhf"
    "dGVzdC5ucHkBABAAhAAAAAAAAABMAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loF5Taqiuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQW"
    "pAL5GoY6CkZApKmjUKtAHuBiYGRiBgBQSwMELQAAAAgAAAAhAMHjr1n//////////woAFAB5X3Rlc3QubnB5AQAQAIEAAAAAAAAARQAAAAAA"
    "AACb7BfqGxDJyFDGUK2eklqcXKRupaBeU2qorqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RqGOpo6CrUKFAAuJgBQSwECLQMtAAAA"
    "CAAAACEAhTqPU2AAAACYAAAACwAAAAAAAAAAAAAAgAEAAAAAeF90cmFpbi5ucHlQSwECLQMtAAAACAAAACEAiW6lukoAAACQAAAACwAAAAAA"
    "AAAAAAAAgAGdAAAAeV90cmFpbi5ucHlQSwECLQMtAAAACAAAACEASNp2akwAAACEAAAACgAAAAAAAAAAAAAAgAEkAQAAeF90ZXN0Lm5weVBL"
    "AQItAy0AAAAIAAAAIQDB469ZRQAAAIEAAAAKAAAAAAAAAAAAAACAAawBAAB5X3Rlc3QubnB5UEsFBgAAAAAEAAQA4gAAAC0CAAAAAA==";

std::vector<uint8_t> read_sample(const Dataset& data, int64_t i) {
  std::vector<uint8_t> pixels(static_cast<size_t>(data.sample().elements()));
  data.read(i, 0, pixels.data());
  return pixels;
}

// Of a training set of two images; each member may be another one.
struct Npz {
  std::string x = npy_file("|u1", "(2, 1, 2)", "abcd"), y = npy_file("<i4", "(2,)", le(2, 4) + le(1, 4));
  std::string x_name = "x_train.npy";
};

class NpzFiles : public testing::Test {
 protected:
  std::unique_ptr<Dataset> open(const Npz& npz) {
    put_file(temp_ / "f.npz", zip_archive({{npz.x_name, npz.x}, {"y_train.npy", npz.y}}));
    return open_npz(temp_ / "f.npz", Split::kTrain, 3);
  }
  void expect_bad(const std::vector<std::string>& parts, const Npz& npz) {
    std::vector<std::string> with_name = parts;
    with_name.emplace_back("f.npz: ");
    expect_error(ExitCode::kBadData, with_name, [&] { open(npz); });
  }
  TempDirectory temp_;
};

TEST_F(NpzFiles, ReadsWhatNumpySaves) {
  put_file(temp_ / "f.npz", from_base64(kSaved));
  const std::unique_ptr<Dataset> train = open_npz(temp_ / "f.npz", Split::kTrain, 3);
  EXPECT_EQ(train->size(), 2);
  EXPECT_EQ(train->sample(), (Shape{1, 2, 2, 3}));
  EXPECT_EQ(read_sample(*train, 1), (std::vector<uint8_t>{12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}));
  uint8_t pixels[12];
  EXPECT_EQ(train->read(0, 0, pixels), 1);
  EXPECT_EQ(train->read(1, 0, pixels), 0);
  const std::unique_ptr<Dataset> test = open_npz(temp_ / "f.npz", Split::kTest, 3);
  EXPECT_EQ(test->size(), 1);
  EXPECT_EQ(test->sample(), (Shape{1, 2, 2, 1}));
  EXPECT_EQ(test->read(0, 0, pixels), 2);
}

TEST_F(NpzFiles, HeadersTellSizeAndShape) {
  put_file(temp_ / "f.npz", from_base64(kSaved));
  EXPECT_EQ(read_npz_header(temp_ / "f.npz", Split::kTrain).size, 2);
  EXPECT_EQ(read_npz_header(temp_ / "f.npz", Split::kTrain).sample, (Shape{1, 2, 2, 3}));
  EXPECT_EQ(read_npz_header(temp_ / "f.npz", Split::kTest).sample, (Shape{1, 2, 2, 1}));
  put_file(temp_ / "x.npy", npy_file("|u1", "(1000000, 28, 28)", "the rest is not looked at"));
  EXPECT_EQ(read_npy_header(temp_ / "x.npy").size, 1000000);
  EXPECT_EQ(read_npy_header(temp_ / "x.npy").sample, (Shape{1, 28, 28, 1}));
  put_file(temp_ / "x.npy", npy_file("<f4", "(1, 28, 28)", ""));
  expect_error(ExitCode::kBadData, {"x.npy: ", "<f4"}, [&] { read_npy_header(temp_ / "x.npy"); });
  expect_error(ExitCode::kNoInput, {"absent.npz"}, [&] { read_npz_header(temp_ / "absent.npz", Split::kTest); });
}

TEST_F(NpzFiles, WhatDoesNotFitIsNamed) {
  EXPECT_EQ(open({})->size(), 2);
  expect_bad({"a member 'x_train.npy', found images.npy, y_train.npy"}, {.x_name = "images.npy"});
  expect_bad({"x_train.npy: expected pixels", "<f4"}, {.x = npy_file("<f4", "(1, 1, 1)", "abcd")});
  expect_bad({"x_train.npy: expected images", "array of 4"}, {.x = npy_file("|u1", "(4,)", "abcd")});
  expect_bad({"x_train.npy: expected one image or more"}, {.x = npy_file("|u1", "(0, 2, 2)", "")});
  expect_bad({"x_train.npy: expected an NPY file"}, {.x = "abcd"});
  expect_bad({"y_train.npy: expected labels", "2x3: one-hot"}, {.y = npy_file("|u1", "(2, 3)", "abcdef")});
  expect_bad({"y_train.npy: expected labels", "array of scalar"}, {.y = npy_file("|u1", "()", "a")});
  expect_bad({"y_train.npy: expected whole numbers", "<f8"}, {.y = npy_file("<f8", "(1,)", "abcdefgh")});
  expect_bad({"y_train.npy: expected 2 labels"}, {.y = npy_file("|u1", "(1,)", "\1")});
  expect_bad({"y_train.npy: sample 1: expected a label of 0 to 2, found -1"}, {.y = npy_file("|i1", "(2,)", "\1\xff")});
}

// Whatever is changed: an Error, or images and labels as they were.
TEST_F(NpzFiles, ChangedBytesDoNoHarm) {
  const std::string saved = from_base64(kSaved), path = temp_ / "f.npz";
  put_file(path, saved);
  const std::string expected = open_npz(path, Split::kTrain, 3)->fingerprint();
  int refused = 0;
  for (size_t i = 0; i < saved.size(); ++i) {
    std::string changed = saved;
    changed[i] = static_cast<char>(changed[i] ^ (1 << i % 8));
    put_file(path, changed);
    try {
      EXPECT_EQ(open_npz(path, Split::kTrain, 3)->fingerprint(), expected) << i;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 200);
}

TEST_F(NpzFiles, APairOfNpyFiles) {
  put_file(temp_ / "x.npy", Npz().x);
  put_file(temp_ / "y.npy", Npz().y);
  const std::unique_ptr<Dataset> data = open_npy(temp_ / "x.npy", temp_ / "y.npy", 3);
  EXPECT_EQ(data->size(), 2);
  EXPECT_EQ(read_sample(*data, 1), (std::vector<uint8_t>{'c', 'd'}));
  EXPECT_EQ(data->fingerprint(), open({})->fingerprint());
  put_file(temp_ / "y.npy", npy_file("|u1", "(2,)", "\1\3"));
  expect_error(ExitCode::kBadData, {"y.npy: sample 1: expected a label of 0 to 2, found 3"},
               [&] { open_npy(temp_ / "x.npy", temp_ / "y.npy", 3); });
  expect_error(ExitCode::kNoInput, {"z.npy"}, [&] { open_npy(temp_ / "z.npy", temp_ / "y.npy", 3); });
}

TEST_F(NpzFiles, MnistIsTheSameAsFromIdx) {
  const std::string folder = test_data("mnist");
  if (folder.empty()) GTEST_SKIP() << "CONVOY_TEST_DATA has no mnist folder";
  const auto elements = [&](const std::string& name) {
    const std::string path = folder + "/" + name;
    const std::vector<uint8_t> bytes = parse_idx(read_file(path, int64_t{1} << 30), path).elements;
    return std::string(bytes.begin(), bytes.end());
  };
  put_file(temp_ / "mnist.npz",
           zip_archive({{"x_test.npy", npy_file("|u1", "(10000, 28, 28)", elements("t10k-images-idx3-ubyte.gz"))},
                        {"y_test.npy", npy_file("|u1", "(10000,)", elements("t10k-labels-idx1-ubyte.gz"))}}));
  EXPECT_EQ(open_npz(temp_ / "mnist.npz", Split::kTest, 10)->fingerprint(),
            open_idx(folder, Split::kTest, 10)->fingerprint());
}

}  // namespace
}  // namespace convoy
