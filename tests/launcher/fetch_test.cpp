// With curl on files of this machine; of a server only where Python is there to be one.
#include "launcher/fetch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "launcher/child.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

TEST(Child, OutputAndExitCodeComeBack) {
  EXPECT_EQ(run_program({"sh", "-c", "echo \"$1\"; cat; exit 3", "sh", "two  words"}).output, "two  words\n");
  EXPECT_EQ(run_program({"sh", "-c", "exit 3"}).code, 3);
  EXPECT_EQ(run_program({"sh", "-c", "kill -9 $$"}).code, 128 + 9);
  EXPECT_EQ(run_program({"sh", "-c", "yes | head -c 1000000"}).output.size(), 1'000'000u);
  expect_error(ExitCode::kUnavailable, {"no-such-program", "No such file"}, [] { run_program({"no-such-program"}); });
}

TEST(Fetch, SaysHowToGetWhatIsAbsent) {
  EXPECT_EQ(fetch_advice("data/mnist/train-images-idx3-ubyte.gz"),
            "; convoy data fetch mnist --to=data/mnist brings it");
  EXPECT_EQ(fetch_advice("/d/fashion_mnist/t10k-labels-idx1-ubyte"),
            "; convoy data fetch fashion-mnist --to=/d/fashion_mnist brings it");
  EXPECT_EQ(fetch_advice("train-images-idx3-ubyte.gz"), "");  // of two sets
  EXPECT_EQ(fetch_advice("cifar-10-binary.tar.gz"), "; convoy data fetch cifar10 --to=. brings it");
  EXPECT_EQ(fetch_advice("data/cifar-10-batches-bin"), "; convoy data fetch cifar10 --to=data brings it");
  EXPECT_EQ(fetch_advice("data/imagenette2-320"), "; convoy data fetch imagenette --to=data brings it");
  EXPECT_EQ(fetch_advice("data/mnist"), "; convoy data fetch mnist --to=data/mnist brings it");
  EXPECT_EQ(fetch_advice("w/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"),
            "; convoy data fetch vgg16-notop --to=w brings it");
  for (const char* path : {"", "/", "data", "photos/train", "mnistlike.npz"}) EXPECT_EQ(fetch_advice(path), "") << path;
  expect_error(ExitCode::kNoInput, {"x: no such file; convoy data fetch cifar10"},
               [] { throw with_fetch_advice(Error(ExitCode::kNoInput, "x: no such file"), "cifar10"); });
  expect_error(ExitCode::kBadData, {"x"}, [] { throw with_fetch_advice(Error(ExitCode::kBadData, "x"), "cifar10"); });
}

TEST(Fetch, KnownNamesAndUrls) {
  EXPECT_EQ(downloads_of("mnist").size(), 4u);
  EXPECT_EQ(
      downloads_of("fashion-mnist")[0].url,
      "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/train-images-idx3-ubyte.gz");
  for (const char* name : {"mnist", "fashion-mnist", "cifar10", "imagenette"})
    for (const RemoteFile& download : downloads_of(name)) {
      EXPECT_EQ(checked_download(download.url, download.sum).sum, download.sum);
      EXPECT_TRUE(download.url.starts_with("https://"));
    }
  for (const char* name : {"vgg16", "vgg16-notop"}) {
    const RemoteFile weights = downloads_of(name).at(0);
    EXPECT_TRUE(weights.url.starts_with("https://storage.googleapis.com/tensorflow/keras-applications/vgg16/vgg16_"));
    EXPECT_EQ(weights.sum.size(), 32u);
  }
  expect_error(ExitCode::kUsage, {"'mnits'", "did you mean 'mnist'"}, [] { downloads_of("mnits"); });
  EXPECT_EQ(file_of("https://a.org/b/c.tgz?d=/e#f"), "c.tgz");
  const std::string sum(64, 'A');
  EXPECT_EQ(checked_download("file:///a", sum).sum, std::string(64, 'a'));
  expect_error(ExitCode::kUsage, {"64 hexadecimal digits"}, [&] { checked_download("file:///a", sum.substr(1)); });
  expect_error(ExitCode::kUsage, {"64 hexadecimal digits"},
               [&] { checked_download("file:///a", sum.substr(1) + "g"); });
  for (const char* url : {"https://a.org/", "https://a.org/..", "https://a.org/?a=b"})
    expect_error(ExitCode::kUsage, {"ends in a file"}, [&] { checked_download(url, sum); });
}

