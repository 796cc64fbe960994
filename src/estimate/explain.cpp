#include "estimate/explain.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <tuple>

#include "estimate/device.h"
#include "estimate/estimate.h"
#include "estimate/failure.h"
#include "estimate/reserved.h"
#include "size/order.h"

namespace peakmem {
namespace {

constexpr size_t kMostMatches = 5;
constexpr size_t kMostNearest = 3;

/// Allocations of the same step, phase, module and op are alike.
std::string key_of(const Allocation& allocation) {
  return std::to_string(allocation.step) + allocation.phase + ":" + allocation.module + ":" + allocation.op;
}

std::optional<int64_t> difference_of(const Allocation& allocation, const Refusal& refusal) {
  if (!refusal.allocated_bytes) return std::nullopt;
  return allocation.allocated_bytes - *refusal.allocated_bytes;
}

int64_t distance(const Match& match) { return std::abs(match.difference_bytes.value_or(0)); }

/// Of those that are alike the nearest one stands for all.
void add(std::vector<Match>& matches, const Allocation& allocation, const Refusal& refusal) {
  const Match match = {allocation, 1, difference_of(allocation, refusal)};
  const auto known = std::find_if(matches.begin(), matches.end(),
                                  [&](const Match& each) { return key_of(each.allocation) == key_of(allocation); });
  if (known == matches.end()) return matches.push_back(match);
  const int64_t count = known->count + 1;
  if (distance(match) < distance(*known)) *known = match;
  known->count = count;
}

void find_matches(const Program& program, const AllocatorOptions& allocator, const std::vector<AllocationRequest>& all,
                  const Refusal& refusal, Explanation& explanation) {
  const CachingAllocator rules(allocator);
  std::map<int64_t, std::vector<const AllocationRequest*>> others;  // by how far their size is off
  for (const AllocationRequest& request : all) {
    const int64_t tried = rules.segment_of(request.bytes);
    if (tried >= refusal.tried_low && tried <= refusal.tried_high)
      add(explanation.matches, allocation_of(program, request, allocator), refusal);
    else
      others[tried < refusal.tried_low ? refusal.tried_low - tried : tried - refusal.tried_high].push_back(&request);
  }
  sort_by(explanation.matches, distance);
  if (explanation.matches.size() > kMostMatches) explanation.matches.resize(kMostMatches);
  if (!explanation.matches.empty()) return;
  for (const auto& [off, alike] : others) {
    if (explanation.nearest.size() == kMostNearest) return;
    std::vector<Match> of_size;
    for (const AllocationRequest* request : alike) add(of_size, allocation_of(program, *request, allocator), refusal);
    sort_by(of_size, distance);
    explanation.nearest.push_back(of_size.front());
    explanation.nearest.back().count = static_cast<int64_t>(alike.size());
  }
}

/// The verdict on a job, as estimate() has it.
std::optional<Remedy> tried_out(const std::string& change, const Job& job, const Gpu& gpu,
                                const AllocatorOptions& allocator) {
  const Result<Levels> levels = peak_levels(job, &gpu);
  if (!levels) return std::nullopt;
  const Range device = device_range(reserved_range(levels->allocated, replay_job(job, &gpu, allocator)), &gpu);
  return Remedy{change, device.likely, verdict(device, gpu).verdict};
}

void add_remedies(const Job& job, const Gpu& gpu, const AllocatorOptions& allocator, Explanation& explanation) {
  const auto add = [&](const std::string& change, const Job& changed, const AllocatorOptions& options) {
    if (auto remedy = tried_out(change, changed, gpu, options)) explanation.remedies.push_back(*remedy);
  };
  if (!allocator.expandable_segments) {
    AllocatorOptions expandable = allocator;
    expandable.expandable_segments = true;
    add("PYTORCH_ALLOC_CONF=expandable_segments:True", job, expandable);
  }
  for (const ChangedJob& changed : changed_jobs(job)) add(changed.option, changed.job, allocator);
  sort_by(explanation.remedies, [](const Remedy& remedy) { return remedy.device_bytes; });
}

}  // namespace

Result<Explanation> explain(const Job& job, const Refusal& refusal, const Gpu* gpu, const AllocatorOptions& allocator) {
  const Result<Levels> levels = peak_levels(job, gpu);  // fails where sizes are too large
  if (!levels) return levels.error();
  const std::optional<Program> program = unrolled_trace(job);
  if (!program && job.recording)
    return Error{"MODEL", "is a trace that does not write every layer out at these sizes",
                 "every allocation is looked for among them: leave its letters as they are"};
  if (!program)
    return Error{"MODEL", "has more than " + std::to_string(kMaxReplayedLayers) + " layers, too many to look at each",
                 "pass --layers with fewer"};
  Explanation explanation;
  find_matches(*program, allocator, requests(*program, allocator, cublas_workspace_bytes(gpu)), refusal, explanation);
  if (gpu == nullptr) return explanation;
  const Range device = device_range(reserved_range(levels->allocated, replay_job(job, gpu, allocator)), gpu);
  explanation.fits = verdict(device, *gpu);
  add_remedies(job, *gpu, allocator, explanation);
  return explanation;
}

}  // namespace peakmem
