#include "format/yaml_writer.h"

#include <gtest/gtest.h>

#include "format/json.h"
#include "format/json_writer.h"
#include "format/yaml.h"

namespace peakmem {
namespace {

TEST(YamlWriter, IsReadAsTheSameValue) {
  for (const char* text : {R"({"a": 1, "b": {"c": [1, "x", true], "d": null}, "e": "no", "f": "1e3", "g": 0.5})",
                           R"({"quoted": "a: b # c", "empty": "", "line": "one\ntwo", "list": [], "u": "\u00e9"})"}) {
    const Result<Value> value = parse_json(text);
    ASSERT_TRUE(value);
    const Result<Value> again = parse_yaml(to_yaml(*value));
    ASSERT_TRUE(again) << to_yaml(*value);
    EXPECT_EQ(to_json(*again), to_json(*value)) << to_yaml(*value);
  }
}

TEST(YamlWriter, IsInBlocksWithListsOnOneLine) {
  const Result<Value> value = parse_json(R"({"a": {"b": [1, 2]}, "no": "no"})");
  EXPECT_EQ(to_yaml(*value), "a:\n  b: [1, 2]\n\"no\": \"no\"\n");
}

}  // namespace
}  // namespace peakmem
