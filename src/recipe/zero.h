// DeepSpeed's ZeRO: what is chosen of it.
#pragma once

#include <cstdint>

namespace peakmem {

/// DeepSpeed's ZeRO as one rank runs it. Sizes of buffers are elements, and defaults those of its JSON
/// (0.19.8, runtime/zero/config.py).
struct Zero {
  int64_t stage = 0;  // 0: DeepSpeed does not run
  int64_t ranks = 1;
  int64_t rank = 0;                          // whose bytes are counted
  int64_t reduce_bucket = 500000000;         // reduce_bucket_size
  bool overlaps = false;                     // overlap_comm
  bool round_robin = false;                  // round_robin_gradients
  bool one_group = false;                    // its own optimizer, which is given all parameters as one list
  bool full_gradients = false;               // data_types.grad_accum_dtype: fp32
  bool offloads_optimizer = false;           // offload_optimizer: cpu
  bool offloads_parameters = false;          // offload_param: cpu
  bool pins_optimizer = false;               // offload_optimizer.pin_memory
  bool pins_parameters = false;              // offload_param.pin_memory
  int64_t prefetch_bucket = 50000000;        // stage3_prefetch_bucket_size
  int64_t persistence_threshold = 100000;    // stage3_param_persistence_threshold
  int64_t loaded_persistence = 100000;       // the same while the model is loaded, where "auto" is not filled in yet
  int64_t max_live_parameters = 1000000000;  // stage3_max_live_parameters
  int64_t max_reuse_distance = 1000000000;   // stage3_max_reuse_distance
  int64_t sub_group = 1000000000;            // sub_group_size
};

constexpr bool runs(const Zero& zero) { return zero.stage > 0; }

}  // namespace peakmem
