// The answer to "how much memory will this training need, and why?".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/gpu.h"
#include "estimate/launch_notes.h"
#include "estimate/module_work.h"
#include "size/expr.h"

namespace peakmem {

/// A number that is only known within bounds, with the reason.
struct Range {
  int64_t low = 0;
  int64_t likely = 0;
  int64_t high = 0;
  std::string why;
};

/// One line of the ledger: `count` storages that are alike, live at the peak.
struct LedgerRow {
  std::string
      category;      // weights, gradients, optimizer, activations, temporaries, inputs, buffers, rounding, workspace
  std::string name;  // "model.layers.*.mlp.gate_proj: mm"
  int64_t count = 0;
  int64_t bytes = 0;
  Expr formula;     // of the bytes, in the report's pool; a number where nothing varies
  std::string why;  // what keeps it, by which rule
};

/// One phase of a step, in bytes of tensors.
struct PhaseReport {
  int32_t step = 0;
  int32_t micro = -1;  // micro-batch, -1 for what happens once a step
  std::string phase;
  int64_t start_bytes = 0;
  int64_t peak_bytes = 0;
  int64_t end_bytes = 0;
};

/// Whether the run fits on a GPU.
struct Verdict {
  std::string gpu;
  int64_t capacity_bytes = 0;  // of the GPU, without what is to stay free
  int64_t headroom_bytes = 0;  // what is to stay free
  bool fits = false;           // the likely device_bytes are within the capacity
  std::string verdict;         // "fits", "tight" (fits unless the unmeasured part is at its high end), "does not fit"
  std::optional<int64_t> context_at_most;  // the CUDA context decides: it fits where that is at most so large
  std::vector<int32_t> retries;  // num_alloc_retries by step, the last for all that follow; empty where there are none
};

/// An allocation of the trace, in the numbers of PyTorch's message about it.
struct Allocation {
  int32_t step = 0;
  int32_t micro = -1;  // micro-batch, -1 for what happens once a step
  std::string phase;
  std::string module;           // "model.layers.3.mlp"
  std::string op;               // aten's name of what asks for it
  int64_t bytes = 0;            // of the tensor
  int64_t tried_bytes = 0;      // the segment that CUDA is asked for
  int64_t allocated_bytes = 0;  // in use before
  int64_t reserved_bytes = 0;   // in segments before
};

/// The first allocation that a GPU cannot serve.
struct Failure {
  Allocation allocation;
  int64_t capacity_bytes = 0;  // of the GPU
  int64_t free_bytes = 0;      // of it, beside the context and the segments
  std::string approximate;     // why the place is not exact; empty where the allocator was replayed
};

/// What a change of the recipe would save.
struct Knob {
  std::string change;       // "--checkpointing full"
  int64_t saves_bytes = 0;  // of block_bytes
};

/// Batches that are padded to their longest row: no more than 1 - `share` of them are longer than `seq`, and what a
/// step takes at that length. `verdict` is empty where no GPU is named.
struct LengthRow {
  double share = 1;
  int64_t seq = 0;
  int64_t tensor_bytes = 0;
  int64_t device_bytes = 0;
  std::string verdict;
};

/// The whole answer.
struct Report {
  std::string model;
  int64_t parameters = 0;
  int64_t trainable = 0;
  int64_t tensor_bytes = 0;     // the exact sum of live storages at their highest
  int64_t block_bytes = 0;      // storages and workspaces in blocks of 512, at their highest
  int64_t allocated_bytes = 0;  // and what the allocator leaves whole: what torch.cuda.max_memory_allocated says
  std::string allocated_phase;  // where they are highest
  int32_t allocated_step = 2;
  Range reserved;             // what torch.cuda.max_memory_reserved says
  Range device;               // what nvidia-smi says
  int64_t managed_bytes = 0;  // managed memory beside these: on the device while there is room, else on the host
  std::string phase;          // of the peak
  int32_t step = 2;
  int64_t first_step_bytes = 0;
  std::string first_step_phase;
  std::vector<PhaseReport> phases;
  std::vector<LedgerRow> ledger;    // sums to allocated_bytes
  std::vector<ModuleWork> modules;  // that multiply, the most first; none of a step that was traced elsewhere
  std::optional<Verdict> fits;
  std::optional<Failure> failure;  // where it does not fit
  std::vector<LengthRow> lengths;  // where rows differ, the shortest first; the last is what all else is about
  std::vector<std::string> assumptions;
  std::vector<std::string> warnings;
  LaunchNotes launch;                // empty where no launch file was read
  std::shared_ptr<const Pool> pool;  // of the formulas
  std::vector<int64_t> symbol_values;
};

}  // namespace peakmem
