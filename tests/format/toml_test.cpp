#include "format/toml.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(TomlTest, TablesAndValues) {
  const Result<Value> value = parse_toml("[a]\nx = 3\ny = 2.5e-4\nz = [true, \"t\"]\nd = 2026-11-29\n[a.b]\nw = -1\n");
  ASSERT_TRUE(value) << value.error().problem;
  const Value* a = value->find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->find("x")->integer, 3);
  EXPECT_EQ(a->find("y")->real, 2.5e-4);
  EXPECT_EQ(a->find("z")->items[1].string, "t");
  EXPECT_EQ(a->find("d")->string, "a date");
  EXPECT_EQ(a->find("b")->find("w")->integer, -1);
}

TEST(TomlTest, RefusesWithTheLine) {
  EXPECT_EQ(parse_toml("a = 1\nb = \n").error().field, "line 2");
  EXPECT_FALSE(parse_toml("a = 1\na = 2\n"));
  EXPECT_FALSE(parse_toml(std::string_view("[\0\0]", 4)));
  EXPECT_FALSE(parse_toml("a = " + std::string(100'000, '[')));
  EXPECT_FALSE(parse_toml("[`]\n"));
}

}  // namespace
}  // namespace peakmem
