#include "format/given.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(Given, HasWhatIsSaidOrWhatHoldsOtherwise) {
  const Result<Value> value = parse_json(R"({"n": 3, "x": 0.5, "yes": true, "name": "a", "none": null})");
  ASSERT_TRUE(value);
  const Given given(&*value);
  EXPECT_EQ(given.size("n", 1), 3);
  EXPECT_EQ(given.size("name", 1), 1);
  EXPECT_EQ(given.real("x", 0.0), 0.5);
  EXPECT_EQ(given.real("none", 2.0), 2.0);
  EXPECT_TRUE(given.flag("yes"));
  EXPECT_TRUE(given.flag("n", true));
  EXPECT_EQ(given.text("name"), "a");
  EXPECT_EQ(given.text("nothing"), "");
}

TEST(Given, OfNoObjectHasNothing) {
  const Given given(nullptr);
  EXPECT_EQ(given.find("n"), nullptr);
  EXPECT_EQ(given.size("n", 7), 7);
}

}  // namespace
}  // namespace peakmem
