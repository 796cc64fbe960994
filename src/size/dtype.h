// Element types and their sizes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace peakmem {

/// What a tensor's elements are.
enum class DType : uint8_t { kFloat32, kBFloat16, kFloat16, kInt64, kInt32, kUInt64, kUInt8, kBool, kInt8 };

/// An element type's name as PyTorch writes it, its bytes, and whether it takes part in differentiation.
struct DTypeRow {
  std::string_view name;
  int64_t bytes;
  bool floating;
};

inline constexpr std::array<DTypeRow, 9> kDTypes = {{{"float32", 4, true},
                                                     {"bfloat16", 2, true},
                                                     {"float16", 2, true},
                                                     {"int64", 8, false},
                                                     {"int32", 4, false},
                                                     {"uint64", 8, false},
                                                     {"uint8", 1, false},
                                                     {"bool", 1, false},
                                                     {"int8", 1, false}}};

constexpr const DTypeRow& row_of(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }
constexpr int64_t size_of(DType dtype) { return row_of(dtype).bytes; }
constexpr bool is_floating(DType dtype) { return row_of(dtype).floating; }
constexpr std::string_view name_of(DType dtype) { return row_of(dtype).name; }

}  // namespace peakmem
