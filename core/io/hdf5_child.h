// The program convoy-h5 while it runs, and the line to it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/file_descriptor.h"
#include "core/io/hdf5_stream.h"

namespace convoy {

// Where convoy-h5 lies: beside the program that runs, or in ../libexec/convoy seen from there.  Throws
// Error(kUnavailable) saying where it was looked for.
std::string find_h5_program();

// Bytes to and from a child that may do anything: crash, hang, fall silent, drip, talk without end.  All errors are as
// `broken` says and begin with `name`, but kUnavailable where it cannot be started.  The destructor ends it; no zombie
// is left.
//
// It has a few seconds of patience.  Time uses them up, bytes that come or go through give them back, at a rate that
// any disk has, but in all no more bytes than the file has.  So whatever it does it has ended after `seconds` and what
// the file takes at that rate; and a large file on a slow disk is read.
class Hdf5Child final : public ByteSource, public ByteSink {
 public:
  struct Patience {
    int seconds = 4;
    int64_t file_bytes = 0;  // or of what is written
    ExitCode broken = ExitCode::kBadData;
  };
  // The child has `file` as descriptor 0 and the line as descriptor 1, nothing else but standard error.
  Hdf5Child(const std::vector<std::string>& arguments, int file, const Patience& patience, std::string name);
  Hdf5Child(const Hdf5Child&) = delete;
  Hdf5Child& operator=(const Hdf5Child&) = delete;
  ~Hdf5Child() override;

  void read(std::span<std::byte> out) override;
  // Stops without an error where the child has something to say: read it.
  void write(std::span<const std::byte> bytes) override;
  // Returns when the child has ended, successfully and without another byte.
  void expect_end();

 private:
  // Waits until one of `events` is so, and returns those that are.
  short wait_for(short events);
  size_t receive(std::span<std::byte> out);  // 0: the end
  int wait_until_ended();                    // its status, as of waitpid()
  void spend_time();                         // throws where there is no patience left
  void earn_time(size_t bytes);              // that came or went
  [[noreturn]] void fail_ended();
  [[noreturn]] void fail(const std::string& what) const;

  const std::string name_;
  const Patience patience_;
  std::chrono::steady_clock::time_point last_;    // when time was spent
  std::chrono::steady_clock::duration spent_{0};  // of the patience
  int64_t bytes_left_;                            // that earn time
  FileDescriptor line_;
  pid_t child_ = -1;      // < 0: ended, and nothing left of it
  bool heard_ = false;    // anything yet
  bool stopped_ = false;  // writing, because it spoke
  std::vector<std::byte> buffer_;
  std::span<const std::byte> buffered_;  // of buffer_, not read yet
};

}  // namespace convoy
