#include "trace/shape.h"

#include <utility>

namespace peakmem {
namespace {

size_t at(int dim) { return static_cast<size_t>(dim); }

/// Strides without gaps for the shape's sizes, the dimensions lying in memory as `order` says.
void lay_out(Shape& shape) {
  Expr stride = 1;
  for (int i = shape.rank - 1; i >= 0; --i) {
    const size_t dim = shape.order[at(i)];
    shape.stride[dim] = stride;
    if (!is_one(shape.size[dim])) stride = stride * shape.size[dim];
  }
}

void reset_order(Shape& shape) {
  for (int i = 0; i < shape.rank; ++i) shape.order[at(i)] = static_cast<uint8_t>(i);
}

bool gapless(const Shape& shape, bool row_major) {
  Expr expected = 1;
  for (int i = shape.rank - 1; i >= 0; --i) {
    const size_t dim = row_major ? at(i) : shape.order[at(i)];
    if (is_one(shape.size[dim])) continue;
    if (!identical(shape.stride[dim], expected)) return false;
    expected = expected * shape.size[dim];
  }
  return true;
}

bool is_expanded(const Shape& shape, size_t dim) {
  return identical(shape.stride[dim], Expr(0)) && !is_one(shape.size[dim]);
}

/// Place of a dimension in memory, 0 outermost.
int depth(const Shape& shape, size_t dim) {
  for (int i = 0; i < shape.rank; ++i)
    if (shape.order[at(i)] == dim) return i;
  return shape.rank;
}

/// TensorIterator's question: does dimension a lie outside b? +1 yes, -1 no, 0 the operand cannot tell.
int lies_outside(const Shape& operand, int rank, size_t a, size_t b) {
  const int missing = rank - operand.rank;
  if (static_cast<int>(a) < missing || static_cast<int>(b) < missing) return 0;
  const size_t x = a - at(missing);
  const size_t y = b - at(missing);
  const bool a_moves = !identical(operand.stride[x], Expr(0)) && !is_one(operand.size[x]);
  const bool b_moves = !identical(operand.stride[y], Expr(0)) && !is_one(operand.size[y]);
  if (!a_moves || !b_moves) return 0;
  return depth(operand, x) < depth(operand, y) ? 1 : -1;
}

/// Insertion sort from the innermost dimension outwards, as TensorIterator orders its loops.
void order_like(Shape& result, const Shape* const* operands, int count) {
  for (int i = result.rank - 2; i >= 0; --i) {
    for (int j = i; j + 1 < result.rank; ++j) {
      int answer = 0;
      for (int k = 0; k < count && answer == 0; ++k)
        answer = lies_outside(*operands[k], result.rank, result.order[at(j)], result.order[at(j + 1)]);
      if (answer >= 0) break;
      std::swap(result.order[at(j)], result.order[at(j + 1)]);
    }
  }
}

}  // namespace

Shape::Shape(std::initializer_list<Expr> sizes) : rank(static_cast<int>(sizes.size())) {
  size_t i = 0;
  for (const Expr& s : sizes) size[i++] = s;
  lay_out(*this);
}

Expr Shape::elements() const {
  Expr product = 1;
  for (int i = 0; i < rank; ++i) product = product * size[at(i)];
  return product;
}

Expr Shape::rows() const {
  Expr product = 1;
  for (int i = 0; i + 1 < rank; ++i) product = product * size[at(i)];
  return product;
}

bool same_sizes(const Shape& a, const Shape& b) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; ++i)
    if (!identical(a.size[at(i)], b.size[at(i)])) return false;
  return true;
}

bool is_contiguous(const Shape& shape) { return gapless(shape, true); }
bool is_dense(const Shape& shape) { return gapless(shape, false); }

Shape contiguous(const Shape& shape) {
  Shape result = shape;
  reset_order(result);
  lay_out(result);
  return result;
}

Shape preserved(const Shape& shape) {
  Shape result = shape;
  if (is_dense(shape)) return result;
  for (int i = 0; i < shape.rank; ++i)
    if (is_expanded(shape, at(i))) return contiguous(shape);
  lay_out(result);
  return result;
}

Shape transposed(Shape shape, int a, int b) {
  if (a < 0) a += shape.rank;
  if (b < 0) b += shape.rank;
  std::swap(shape.size[at(a)], shape.size[at(b)]);
  std::swap(shape.stride[at(a)], shape.stride[at(b)]);
  for (auto& dim : shape.order) {
    if (dim == a) {
      dim = static_cast<uint8_t>(b);
    } else if (dim == b) {
      dim = static_cast<uint8_t>(a);
    }
  }
  return shape;
}

