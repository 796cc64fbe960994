#include "format/yaml.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "format/json_writer.h"

namespace peakmem {
namespace {

/// What `text` says, as JSON on one line; the problem where it says nothing.
std::string read(std::string_view text) {
  const Result<Value> value = parse_yaml(text);
  if (!value) return value.error().field + ": " + value.error().problem;
  std::string json = to_json(*value);
  for (size_t at = json.find('\n'); at != std::string::npos; at = json.find('\n', at))
    json.erase(at, std::min(json.find_first_not_of(" \n", at), json.size()) - at);
  for (size_t at = json.find("\": "); at != std::string::npos; at = json.find("\": ", at)) json.erase(at + 2, 1);
  return json;
}

// What PyYAML 6.0.3's safe_load makes of them.
TEST(YamlTest, ScalarsAreThoseOfYaml11) {
  EXPECT_EQ(read("[2e-5, 2.0e-5, 1e8, 1.0e+8, .5, 5.]"), R"(["2e-5",2e-05,"1e8",100000000.0,0.5,5.0])");
  EXPECT_EQ(read("[no, off, No, NO, nO, yes, On, true, y]"), R"([false,false,false,false,"nO",true,true,true,"y"])");
  EXPECT_EQ(read("[010, 0x10, 0b11, 1_000, -7, 08, +3]"), R"([8,16,3,1000,-7,"08",3])");
  EXPECT_EQ(read("[~, null, Null, '', \"no\", 'null']"), R"([null,null,null,"","no","null"])");
  EXPECT_EQ(read("[4k, 1.2.3, 2026-11-29, a b, -, .]"), R"(["4k","1.2.3","2026-11-29","a b","-","."])");
}

TEST(YamlTest, AnchorsAndMergesAreWrittenOut) {
  EXPECT_EQ(read("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3"), R"({"a":{"b":1,"c":2},"d":{"c":3,"b":1}})");
  EXPECT_EQ(read("a: *x"), "line 1: *x stands for nothing that was said before");
}

TEST(YamlTest, RefusesWithTheLine) {
  EXPECT_EQ(read("a: 1\nb: 2\na: 3"), "line 3: \"a\" is said twice, first in line 1");
  EXPECT_EQ(read("a: 1\n---\nb: 2"), "line 2: starts a second document");
  EXPECT_EQ(read("a: !x 1"), "line 1: has the tag \"!x\", which makes an object: it is not read");
  EXPECT_EQ(read("a:\n\tb: 1").substr(0, 6), "line 2");
  EXPECT_EQ(read(""), "null");
}

}  // namespace
}  // namespace peakmem
