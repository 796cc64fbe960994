#include "layout/zero_host.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "layout/zero_layout.h"

namespace peakmem {
namespace {

constexpr int64_t kHalf = 2;  // bytes of the weights' elements
constexpr int64_t kFull = 4;

void add(HostMemory& memory, std::string_view name, bool pinned, int64_t bytes) {
  const auto known = [&](const HostBuffers& each) { return each.name == name; };
  auto row = std::find_if(memory.buffers.begin(), memory.buffers.end(), known);
  if (row == memory.buffers.end()) row = memory.buffers.insert(row, HostBuffers{name, 0, 0, pinned});
  const int64_t taken = pinned ? static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(bytes))) : bytes;
  row->bytes += bytes;
  row->taken += taken;
  (pinned ? memory.pinned : memory.pageable) += taken;
}

/// ZeRO 3's: a buffer of each group for parameters, of each sub-group for the optimizer's, one for gradients
/// (_create_param_groups_fp16_flat_cpu_memory, _create_fp32_partitions, initialize_optimizer_states,
/// grad_partitions_flat_buffer). That of parameters is pinned whatever the file says; what each was loaded into is free
/// then, but PyTorch's allocator of pinned memory gives nothing back.
void add_stage_3(const Job& job, HostMemory& memory) {
  const Zero& zero = job.recipe.zero;
  Job whole = job;
  whole.recipe.zero.sub_group = std::numeric_limits<int64_t>::max();
  if (zero.offloads_parameters)
    for (const ZeroGroup& group : zero_groups(whole)) {
      add(memory, "weights", true, kHalf * group.part);
      for (const ZeroMember& member : group.members)
        if (zero.pins_parameters)
          add(memory, "weights as loaded", true, kHalf * ((member.elements + zero.ranks - 1) / zero.ranks));
    }
  if (!zero.offloads_optimizer) return;
  int64_t elements = 0;
  for (const ZeroGroup& group : zero_groups(job)) {
    add(memory, "fp32 weights", false, kFull * group.part);
    add(memory, "fp32 gradients", zero.pins_optimizer, kFull * group.part);
    for (int i = 0; i < 2; ++i) add(memory, "optimizer states", false, kFull * group.part);
    elements += group.part;
  }
  add(memory, "gradients of the parts", zero.pins_optimizer, kHalf * elements);
}

}  // namespace

// single_partition_of_fp32_groups, their gradients, param_buffer_of_bit16_for_cpu_offload_groups,
// temp_grad_buffer_for_cpu_offload; DeepSpeedCPUAdam's states are never pinned; accumulated_grads_in_cpu are whole
// parameters, each by itself.
std::optional<HostMemory> host_memory(const Job& job) {
  const Zero& zero = job.recipe.zero;
  if (job.recording || !runs(zero) || (!zero.offloads_optimizer && !zero.offloads_parameters)) return std::nullopt;
  const bool pins = zero.pins_optimizer;
  HostMemory memory;
  if (zero.stage == 3) {
    add_stage_3(job, memory);
    return memory;
  }
  int64_t largest = 0;
  for (const ZeroGroup& group : zero_groups(job)) {
    add(memory, "fp32 weights", pins, kFull * group.part);
    add(memory, "fp32 gradients", pins, kFull * group.part);
    for (int i = 0; i < 2; ++i) add(memory, "optimizer states", false, kFull * group.part);
    add(memory, "weights to send", pins, kHalf * group.part);
    for (const ZeroMember& member : group.members) {
      largest = std::max(largest, member.elements);
      if (job.recipe.accumulate > 1 && elements_of(group, member, zero.rank) > 0)
        add(memory, "gradients of micro-batches", pins, kHalf * member.elements);
    }
  }
  add(memory, "gradient to send", pins, kHalf * largest);
  return memory;
}

}  // namespace peakmem
