// A tensor's sizes and where its elements lie: what decides whether an op can look at memory or has to copy it.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "size/expr.h"

namespace peakmem {

/// Sizes and strides (in elements) of a tensor of up to five dimensions, and the order of its dimensions in memory.
///
/// Strides are formulas like sizes and cannot be compared, so the order is kept beside them: order[0] is the
/// dimension with the largest stride. An expanded dimension has stride 0.
struct Shape {
  static constexpr int kMaxRank = 5;

  int rank = 0;
  std::array<Expr, kMaxRank> size;
  std::array<Expr, kMaxRank> stride;
  std::array<uint8_t, kMaxRank> order = {0, 1, 2, 3, 4};

  Shape() = default;
  Shape(std::initializer_list<Expr> sizes);

  Expr elements() const;
  Expr operator[](int dim) const { return size[static_cast<size_t>(dim < 0 ? dim + rank : dim)]; }
  /// Rows above the last dimension: B·T of [B, T, C].
  Expr rows() const;
};

/// Both have the same sizes (strides do not matter).
bool same_sizes(const Shape& a, const Shape& b);
/// Row-major without gaps, as PyTorch's is_contiguous: dimensions of size 1 are looked over.
bool is_contiguous(const Shape& shape);
/// Every element once and without gaps, in some order of dimensions.
bool is_dense(const Shape& shape);
/// The same sizes laid out row-major.
Shape contiguous(const Shape& shape);
/// The same sizes laid out densely in the same order of dimensions: what empty_like and elementwise ops make.
Shape preserved(const Shape& shape);

Shape transposed(Shape shape, int a, int b);
/// Insert a dimension of size 1.
Shape unsqueezed(const Shape& shape, int dim);
/// Sizes of 1 (or missing leading dimensions) become those of `sizes` with stride 0.
Shape expanded(const Shape& shape, const Shape& sizes);
/// One dimension narrowed to `length`; the strides stay, so the result may have gaps.
Shape narrowed(Shape shape, int dim, Expr length);
/// One dimension becomes two, `outer` times `inner`.
Shape split(const Shape& shape, int dim, Expr outer, Expr inner);
/// `count` dimensions from `first` on become one; `can_merge` says whether that needs no copy.
bool can_merge(const Shape& shape, int first, int count);
Shape merged(const Shape& shape, int first, int count);
/// A reduction over the last dimension that keeps it as size 1.
Shape reduced_last(const Shape& shape);

/// A matrix product's: the left operand's sizes, the last that of the right one.
Shape product(const Shape& left, const Shape& right);

/// The sizes two operands broadcast to, laid out as PyTorch's TensorIterator would lay out the result.
Shape broadcast(const Shape& a, const Shape& b);

}  // namespace peakmem
