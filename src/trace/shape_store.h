// Every shape of a trace once: thousands of tensors and nodes have a few dozen shapes, and of each few others are made.
//
// A kept shape remembers what was made of it, so that a view or an elementwise op finds its result's shape instead of
// working it out anew:
//
//     [B, T, C] ── split(2, H, D) ──► [B, T, H, D] ── transposed(1, 2) ──► [B, H, T, D] …
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "size/hash_index.h"
#include "trace/shape.h"

namespace peakmem {

class ShapeStore;

/// A function of shape.h with its arguments beside the shape: numbers, and sizes or another kept shape as words.
struct ShapeStep {
  enum class Kind : uint8_t {
    kContiguous,
    kPreserved,
    kReducedLast,
    kTransposed,
    kUnsqueezed,
    kExpanded,
    kNarrowed,
    kSplit,
    kMerged,
    kProduct,
    kBroadcast
  };
  explicit ShapeStep(Kind kind, int first = 0, int second = 0, uint64_t a = 0, uint64_t b = 0)
      : what(static_cast<uint64_t>(kind) << 16 | static_cast<uint64_t>(first & 0xFF) << 8 |
             static_cast<uint64_t>(second & 0xFF)),
        x(a),
        y(b) {}
  bool operator==(const ShapeStep&) const = default;

  uint64_t what;
  uint64_t x;
  uint64_t y;
};

/// A shape of a store with what is often asked of it; equal ones are the same object.
class KeptShape : public Shape {
 public:
  KeptShape(ShapeStore& store, const Shape& shape);
  Expr elements() const { return elements_; }
  bool is_contiguous() const { return is_contiguous_; }
  bool is_dense() const { return is_dense_; }
  /// What the step makes of this shape: `make()` the first time, remembered afterwards.
  template <class Make>
  const KeptShape& after(const ShapeStep& step, const Make& make) const {
    for (const Made* made = made_; made != nullptr; made = made->next)
      if (made->step == step) return *made->shape;
    return remember(step, make());
  }

 private:
  friend class ShapeStore;
  /// A step that was done and what it gave.
  struct Made {
    ShapeStep step;
    const KeptShape* shape;
    const Made* next;
  };
  const KeptShape& remember(const ShapeStep& step, const Shape& shape) const;

  ShapeStore* store_;
  Expr elements_;
  bool is_contiguous_;
  bool is_dense_;
  mutable const Made* made_ = nullptr;
};

/// Keeps shapes where they are for as long as it lives.
class ShapeStore {
 public:
  ShapeStore() = default;
  ShapeStore(const ShapeStore&) = delete;
  ShapeStore& operator=(const ShapeStore&) = delete;
  /// The one that has these sizes, strides and order.
  const KeptShape& keep(const Shape& shape);

 private:
  friend class KeptShape;
  std::deque<KeptShape> shapes_;
  std::deque<KeptShape::Made> made_;
  sparse::HashIndex index_;
};

// The functions of shape.h for kept shapes.
inline bool is_contiguous(const KeptShape& shape) { return shape.is_contiguous(); }
inline bool is_dense(const KeptShape& shape) { return shape.is_dense(); }
inline bool same_sizes(const KeptShape& a, const KeptShape& b) {
  return &a == &b || same_sizes(static_cast<const Shape&>(a), static_cast<const Shape&>(b));
}
const KeptShape& contiguous(const KeptShape& shape);
const KeptShape& preserved(const KeptShape& shape);
const KeptShape& transposed(const KeptShape& shape, int a, int b);
const KeptShape& unsqueezed(const KeptShape& shape, int dim);
const KeptShape& expanded(const KeptShape& shape, const KeptShape& sizes);
const KeptShape& narrowed(const KeptShape& shape, int dim, Expr length);
const KeptShape& split(const KeptShape& shape, int dim, Expr outer, Expr inner);
const KeptShape& merged(const KeptShape& shape, int first, int count);
const KeptShape& reduced_last(const KeptShape& shape);
const KeptShape& product(const KeptShape& left, const KeptShape& right);
const KeptShape& broadcast(const KeptShape& a, const KeptShape& b);

}  // namespace peakmem
