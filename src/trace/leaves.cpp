#include "trace/leaves.h"

namespace peakmem {

void Leaves::drop() {
  for (const Tensor& leaf : tensors_) leaf->node->gradient.reset();
  tensors_.clear();
}

}  // namespace peakmem
