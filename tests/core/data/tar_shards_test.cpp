#include "core/data/tar_shards.h"

#include <unistd.h>

#include "tests/core/base/testing.h"
#include "tests/core/data/testing.h"

namespace convoy {
namespace {

using Strings = std::vector<std::string>;

class TarShardsTest : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& members) { put_file(temp_ / name, members + tar_end()); }
  TarShards open(const std::string& path = "a.tar") { return TarShards(shard_paths(temp_ / path)); }
  void expect_bad(const Strings& parts, const std::string& members) {
    put("a.tar", members);
    expect_error(ExitCode::kBadData, parts, [&] { open(); });
  }
  TempDirectory temp_;
};

TEST_F(TarShardsTest, MembersOfOneKeyAreASample) {
  put("a.tar", tar_file("x/1.jpg", "one") + tar_file("x/1.cls", " 2\n") + tar_file("x/1.txt", "a caption") +
                   tar_file("x.y/2.json", R"({"label": 0})") + tar_file("x.y/2.seg.png", "mask") +
                   tar_file("x.y/2.PNG", "second") + tar_file("README", "") +
                   tar_file("3.json", R"({"label": "other"})") + tar_file("3.cls", "1") + tar_file("3.ppm", ""));
  const TarShards store = open();
  EXPECT_EQ(names_and_labels(store), (Strings{"a.tar: x/1.jpg 2", "a.tar: x.y/2.PNG 0", "a.tar: 3.ppm 1"}));
  EXPECT_EQ(store.class_names(), (Strings{"0", "1", "2"}));
  std::vector<std::byte> scratch;
  EXPECT_EQ(text_of(store.file(0, scratch)), "one");
  EXPECT_EQ(text_of(store.file(1, scratch)), "second");
  EXPECT_EQ(text_of(store.file(2, scratch)), "");
  EXPECT_TRUE(scratch.empty());  // views of the mapped file
  store.will_read(1);
}

TEST_F(TarShardsTest, JsonLabelsMayBeNames) {
  put("a.tar", tar_file("1.jpg", "") + tar_file("1.json", R"({"label": "wolf"})") + tar_file("2.jpg", "") +
                   tar_file("2.json", R"({"label": "fox"})"));
  EXPECT_EQ(open().class_names(), (Strings{"fox", "wolf"}));
  EXPECT_EQ(open().label(0), 1);
}

TEST_F(TarShardsTest, ShardsComeInOrder) {
  for (const int shard : {9, 10, 11}) {
    const std::string name = "a-" + std::string(shard < 10 ? "00" : "0") + std::to_string(shard) + ".tar";
    put(name, tar_file("1.jpg", std::to_string(shard)) + tar_file("1.cls", std::to_string(shard)));
  }
  const Strings all = {"a-009.tar: 1.jpg 9", "a-010.tar: 1.jpg 10", "a-011.tar: 1.jpg 11"};
  EXPECT_EQ(names_and_labels(open("")), all);
  EXPECT_EQ(names_and_labels(open("a-{009..011}.tar")), all);
  EXPECT_EQ(names_and_labels(open("a-{010..010}.tar")), Strings{all[1]});
  expect_error(ExitCode::kNoInput, {"a-012.tar"}, [&] { open("a-{009..012}.tar"); });
}

TEST_F(TarShardsTest, PatternsAreRanges) {
  EXPECT_EQ(shard_paths("d/a{8..11}b.tar"), (Strings{"d/a8b.tar", "d/a9b.tar", "d/a10b.tar", "d/a11b.tar"}));
  EXPECT_EQ(shard_paths("a.tar"), Strings{"a.tar"});
  for (const char* wrong : {"{1..0}.tar", "{a..b}.tar", "{1..}.tar", "{..1}.tar", "{1,2}.tar", "{1..2}{1..2}.tar",
                            "{0..1000000}.tar", "{-1..2}.tar", "{0..99999999999999999999}.tar", "{1..2.tar"})
    expect_error(ExitCode::kBadData, {wrong, "one range"}, [&] { shard_paths(wrong); });
  expect_error(ExitCode::kNoInput, {temp_.path(), ".tar files"}, [&] { shard_paths(temp_.path()); });
}

TEST_F(TarShardsTest, ErrorsNameShardAndMember) {
  const std::string where = temp_ / "a.tar: ";
  expect_bad({temp_ / "a.tar", "expected samples"}, tar_file("readme.txt", ""));
  expect_bad({where + "1.jpg", "label"}, tar_file("1.jpg", ""));
  expect_bad({where + "1.cls", "expected an image"}, tar_file("1.cls", "1"));
  expect_bad({where + "1.png", "1.jpg too"}, tar_file("1.jpg", "") + tar_file("1.png", "") + tar_file("1.cls", "1"));
  expect_bad({where + "1.cls", "1.cls too"}, tar_file("1.jpg", "") + tar_file("1.cls", "1") + tar_file("1.cls", "2"));
  expect_bad({where + "1.cls", "an integer", "'cat'"}, tar_file("1.jpg", "") + tar_file("1.cls", "cat"));
  expect_bad({where + "1.jpg", "expected a label"}, tar_file("1.jpg", "") + tar_file("1.cls", " \n"));
  expect_bad({where + "1.jpg", "expected a label"}, tar_file("1.jpg", "") + tar_file("1.json", "{}"));
  expect_bad({where + "1.json", "not JSON"}, tar_file("1.jpg", "") + tar_file("1.json", "{"));
  expect_bad({where + "1.cls", "found a file of 2000000 bytes"},
             tar_file("1.jpg", "") + tar_file("1.cls", std::string(2'000'000, ' ')));
}

TEST_F(TarShardsTest, FingerprintIsNotOfTheShardsName) {
  const std::string members = tar_file("1.jpg", "abc") + tar_file("1.cls", "1");
  put("a.tar", members);
  put("b.tar", members);
  EXPECT_EQ(open("a.tar").fingerprint(), open("b.tar").fingerprint());
  put("b.tar", tar_file("1.jpg", "abcd") + tar_file("1.cls", "1"));
  EXPECT_NE(open("a.tar").fingerprint(), open("b.tar").fingerprint());
}

using TarShardsDeathTest = TarShardsTest;
TEST_F(TarShardsDeathTest, AShardThatIsCutUnderTheMappingIsNamed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  put("a.tar", tar_file("1.jpg", std::string(1 << 20, 'x')) + tar_file("1.cls", "1"));
  EXPECT_EXIT(
      {
        const TarShards store = open();
        if (truncate((temp_ / "a.tar").c_str(), 65536) != 0) _exit(1);
        std::vector<std::byte> scratch;
        const auto image = store.file(0, scratch);
        _exit(std::to_integer<int>(image[image.size() - 1]));
      },
      testing::ExitedWithCode(65), "error: .*/a.tar: was truncated, or cannot be read, while mapped");
}

}  // namespace
}  // namespace convoy
