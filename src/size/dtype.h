// Element types and their sizes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace peakmem {

/// What a tensor's elements are.
enum class DType : uint8_t {
  kFloat32,
  kBFloat16,
  kFloat16,
  kInt64,
  kInt32,
  kUInt64,
  kUInt8,
  kBool,
  kInt8,
  // float64: of norms; it and what follows else of recordings alone
  kFloat64,
  kComplex64,
  kComplex128,
  kInt16,
  kUInt16,
  kUInt32,
  kFloat8E4M3,
  kFloat8E5M2
};

/// An element type's name as PyTorch writes it, its bytes, and whether it takes part in differentiation.
struct DTypeRow {
  std::string_view name;
  int64_t bytes;
  bool floating;
};

inline constexpr std::array<DTypeRow, 17> kDTypes = {{{"float32", 4, true},
                                                      {"bfloat16", 2, true},
                                                      {"float16", 2, true},
                                                      {"int64", 8, false},
                                                      {"int32", 4, false},
                                                      {"uint64", 8, false},
                                                      {"uint8", 1, false},
                                                      {"bool", 1, false},
                                                      {"int8", 1, false},
                                                      {"float64", 8, true},
                                                      {"complex64", 8, true},
                                                      {"complex128", 16, true},
                                                      {"int16", 2, false},
                                                      {"uint16", 2, false},
                                                      {"uint32", 4, false},
                                                      {"float8_e4m3fn", 1, true},
                                                      {"float8_e5m2", 1, true}}};

constexpr const DTypeRow& row_of(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }
constexpr int64_t size_of(DType dtype) { return row_of(dtype).bytes; }
constexpr bool is_floating(DType dtype) { return row_of(dtype).floating; }
constexpr std::string_view name_of(DType dtype) { return row_of(dtype).name; }

}  // namespace peakmem
