// `convoy eval` as a user runs it, alone and under mpirun.
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/io/csv.h"
#include "tests/launcher/convoy_command.h"

namespace convoy {
namespace {

using EvalCommand = ConvoyCommand;

TEST_F(EvalCommand, PrintsWhatIsTakenForWhat) {
  using nlohmann::json;
  fine(convoy("train x.yaml"));
  const json alone = json::parse(fine(convoy("eval x.yaml --json --confusion")));
  const json ranks = json::parse(fine(convoy(3, "eval x.yaml --json --confusion")));
  for (const char* key : {"correct", "correct_top5", "images", "classes", "confusion"}) {
    EXPECT_EQ(alone.at(key), ranks.at(key)) << key;
  }
  EXPECT_EQ(alone.at("images"), 203);
  EXPECT_FALSE(json::parse(fine(convoy("eval x.yaml --json"))).contains("confusion"));

  const std::string text = fine(convoy("eval x.yaml --confusion"));
  const size_t line = text.find('\n');
  EXPECT_NE(text.substr(0, line).find(", top-5 "), std::string::npos) << text;
  const std::string table = text.substr(line + 1);
  CsvReader csv(table, "out");
  std::vector<std::string> fields;
  ASSERT_TRUE(csv.next(fields));
  EXPECT_EQ(fields[3], "accuracy");
  for (size_t of = 0; of < 7; ++of) {
    ASSERT_TRUE(csv.next(fields));
    ASSERT_EQ(fields.size(), 11U);
    EXPECT_EQ(fields[1], alone["classes"][of]["images"].dump());
    EXPECT_EQ(fields[2], alone["confusion"][of][of].dump());
    for (size_t as = 0; as < 7; ++as) EXPECT_EQ(fields[4 + as], alone["confusion"][of][as].dump());
  }
  EXPECT_FALSE(csv.next(fields));
}

TEST_F(EvalCommand, ATableHasItsLimit) {
  const Result result = convoy("eval x.yaml --confusion data.classes=4097");
  EXPECT_EQ(result.code, static_cast<int>(ExitCode::kUsage));
  EXPECT_NE(result.errors.find("--confusion: expected at most 4096 classes, found 4097"), std::string::npos)
      << result.errors;
}

}  // namespace
}  // namespace convoy
