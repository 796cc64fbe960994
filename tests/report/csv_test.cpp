#include "report/csv.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(Csv, AFieldIsQuotedWhereItWouldBeSeveral) {
  EXPECT_EQ(csv_field("a b"), "a b");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_quoted("say \"so\""), "\"say \"\"so\"\"\"");
}

}  // namespace
}  // namespace peakmem
