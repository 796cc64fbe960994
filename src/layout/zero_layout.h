// How ZeRO 1 and 2 lay trained parameters out: end to end, a flat tensor for each of the optimizer's groups, cut to one
// part a rank wherever the cut falls (DeepSpeed 0.19.8, runtime/zero/stage_1_and_2.py). Under ZeRO 3 each parameter is
// cut by itself, and a group is made of sub-groups (runtime/zero/stage3.py).
//
//     group   │ embedding            │ q │ k │ … │ head            │ pad │
//     ranks   │ 0        │ 1        │ 2        │ 3        │ …           a parameter may lie in several parts
#pragma once

#include <string_view>
#include <vector>

#include "recipe/job.h"
#include "trace/tape.h"

namespace peakmem {

/// A stretch of a parameter in the part of one rank.
struct ZeroSlice {
  int64_t rank;
  int64_t elements;
};

/// A parameter within its group.
struct ZeroMember {
  size_t parameter;  // of the tape's
  int64_t begin;     // in the flat tensor
  int64_t elements;
};

/// One of the optimizer's groups; sizes are elements.
struct ZeroGroup {
  std::vector<ZeroMember> members;
  int64_t flat = 0;  // padded to a multiple of twice the ranks (nccl_start_alignment_factor)
  int64_t part = 0;  // of one rank
};

/// Whether Trainer of transformers decays a parameter of that Hugging Face name and so many dimensions: norms and
/// biases are a group of their own (5.23, Trainer.get_decay_parameter_names). A norm may be one by its class alone.
bool is_decayed(std::string_view name, int rank);

/// The groups of all trained parameters: those that are decayed and the others, or their sub-groups, none empty.
std::vector<ZeroGroup> zero_groups(const Tape& tape, const Zero& zero);

/// The same of a job, of whose model only the parameters are made.
std::vector<ZeroGroup> zero_groups(const Job& job);

/// Elements of the parameters, whole, that each rank's parts touch.
std::vector<int64_t> touched_by_rank(const std::vector<ZeroGroup>& groups, int64_t ranks);

/// Where a member lies, in order.
std::vector<ZeroSlice> slices(const ZeroGroup& group, const ZeroMember& member);
/// Elements of a member that are in a rank's part.
int64_t elements_of(const ZeroGroup& group, const ZeroMember& member, int64_t rank);

}  // namespace peakmem
