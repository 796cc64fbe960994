// Every shape of a trace once: thousands of tensors and nodes have a few dozen shapes.
#pragma once

#include <cstdint>
#include <vector>

#include "size/hash_index.h"
#include "trace/arena.h"
#include "trace/shape.h"

namespace peakmem {

/// A shape of a store and its number of elements; equal ones are the same object.
struct KeptShape {
  Shape shape;
  Expr elements;
};

/// Keeps shapes where they are for as long as it lives.
class ShapeStore {
 public:
  /// The one that has these sizes, strides and order.
  const KeptShape* keep(const Shape& shape);

 private:
  Arena<KeptShape> shapes_;
  std::vector<const KeptShape*> kept_;
  sparse::HashIndex index_;
};

}  // namespace peakmem
