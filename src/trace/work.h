// What the ops that multiply compute: the arithmetic of a step, as sizes that may be letters.
#pragma once

#include <cstdint>

#include "size/expr.h"

namespace peakmem {

/// Kinds of ops that multiply, and what their sizes mean (b batch, h heads, r rows, c columns, k inner, w width).
enum class WorkKind : uint8_t {
  kProduct,            // [r, k] × [k, c], b times
  kGroupedProduct,     // r rows in h groups, each with its own [k, c]
  kAttention,          // r queries of width k and c keys, whose values are w wide, for b·h heads; keeps no scores
  kAttentionBackward,  // of the same, which makes the scores again
};

/// What one op computes when its result is born.
struct Work {
  int32_t storage = 0;  // of the program, the op's result
  WorkKind kind = WorkKind::kProduct;
  bool again = false;   // in a checkpointed layer's second run
  bool causal = false;  // the kernel leaves out what the mask hides, about half
  Expr batch = 1;
  Expr heads = 1;
  Expr rows = 1;
  Expr columns = 1;
  Expr inner = 1;
  Expr width = 0;
};

class Tensor;

/// Notes what is computed for `result`: a product; one of rows in groups; attention's by its queries' width and rows,
/// [b, h, r, k]. Nothing where the op does not take place.
void count_product(const Tensor& result, Expr rows, Expr inner, Expr columns, Expr batch = 1);
void count_grouped_product(const Tensor& result, Expr groups, Expr rows, Expr inner, Expr columns);
/// `attention`: with the sizes, kind and `causal` set.
void count_attention(const Tensor& result, const Work& attention);

}  // namespace peakmem