class FetchTest : public testing::Test {
 protected:
  void SetUp() override {
    try {
      run_program({"curl", "--version"});
    } catch (const Error&) {
      GTEST_SKIP() << "no curl";
    }
    std::filesystem::create_directory(temp_ / "from");
    std::filesystem::create_directory(temp_ / "to");
    put_file(temp_ / "from/data.bin", kContents);
  }
  RemoteFile download(const std::string& file = "data.bin") const {
    return {"file://" + temp_.path() + "/from/" + file, kSum};
  }
  std::string fetched() const { return get_file(temp_ / "to/data.bin"); }
  bool has(const std::string& name) const { return std::filesystem::exists(temp_ / name); }

  const std::string kContents = "0123456789";
  const std::string kSum = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";  // sha256sum of it
  TempDirectory temp_;
};

TEST_F(FetchTest, ChecksByMd5) {
  RemoteFile weights = download();
  weights.sum = "781e5e245d69b566979b86e28d23f2c7";  // md5sum of it
  EXPECT_EQ(fetch(weights, temp_ / "to"), Fetched::kNew);
  put_file(temp_ / "to/data.bin", "other");
  expect_error(ExitCode::kBadData, {"expected MD5 781e5e245d69b566979b86e28d23f2c7, found 795f3202"},
               [&] { fetch(weights, temp_ / "to"); });
}

TEST_F(FetchTest, FetchesOnceAndThenOnlyChecks) {
  EXPECT_EQ(fetch(download(), temp_ / "to"), Fetched::kNew);
  EXPECT_EQ(fetched(), kContents);
  EXPECT_FALSE(has("to/data.bin.part"));
  std::filesystem::remove(temp_ / "from/data.bin");
  EXPECT_EQ(fetch(download(), temp_ / "to"), Fetched::kAlreadyThere);
  put_file(temp_ / "to/data.bin", "other");
  expect_error(ExitCode::kBadData, {temp_ / "to/data.bin", kSum, "move it away"},
               [&] { fetch(download(), temp_ / "to"); });
  EXPECT_EQ(fetched(), "other");
}

TEST_F(FetchTest, GoesOnFromAPart) {
  put_file(temp_ / "to/data.bin.part", "01234");
  put_file(temp_ / "from/data.bin", "xxxxx56789");  // so that only going on can give the right sum
  EXPECT_EQ(fetch(download(), temp_ / "to"), Fetched::kNew);
  EXPECT_EQ(fetched(), kContents);
}

TEST_F(FetchTest, AWholePartNeedsNoServer) {
  put_file(temp_ / "to/data.bin.part", kContents);
  std::filesystem::remove(temp_ / "from/data.bin");
  EXPECT_EQ(fetch(download(), temp_ / "to"), Fetched::kNew);
  EXPECT_EQ(fetched(), kContents);
}

TEST_F(FetchTest, APartThatIsTooLongIsStartedOver) {
  put_file(temp_ / "to/data.bin.part", kContents + "and more");
  EXPECT_EQ(fetch(download(), temp_ / "to"), Fetched::kNew);
  EXPECT_EQ(fetched(), kContents);
}

TEST_F(FetchTest, AnotherSumLeavesNothing) {
  put_file(temp_ / "from/data.bin", "9876543210");
  expect_error(ExitCode::kBadData, {"data.bin.part", kSum, "removed"}, [&] { fetch(download(), temp_ / "to"); });
  EXPECT_FALSE(has("to/data.bin"));
  EXPECT_FALSE(has("to/data.bin.part"));
}

TEST_F(FetchTest, WhatCannotBeHadIsSaid) {
  expect_error(ExitCode::kNoInput, {"none.bin", "not to be had"}, [&] { fetch(download("none.bin"), temp_ / "to"); });
  const RemoteFile closed = {"http://127.0.0.1:1/data.bin", kSum};  // nobody listens there
  put_file(temp_ / "to/data.bin.part", "01");
  expect_error(ExitCode::kUnavailable, {closed.url, "cannot be reached", temp_ / "to/data.bin", "by other means"},
               [&] { fetch(closed, temp_ / "to"); });
  EXPECT_EQ(get_file(temp_ / "to/data.bin.part"), "01");  // to go on from
  expect_error(ExitCode::kIo, {"cannot be written"}, [&] { fetch(download(), temp_ / "no-such-directory"); });
}

