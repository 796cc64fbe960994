#include "plan/candidates.h"

#include <utility>

#include "estimate/device.h"
#include "estimate/nccl.h"
#include "estimate/reserved.h"
#include "size/terms.h"

namespace peakmem {

Candidates::Candidates(Variants variants, const Gpu& gpu, const std::optional<AllocatorOptions>& allocator,
                       int64_t capacity_bytes)
    : variants_(std::move(variants)), gpu_(gpu), allocator_(allocator), capacity_(capacity_bytes) {}

/// Makes the job that of the value; false where there is none.
bool Candidates::set(int64_t value) {
  if (value == value_) return true;
  std::optional<Job> job = variants_.at(grid().value(value));
  if (!job) return false;
  job_ = std::move(*job);
  value_ = value;
  return true;
}

const TracedJob& Candidates::traced() {
  const JobForm form = form_of(job_);
  for (const auto& [known, trace] : traces_)
    if (known == form) return *trace;
  return *traces_.emplace_back(form, std::make_unique<TracedJob>(job_)).second;
}

std::optional<Candidates::Bytes> Candidates::bytes(int64_t value) {
  if (!variants_.symbols.empty()) {
    if (!set(value)) return std::nullopt;
    const Result<Levels> levels = traced().at(variants_.symbols, grid().value(value), &gpu_);
    if (!levels) return std::nullopt;
    return Bytes{levels->allocated, evaluate(traced().program().managed, traced().symbol_values())};
  }
  const auto [known, is_new] = bytes_.try_emplace(value);
  if (!is_new || !set(value)) return known->second;
  const Result<Levels> levels = peak_levels(job_, &gpu_);
  if (levels) known->second = {levels->allocated, levels->managed};
  return known->second;
}

/// The device bytes by what is allocated alone.
std::optional<Range> Candidates::bounds(int64_t value) {
  const std::optional<Bytes> taken = bytes(value);
  if (!taken || !set(value)) return std::nullopt;
  return device_range(reserved_range(taken->allocated), &gpu_, taken->managed, nccl_bytes(job_.recipe));
}

std::optional<Range> Candidates::device(int64_t value) {
  const auto [known, is_new] = device_.try_emplace(value);
  if (!is_new) return known->second;
  const std::optional<Bytes> taken = bytes(value);
  if (!taken || !set(value)) return std::nullopt;
  const Range reserved = allocator_ ? reserved_range(taken->allocated, replay_job(job_, &gpu_, *allocator_))
                                    : reserved_range(taken->allocated);
  known->second = device_range(reserved, &gpu_, taken->managed, nccl_bytes(job_.recipe));
  tried_[value] = known->second->likely <= capacity_;
  return known->second;
}

bool Candidates::fits(int64_t value) {
  const std::optional<Range> range = device(value);
  return range && range->likely <= capacity_;
}

bool Candidates::fits_surely(int64_t value) {
  const std::optional<Range> range = device(value);
  return range && range->high <= capacity_;
}

bool Candidates::may_fit(int64_t value) {
  const std::optional<Range> range = bounds(value);
  return range && range->low - gpu_.context_low + likely_context(gpu_) <= capacity_;
}

bool Candidates::may_fit_surely(int64_t value) {
  const std::optional<Range> range = bounds(value);
  return range && range->high <= capacity_;
}

}  // namespace peakmem
