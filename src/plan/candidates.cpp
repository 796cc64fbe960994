#include "plan/candidates.h"

#include <utility>

#include "estimate/device.h"
#include "estimate/reserved.h"
#include "size/terms.h"

namespace peakmem {

Candidates::Candidates(Job job, Unknown unknown, const Gpu& gpu, const std::optional<AllocatorOptions>& allocator,
                       int64_t capacity_bytes)
    : job_(std::move(job)),
      unknown_(unknown),
      grid_(grid_of(job_, unknown)),
      gpu_(gpu),
      allocator_(allocator),
      capacity_(capacity_bytes) {}

const Job& Candidates::at(int64_t value) {
  set_size(job_, unknown_, grid_.value(value));
  return job_;
}

const TracedJob& Candidates::traced() {
  const JobForm form = form_of(job_);
  for (const auto& [known, trace] : traces_)
    if (known == form) return *trace;
  return *traces_.emplace_back(form, std::make_unique<TracedJob>(job_)).second;
}

std::optional<int64_t> Candidates::allocated(int64_t value) {
  at(value);
  const Result<Levels> levels = traced().at(symbols_of(job_, unknown_), grid_.value(value), &gpu_);
  return levels ? std::optional(levels->allocated) : std::nullopt;
}

/// The device bytes by what is allocated alone.
std::optional<Range> Candidates::bounds(int64_t value) {
  const std::optional<int64_t> bytes = allocated(value);
  if (!bytes) return std::nullopt;
  const int64_t managed = evaluate(traced().program().managed, traced().symbol_values());
  return device_range(reserved_range(*bytes), &gpu_, managed);
}

std::optional<Range> Candidates::device(int64_t value) {
  const auto [known, is_new] = device_.try_emplace(value);
  if (!is_new) return known->second;
  const std::optional<int64_t> bytes = allocated(value);
  if (!bytes) return std::nullopt;
  const int64_t managed = evaluate(traced().program().managed, traced().symbol_values());
  const Range reserved =
      allocator_ ? reserved_range(*bytes, replay_job(at(value), &gpu_, *allocator_)) : reserved_range(*bytes);
  known->second = device_range(reserved, &gpu_, managed);
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
