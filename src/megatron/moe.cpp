#include "megatron/moe.h"

namespace peakmem::mcore {

MoeLayer::MoeLayer(const Builder& b) : b_(b) { experts_.reserve(static_cast<size_t>(b_.job.model.mixture.experts)); }

Tensor MoeLayer::operator()(const Tensor& hidden_states) const { return hidden_states; }

}  // namespace peakmem::mcore
