#include "model/cache.h"

namespace peakmem {

void update_cache(const Builder& b, Tensor& key, Tensor& value) {
  if (b.cache == nullptr) return;
  if (b.structure.transformers == Transformers::kV523) {
    Tensor keys = cat_to_empty(key.dtype(), key, -2);
    Tensor values = cat_to_empty(key.dtype(), value, -2);  // both empty tensors are of the keys' dtype
    key = std::move(keys);
    value = std::move(values);
  }
  b.cache->push_back(key);
  b.cache->push_back(value);
}

void keep_window(const Builder& b) {
  if (b.cache == nullptr || b.structure.transformers != Transformers::kV523) return;
  b.cache->push_back(b.tape.make(Shape{}, DType::kInt64, "_to_copy"));
}

void keep_present(const Builder& b, const Tensor& key) {
  if (b.cache == nullptr) return;
  const KeptShape& both = b.tape.keep({b.dims.batch, b.dims.seq, 2 * b.dims.kv_heads * b.dims.head_dim});
  const Tensor present = b.tape.look(key, both, true);
  if (!b.tape.runs_again) return b.cache->push_back(present);
  if (b.structure.checkpointing != Checkpointing::kFullReentrant) return;
  b.tape.aside = {present, b.tape.make(both, key.dtype(), "zeros")};
}

std::vector<Tensor> take_cache(const Builder& b) {
  return b.cache == nullptr ? std::vector<Tensor>() : std::exchange(*b.cache, {});
}

}  // namespace peakmem
