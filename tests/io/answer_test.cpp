#include "io/answer.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(Answer, SaysWhyARequestCannotBeRead) {
  EXPECT_EQ(answer("{\"model\": }"),
            "{\"error\":{\"field\":\"line 1, column 11\","
            "\"problem\":\"parsing value - unexpected '}'; expected '[', '{', or a literal\","
            "\"hint\":\"remove the comma before it, or add what is missing\"}}");
}

}  // namespace
}  // namespace peakmem