Shape unsqueezed(const Shape& shape, int dim) {
  if (dim < 0) dim += shape.rank + 1;
  return dim < shape.rank ? split(shape, dim, 1, shape.size[at(dim)])
                          : split(shape, dim - 1, shape.size[at(dim - 1)], 1);
}

Shape expanded(const Shape& shape, const Shape& sizes) {
  Shape result = contiguous(sizes);
  const int missing = sizes.rank - shape.rank;
  for (int i = 0; i < sizes.rank; ++i) {
    const bool moves = i >= missing && identical(shape.size[at(i - missing)], sizes.size[at(i)]);
    result.stride[at(i)] = moves ? shape.stride[at(i - missing)] : Expr(0);
  }
  for (int i = 0; i < shape.rank; ++i)
    result.order[at(i + missing)] = static_cast<uint8_t>(shape.order[at(i)] + missing);
  return result;
}

Shape narrowed(Shape shape, int dim, Expr length) {
  if (dim < 0) dim += shape.rank;
  shape.size[at(dim)] = length;
  return shape;
}

Shape split(const Shape& shape, int dim, Expr outer, Expr inner) {
  Shape result;
  result.rank = shape.rank + 1;
  for (int i = 0; i < result.rank; ++i) {
    const int from = i <= dim ? i : i - 1;
    result.size[at(i)] = shape.size[at(from)];
    result.stride[at(i)] = shape.stride[at(from)];
  }
  result.size[at(dim)] = outer;
  result.size[at(dim + 1)] = inner;
  result.stride[at(dim)] = shape.stride[at(dim)] * inner;
  int next = 0;
  for (int i = 0; i < shape.rank; ++i) {
    const int old = shape.order[at(i)];
    result.order[at(next++)] = static_cast<uint8_t>(old <= dim ? old : old + 1);
    if (old == dim) result.order[at(next++)] = static_cast<uint8_t>(dim + 1);
  }
  return result;
}

bool can_merge(const Shape& shape, int first, int count) {
  int inner = -1;
  for (int i = first + count - 1; i >= first; --i) {
    if (is_one(shape.size[at(i)])) continue;
    if (inner >= 0 && !identical(shape.stride[at(i)], shape.size[at(inner)] * shape.stride[at(inner)])) return false;
    inner = i;
  }
  return true;
}

Shape merged(const Shape& shape, int first, int count) {
  Shape result;
  result.rank = shape.rank - count + 1;
  Expr elements = 1;
  int inner = first + count - 1;  // the dimension whose stride the merged one takes: the innermost that moves
  for (int i = first + count - 1; i >= first; --i) {
    if (is_one(shape.size[at(inner)])) inner = i;
    elements = elements * shape.size[at(i)];
  }
  for (int i = 0; i < result.rank; ++i) {
    const int from = i <= first ? i : i + count - 1;
    result.size[at(i)] = shape.size[at(from)];
    result.stride[at(i)] = shape.stride[at(from)];
  }
  result.size[at(first)] = elements;
  result.stride[at(first)] = shape.stride[at(inner)];
  int next = 0;
  for (int i = 0; i < shape.rank; ++i) {
    const int old = shape.order[at(i)];
    if (old >= first && old < first + count && old != inner) continue;
    result.order[at(next++)] = static_cast<uint8_t>(old < first ? old : (old == inner ? first : old - count + 1));
  }
  return result;
}

Shape reduced_last(const Shape& shape) {
  Shape result = shape;
  result.size[at(shape.rank - 1)] = 1;
  lay_out(result);
  return result;
}

Shape product(const Shape& left, const Shape& right) {
  Shape result = left;
  result.size[at(left.rank - 1)] = right.size[at(right.rank - 1)];
  return contiguous(result);
}

Shape broadcast(const Shape& a, const Shape& b) {
  if (same_sizes(a, b) && is_dense(a)) return a;
  Shape result;
  result.rank = a.rank > b.rank ? a.rank : b.rank;
  for (int i = 0; i < result.rank; ++i) {
    const int in_a = i - (result.rank - a.rank);
    const int in_b = i - (result.rank - b.rank);
    const bool take_b = in_a < 0 || (in_b >= 0 && is_one(a.size[at(in_a)]));
    result.size[at(i)] = take_b ? b.size[at(in_b)] : a.size[at(in_a)];
  }
  const Shape* operands[] = {&a, &b};
  order_like(result, operands, 2);
  lay_out(result);
  return result;
}

}  // namespace peakmem
