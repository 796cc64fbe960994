// torch.distributed.fsdp.FullyShardedDataParallel (FSDP1): what is chosen of it.
#pragma once

#include <cstdint>

namespace peakmem {

/// Which unit is gathered ahead in the backward pass (BackwardPrefetch): none, the one before while a unit's own runs
/// (BACKWARD_PRE), or when that has let its parameters go (BACKWARD_POST).
enum class Prefetch : uint8_t { kNone, kPre, kPost };

/// Whether it is there: the page, which is to stay small, leaves it to the command line.
#ifdef __wasm__
inline constexpr bool kHasFlatSharding = false;
#else
inline constexpr bool kHasFlatSharding = true;
#endif

/// FSDP1 as one rank runs it, beside what it shares with FSDP2. Defaults are torch's own.
struct FlatSharding {
  bool runs = false;                   // instead of FSDP2
  bool keeps_parameters = false;       // use_orig_params: the optimizer sees parts of parameters, not flat ones
  Prefetch prefetch = Prefetch::kPre;  // backward_prefetch
  bool sends_states = false;           // sync_module_states: a unit's parameters are broadcast before it is cut
  bool no_sync = false;                // a plain loop accumulates in no_sync(): only the last micro-batch reduces
  int64_t rank = 0;                    // whose bytes are counted
};

}  // namespace peakmem
