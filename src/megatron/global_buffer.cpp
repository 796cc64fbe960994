#include "megatron/global_buffer.h"

#include <utility>

namespace peakmem::mcore {

// The old one goes when the larger one is there.
Tensor GlobalBuffer::get(const Shape& shape, DType dtype) {
  Tensor& kept = kept_[static_cast<size_t>(dtype)];
  const Expr elements = shape.elements();
  if (!kept || kept.size(0).number() < elements.number()) {
    const Category outer = std::exchange(tape_.category, Category::kBuffers);
    kept = tape_.make({elements}, dtype, "empty");
    tape_.category = outer;
  }
  return tape_.look(kept, shape, true);
}

}  // namespace peakmem::mcore
