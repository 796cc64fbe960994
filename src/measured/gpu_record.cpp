#include "measured/gpu_record.h"

namespace peakmem {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

std::string text(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found != nullptr ? found->string : "";
}

int64_t number(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found != nullptr && found->kind == Value::Kind::kInteger ? found->integer : 0;
}

/// The GPU of the record: a row of the table, with as much memory as it had. No context stood beside it.
Result<Gpu> read_gpu(const Value& line) {
  const std::string name = text(line, "gpu");
  const Gpu* row = find_gpu(name);
  if (row == nullptr) return Error{"gpu", name + " is not known", "peakmem gpus lists them"};
  Gpu gpu = *row;
  gpu.context_low = gpu.context_high = gpu.context_most = 0;
  if (const int64_t mebibytes = number(line, "memory_mib"); mebibytes > 0) gpu.memory_bytes = mebibytes * kMiB;
  return gpu;
}

std::string group_of(const GpuRecord& record) {
  std::string name(record.gpu.name);
  if (record.allocator.expandable_segments) name += ", expandable segments";
  return record.gpu.memory_bytes < find_gpu(record.gpu.name)->memory_bytes ? name + ", full" : name;
}

}  // namespace

bool is_gpu_record(const Value& line) { return line.find("case") != nullptr && line.find("gpu") != nullptr; }

Result<GpuRecord> read_gpu_record(const Value& line) {
  Result<Gpu> gpu = read_gpu(line);
  if (!gpu) return gpu.error();
  Result<Job> job = read_case(*line.find("case"));
  if (!job) return job.error();
  job->recipe.processor = processor_of(*gpu);
  const std::string conf = text(line, "alloc_conf");
  const auto allocator =
      conf.empty() ? Result<AllocatorOptions>(AllocatorOptions{}) : parse_alloc_conf(conf, "alloc_conf");
  if (!allocator) return allocator.error();
  GpuRecord record = {std::move(*job),
                      *gpu,
                      *allocator,
                      "",
                      number(line, "allocated"),
                      number(line, "reserved"),
                      line.find("out_of_memory") != nullptr};
  if (record.allocated_bytes <= 0)
    return Error{"allocated", "is missing: this is no record", "see oracle/gpu/README.md"};
  Recipe& recipe = record.job.recipe;
  recipe.built_on_device = recipe.built_on_device ||
                           (is_wrapped(recipe.sharding) && !recipe.sharding.flat.runs);  // all of it, before it is cut
  record.group = group_of(record);
  return record;
}

}  // namespace peakmem
