// What tests of files need: a directory that goes away, the error of a call, a file system that fails.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/file.h"

namespace convoy {

class TempDirectory {
 public:
  TempDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "convoy-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error(ExitCode::kCannotCreate, name);
    path_ = name;
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::vector<std::byte> to_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline void put_file(const std::string& path, std::string_view contents) {
  std::ofstream(path, std::ios::binary) << contents;
}

inline std::string get_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Expects `call` to throw an Error with this code whose message contains each of `parts`.
inline void expect_error(ExitCode code, const std::vector<std::string>& parts, const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    for (const std::string& part : parts)
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << part << " in: " << error.what();
    return;
  }
  ADD_FAILURE() << "expected an Error, found none" << (parts.empty() ? "" : ": " + parts[0]);
}

// The real file system, but for call number `fail_at` (from 0) and, if `stay_down`, all calls after it: these change
// nothing and throw Error(kIo).  stay_down is what is left on the disk when the process is killed at that call.
class FailingFileSystem final : public FileSystem {
 public:
  FailingFileSystem(int fail_at, bool stay_down) : fail_at_(fail_at), stay_down_(stay_down) {}
  int calls() const { return calls_; }

  std::unique_ptr<OutputFile> create(const std::string& path) override {
    count("create");
    return std::make_unique<File>(*this, real_.create(path));
  }
  void make_directory(const std::string& path) override {
    count("make_directory");
    real_.make_directory(path);
  }
  void sync_directory(const std::string& path) override {
    count("sync_directory");
    real_.sync_directory(path);
  }
  void rename(const std::string& from, const std::string& to) override {
    count("rename");
    real_.rename(from, to);
  }
  void remove(const std::string& path) override {
    count("remove");
    real_.remove(path);
  }

 private:
  class File final : public OutputFile {
   public:
    File(FailingFileSystem& files, std::unique_ptr<OutputFile> real) : files_(files), real_(std::move(real)) {}
    void write(std::span<const std::byte> bytes) override {
      files_.count("write");
      real_->write(bytes);
    }
    void sync() override {
      files_.count("sync");
      real_->sync();
    }
    void close() override {
      files_.count("close");
      real_->close();
    }

   private:
    FailingFileSystem& files_;
    std::unique_ptr<OutputFile> real_;
  };

  void count(const char* call) {
    const int number = calls_++;
    if (number == fail_at_ || (stay_down_ && number > fail_at_))
      throw Error(ExitCode::kIo, std::string("injected failure of ") + call);
  }

  PosixFileSystem real_;
  const int fail_at_;
  const bool stay_down_;
  int calls_ = 0;
};

}  // namespace convoy
