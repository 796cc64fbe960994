#include "size/dtype.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

TEST(DTypeTable, RowsAreInOrder) {
  EXPECT_EQ(name_of(DType::kFloat32), "float32");
  EXPECT_EQ(name_of(DType::kBFloat16), "bfloat16");
  EXPECT_EQ(name_of(DType::kFloat16), "float16");
  EXPECT_EQ(name_of(DType::kInt64), "int64");
  EXPECT_EQ(name_of(DType::kInt32), "int32");
  EXPECT_EQ(name_of(DType::kUInt64), "uint64");
  EXPECT_EQ(name_of(DType::kUInt8), "uint8");
  EXPECT_EQ(name_of(DType::kBool), "bool");
}

TEST(DTypeTable, Bytes) {
  static_assert(size_of(DType::kFloat32) == 4);
  static_assert(size_of(DType::kBFloat16) == 2);
  static_assert(size_of(DType::kBool) == 1);
  static_assert(is_floating(DType::kFloat16) && !is_floating(DType::kInt64));
}

}  // namespace
}  // namespace peakmem