TEST_F(FetchTest, WithoutCurlItIsNamed) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", temp_.path().c_str(), 1);
  expect_error(ExitCode::kUnavailable, {"curl: cannot be run", "No such file"},
               [&] { fetch(download(), temp_ / "to"); });
  setenv("PATH", path.c_str(), 1);
}

TEST_F(FetchTest, ASumThatCannotBeMadeLeavesThePart) {
  const std::string path = std::getenv("PATH");
  const std::string curl = run_program({"sh", "-c", "command -v curl"}).output;
  std::filesystem::create_symlink(curl.substr(0, curl.find('\n')), temp_ / "curl");
  setenv("PATH", temp_.path().c_str(), 1);  // curl and nothing else
  expect_error(ExitCode::kUnavailable, {"sha256sum: cannot be run"}, [&] { fetch(download(), temp_ / "to"); });
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(get_file(temp_ / "to/data.bin.part"), kContents);
}

// Python's server, with `methods` in its handler, on the files to fetch; run(its URL) meanwhile.
void with_server(const std::string& directory, const std::string& methods,
                 const std::function<void(const std::string&)>& run) {
  const std::string program =
      "import http.server, socketserver\n"
      "class Handler(http.server.SimpleHTTPRequestHandler):\n" +
      methods +
      "  pass\n"
      "server = socketserver.TCPServer(('127.0.0.1', 0), Handler)\n"
      "print(server.server_address[1], flush=True)\n"
      "server.serve_forever()\n";
  int port = 0;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t server = fork();
  if (server == 0) {
    dup2(ends[1], 1);
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, 2);
    if (chdir(directory.c_str()) != 0) _exit(1);
    execlp("python3", "python3", "-u", "-c", program.c_str(), nullptr);
    _exit(1);
  }
  close(ends[1]);
  char text[16] = {};
  if (read(ends[0], text, sizeof text - 1) > 0) port = std::atoi(text);
  close(ends[0]);
  if (port != 0) run("http://127.0.0.1:" + std::to_string(port) + "/");
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  if (port == 0) GTEST_SKIP() << "no python3";
}

// Python's server knows no ranges: a part cannot be gone on from, and is started over.
TEST_F(FetchTest, AServerWithoutRangesIsAskedForAll) {
  with_server(temp_ / "from", "", [&](const std::string& url) {
    put_file(temp_ / "to/data.bin.part", "xxx");
    EXPECT_EQ(fetch({url + "data.bin", kSum}, temp_ / "to"), Fetched::kNew);
    EXPECT_EQ(fetched(), kContents);
    expect_error(ExitCode::kNoInput, {"none.bin", "not to be had"}, [&] {
      fetch({url + "none.bin", kSum}, temp_ / "to");
    });
  });
}

// The name is the answer, 501.bin for one; what is not asked for from an offset is there.
TEST_F(FetchTest, AServersRefusalLeavesThePartUnlessItIsTooLong) {
  put_file(temp_ / "from/416.bin", kContents);
  const std::string answer =
      "  def do_GET(self):\n"
      "    if 'Range' in self.headers: self.send_error(int(self.path[1:4]))\n"
      "    else: super().do_GET()\n";
  with_server(temp_ / "from", answer, [&](const std::string& url) {
    const auto refused = [&](const std::string& name, ExitCode code) {
      put_file(temp_ / ("to/" + name + ".part"), "0123");
      expect_error(code, {url + name, "HTTP status " + name.substr(0, 3)}, [&] {
        fetch({url + name, kSum}, temp_ / "to");
      });
      EXPECT_EQ(get_file(temp_ / ("to/" + name + ".part")), "0123");
    };
    refused("404.bin", ExitCode::kNoInput);
    refused("403.bin", ExitCode::kNoInput);
    refused("501.bin", ExitCode::kUnavailable);
    put_file(temp_ / "to/416.bin.part", kContents + "and more");
    EXPECT_EQ(fetch({url + "416.bin", kSum}, temp_ / "to"), Fetched::kNew);
  });
}

}  // namespace
}  // namespace convoy
