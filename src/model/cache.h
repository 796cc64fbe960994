// What a model keeps of keys and values where `use_cache` is on, and returns as past_key_values.
#pragma once

#include "model/modules.h"

namespace peakmem {

/// Whether families of that task have a cache.
constexpr bool has_cache(Task usual_task) { return usual_task == Task::kCausalLm || usual_task == Task::kSeq2SeqLm; }

/// DynamicLayer.update (transformers 5.23, cache_utils.py) of a layer's keys and values [B, heads, T, D]: joined to an
/// empty tensor they are copies, which attention goes on with. Up to 4.48 they are kept as they are.
void update_cache(const Builder& b, Tensor& key, Tensor& value);

/// What a layer with a window keeps besides: how long it is, on the device (DynamicSlidingWindowLayer).
void keep_window(const Builder& b);

/// GPT-BigCode of 4.48 keeps keys and values as it projects them, which are a view of all that it projects, and does so
/// where layers are checkpointed too: there a layer returns them, and its second run gets zeros for their gradient.
void keep_present(const Builder& b, const Tensor& key);

/// past_key_values, as the model returns them.
std::vector<Tensor> take_cache(const Builder& b);

}  // namespace peakmem
