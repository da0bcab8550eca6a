#include "launcher/config/yaml.h"

#include <gtest/gtest.h>

#include <string>

#include "core/base/error.h"

namespace convoy {
namespace {

std::string error_of(const std::string& text) {
  try {
    parse_yaml(text, "x.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    return error.what();
  }
  return "";
}

TEST(Yaml, KeepsOrderPlacesAndQuoting) {
  const Node root = parse_yaml("# comment\nb: 1\na:\n  - 'x'\n  - {c: y}\n", "x.yaml");
  ASSERT_EQ(root.children.size(), 2U);
  EXPECT_EQ(root.children[0].key, "b");
  EXPECT_EQ(root.children[0].key_where.text(), "x.yaml:2:1");
  EXPECT_EQ(root.children[0].where.text(), "x.yaml:2:4");
  EXPECT_FALSE(root.children[0].quoted);
  const Node& list = *root.find("a");
  EXPECT_TRUE(list.children[0].quoted);
  EXPECT_EQ(list.children[1].find("c")->text, "y");
  EXPECT_EQ(root.find("c"), nullptr);
}

TEST(Yaml, PlacesAnEmptyValueAtItsKey) {
  const Node root = parse_yaml("a:\n\n\nb: 1\n", "x.yaml");
  EXPECT_EQ(root.find("a")->kind, Node::Kind::kNothing);
  EXPECT_EQ(root.find("a")->where.text(), "x.yaml:1:1");
}

TEST(Yaml, RefusesWhatYamlCppLetsPass) {
  const struct {
    std::string text, error;
  } cases[] = {
      {"a: 1\nb: 2\na: 3\n", "x.yaml:3:1: a: duplicate key, first on line 1"},
      {"o:\n  m: 1\n  m: 2\n", "x.yaml:3:3: o.m: duplicate key, first on line 2"},
      {"l: [{k: 1}, {k: 1, k: 2}]\n", "x.yaml:1:20: l[1].k: duplicate key, first on line 1"},
      {"a: 1\n---\nb: 2\n", "x.yaml:2:1: expected one document, found a second one"},
      {"a: &x 1\n", "x.yaml:1:4: a: anchors (&name) are not supported; use base:"},
      {"a: *x\n", "x.yaml:1:4: not valid YAML: "},
      {"a: !!int 3\n", "x.yaml:1:4: a: tags (!name) are not supported"},
      {"a: !mine {b: 1}\n", "x.yaml:1:4: a: tags (!name) are not supported"},
      {"<<: {a: 1}\n", "x.yaml:1:1: merge keys (<<) are not supported; use base:"},
      {"? [a, b]\n: 1\n", "x.yaml:1:3: expected a key, found a list, a map or nothing; is a bracket left open?"},
      {"~: 1\n", "x.yaml:1:1: expected a key, found a list, a map or nothing; is a bracket left open?"},
      {"'': 1\n", "x.yaml:1:1: expected a key, found empty text"},
      {"a: b: c\n", "x.yaml:1:5: not valid YAML: "},
      {"a: [1, 2\n", "x.yaml:2:1: not valid YAML: "},
      {"a: \"\\0\"\n", "x.yaml:1:4: a: expected UTF-8 text, found a control character or invalid code point"},
      {"a: 1\nb: \xff\n", "x.yaml:2:4: expected UTF-8 text, found a control character or invalid byte"},
      {"a: \xed\xa0\x80\n", "x.yaml:1:4: expected UTF-8 text, found a control character or invalid byte"},
      {"a: \xc0\xaf\n", "x.yaml:1:4: expected UTF-8 text, found a control character or invalid byte"},
      {std::string("a: \0\n", 5), "x.yaml:1:4: expected UTF-8 text, found a control character or invalid byte"},
      {"a: 1\n" + std::string(1 << 20, '#'), "x.yaml: expected at most 1 MiB of YAML, found more"},
  };
  for (const auto& [text, error] : cases) {
    const std::string found = error_of(text);
    const bool in_yaml_cpp_words = error.ends_with("not valid YAML: ");  // they differ between its versions
    EXPECT_EQ(in_yaml_cpp_words ? found.substr(0, error.size()) : found, error) << text.substr(0, 80);
  }
}

TEST(Yaml, BoundsDepthAndCount) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(error_of(nested(32)), "");
  EXPECT_EQ(error_of(nested(33)), "x.yaml:1:33: nested deeper than 32 levels");
  EXPECT_NE(error_of(std::string(100000, '[')), "");
  EXPECT_NE(error_of(std::string(100000, '{')), "");
  std::string many;
  for (int i = 0; i < 9999; ++i) many += "- 1\n";
  EXPECT_EQ(error_of(many), "");
  EXPECT_EQ(error_of(many + "- 1\n"), "x.yaml:10000:3: more than 10000 values");
}

TEST(Yaml, AcceptsAnEmptyDocumentAndAByteOrderMark) {
  EXPECT_EQ(parse_yaml("", "x").kind, Node::Kind::kNothing);
  EXPECT_EQ(parse_yaml("# nothing\n", "x").kind, Node::Kind::kNothing);
  EXPECT_EQ(parse_yaml("\xef\xbb\xbf"
                       "a: 1\n",
                       "x")
                .find("a")
                ->text,
            "1");
}

TEST(Yaml, PrintsWhatItReads) {
  const std::string text =
      "a: 1\n"
      "b: \"yes\"\n"
      "c: [1, 2.5, x]\n"
      "d:\n"
      "  - relu\n"
      "  - conv2d: {filters: 3, kernel: [3, 5], padding: same}\n"
      "  - residual:\n"
      "      layers:\n"
      "        - relu\n"
      "        - add: {}\n"
      "      shortcut: []\n"
      "  - {match: \"*.bias\", scale: 0}\n"
      "e: \"a \\\"b\\\"\\\\\\n\\tc: d\"\n"
      "\"f g\": -1\n";
  EXPECT_EQ(to_yaml(parse_yaml(text, "x")), text);
}

TEST(Yaml, QuotesPlainTextThatFlowStyleWouldBreak) {
  const Node node = parse_yaml("a:\n- b: x]y\n  c: p, q\n  d: a b\n", "x");
  EXPECT_EQ(to_yaml(node), "a:\n  - {b: \"x]y\", c: \"p, q\", d: \"a b\"}\n");
}

TEST(Yaml, KnowsWhichTextNeedsQuotes) {
  for (const char* plain : {"relu", "a/b.gz", "batch_norm", "x-1"}) EXPECT_FALSE(needs_quotes(plain)) << plain;
  for (const char* quoted :
       {"", "yes", "NO", "null", "1", "1e3", "a b", "a:b", "*.bias", "~", "-x", "${env:A}", "a#b"}) {
    EXPECT_TRUE(needs_quotes(quoted)) << quoted;
  }
}

}  // namespace
}  // namespace convoy
