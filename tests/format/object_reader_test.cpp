#include "format/object_reader.h"

#include <gtest/gtest.h>

#include <array>

#include "format/json.h"

namespace peakmem {
namespace {

TEST(ObjectReader, ReadsWhatIsAsItMustBe) {
  const Result<ObjectFile> file =
      parse_json_graph(R"({"n": 3, "t": "word", "yes": true, "list": ["a", "b"], "x-own": 1})");
  ASSERT_TRUE(file);
  const Object root = file->root();
  ObjectReader reader;
  constexpr std::array<std::string_view, 2> kWords = {"other", "word"};
  reader.check_members(root, {"n", "t", "yes", "list"}, "");
  EXPECT_EQ(reader.integer(root["n"], "n", 0, 3), 3);
  EXPECT_EQ(reader.index(root["n"], "n", 4, "item"), 3);
  EXPECT_EQ(reader.one_of(root["t"], "t", kWords), 1U);
  EXPECT_TRUE(reader.truth(root["yes"], "yes"));
  EXPECT_EQ(reader.lines(root, "list"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(reader.optional_text(root, "absent"), "");
  EXPECT_FALSE(reader.failed());
}

TEST(ObjectReader, KeepsTheFirstComplaint) {
  const Result<ObjectFile> file = parse_json_graph(R"({"n": 3, "list": [1, "b"]})");
  ASSERT_TRUE(file);
  const Object root = file->root();
  ObjectReader reader;
  EXPECT_EQ(reader.index(root["n"], "n", 2, "item"), 0);
  EXPECT_TRUE(reader.lines(root, "list").empty());
  ASSERT_TRUE(reader.failed());
  EXPECT_EQ(reader.error().field, "n");
  EXPECT_EQ(reader.error().problem, "names item 3, of which there are 2");
}

}  // namespace
}  // namespace peakmem
