#include "report/allocator_accuracy.h"

#include "estimate/estimate.h"
#include "measured/gpu_record.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

AllocatorAccuracy& group_of(std::vector<AllocatorAccuracy>& groups, const std::string& name) {
  for (AllocatorAccuracy& group : groups)
    if (group.name == name) return group;
  groups.emplace_back().name = name;
  return groups.back();
}

/// A run that failed says nothing of how much it would have taken.
void hold(const GpuRecord& record, const std::string& where, const Report& report, AllocatorAccuracy& group) {
  ++group.verdicts;
  if (record.out_of_memory == report.fits->fits) ++group.wrong_verdicts;
  if (record.out_of_memory || !report.fits->fits) return;
  group.allocated.add({where, "allocated_bytes", report.allocated_bytes, record.allocated_bytes});
  group.reserved.add({where, "reserved_bytes", report.reserved.likely, record.reserved_bytes});
}

std::string exact_of(const Accuracy& what) {
  return std::to_string(what.exact) + " of " + std::to_string(what.errors.size()) + " | " + percent(what.median(), 3) +
         " | " + percent(what.worst(), 3);
}

std::string row_of(const AllocatorAccuracy& group) {
  return "| " + group.name + " | " + std::to_string(group.verdicts) + " | " + exact_of(group.allocated) + " | " +
         exact_of(group.reserved) + " | " + std::to_string(group.wrong_verdicts) + " | " +
         std::to_string(group.allocated.records_not_covered()) + " |\n";
}

void add(const AllocatorAccuracy& group, AllocatorAccuracy& all) {
  all.allocated.add(group.allocated);
  all.reserved.add(group.reserved);
  all.verdicts += group.verdicts;
  all.wrong_verdicts += group.wrong_verdicts;
}

}  // namespace

void hold_to_gpu_record(const Value& line, const std::string& where, std::vector<AllocatorAccuracy>& groups) {
  const Result<GpuRecord> record = read_gpu_record(line);
  const Value* gpu = line.find("gpu");
  AllocatorAccuracy& group = group_of(groups, record ? record->group : gpu->string);
  if (!record) {
    ++group.allocated.not_covered[record.error().field + ": " + record.error().problem];
    return;
  }
  const Result<Report> report = estimate(record->job, &record->gpu, record->allocator);
  if (report)
    hold(*record, where, *report, group);
  else
    ++group.allocated.not_covered[report.error().problem];
}

std::string allocator_accuracy_table(const std::vector<AllocatorAccuracy>& groups) {
  std::string text =
      "| allocator of | records | allocated exact | median error | worst | reserved exact | median error | worst | "
      "wrong "
      "verdicts | not covered |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
  AllocatorAccuracy all;
  all.name = "**all**";
  for (const AllocatorAccuracy& group : groups) {
    text += row_of(group);
    add(group, all);
  }
  return text + row_of(all) + not_covered_lines(all.allocated);
}

}  // namespace peakmem
