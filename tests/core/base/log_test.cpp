#include "core/base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>

namespace convoy {
namespace {

// What one call wrote: a packet pipe keeps the bytes of each write() apart.
class Pipe {
 public:
  Pipe() { EXPECT_EQ(pipe2(fds_.data(), O_DIRECT | O_NONBLOCK), 0); }
  ~Pipe() {
    close(fds_[0]);
    close(fds_[1]);
  }
  int write_end() const { return fds_[1]; }
  std::string one_write() {
    std::array<char, 4096> buffer;
    const ssize_t count = read(fds_[0], buffer.data(), buffer.size());
    return count > 0 ? std::string(buffer.data(), static_cast<size_t>(count)) : "";
  }

 private:
  std::array<int, 2> fds_;
};

TEST(Log, OneWritePerCallWithPrefixOnEachLine) {
  Pipe pipe;
  const Log log(LogLevel::kInfo, 3, pipe.write_end());
  log.info("epoch 1");
  log.warning("disk is full\nsecond line");
  EXPECT_EQ(pipe.one_write(), "[r3] epoch 1\n");
  EXPECT_EQ(pipe.one_write(), "[r3] warning: disk is full\n[r3]   second line\n");
}

TEST(Log, LevelsBelowTheOneAskedForAreSilent) {
  Pipe pipe;
  const Log log(LogLevel::kWarning, -1, pipe.write_end());
  log.debug("a");
  log.info("b");
  log.error("c");
  EXPECT_EQ(pipe.one_write(), "error: c\n");
  EXPECT_EQ(pipe.one_write(), "");
}

TEST(Log, ControlCharactersDoNotReachTheTerminal) {
  Pipe pipe;
  Log(LogLevel::kInfo, -1, pipe.write_end()).info("tensor '\x1b[2J\r\x7f' \tgröße");
  EXPECT_EQ(pipe.one_write(), "tensor '?[2J?\?' \tgröße\n");
}

TEST(Log, OnlyUtf8ReachesTheTerminal) {
  Pipe pipe;
  Log(LogLevel::kInfo, -1, pipe.write_end())
      .info("\x9b[2J \xc2\x9b \xff\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80\xed\xa0\x80\xc3");
  EXPECT_EQ(pipe.one_write(), "?[2J ? ?\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80????\n");
}

TEST(Log, AReaderThatIsGoneIsNoError) { Log(LogLevel::kInfo, 0, -1).info("nobody"); }

}  // namespace
}  // namespace convoy
