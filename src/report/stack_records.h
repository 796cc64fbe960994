// Records of Megatron-Core and of torchtitan, rank by rank, and our error on them.
#pragma once

#include <string>
#include <vector>

#include "report/accuracy.h"
#include "report/allocator_accuracy.h"

namespace peakmem {

/// Whether a line is one: a case whose `framework` is a stack, or a run of pretrain_gpt.py by its options (`args`).
bool is_stack_record(const Value& line);

/// Adds what is held to such a line, at `where`: tensors to the group of its stack, or what the allocator said to that
/// of its GPU.
void hold_to_stack_record(const Value& line, const std::string& where, std::vector<Accuracy>& stacks,
                          std::vector<AllocatorAccuracy>& gpus);

}  // namespace peakmem
