#include "report/stack_records.h"

#include <algorithm>

#include "device/replay.h"
#include "estimate/estimate.h"
#include "format/given.h"
#include "measured/megatron_arguments.h"
#include "measured/megatron_record.h"
#include "measured/torchtitan_record.h"
#include "megatron/step.h"
#include "torchtitan/step.h"

namespace peakmem {
namespace {

template <class Group>
Group& group_of(std::vector<Group>& groups, const std::string& name) {
  for (Group& group : groups)
    if (group.name == name) return group;
  groups.emplace_back().name = name;
  return groups.back();
}

std::string reason(const Error& error) { return error.field + ": " + error.problem; }

int64_t highest_of(const std::vector<PhaseReport>& phases, int32_t step) {
  int64_t most = 0;
  for (const PhaseReport& phase : phases)
    if (phase.step == step) most = std::max(most, phase.peak_bytes);
  return most;
}

/// A rank's trace with what was measured of it.
struct Held {
  Program program;
  std::vector<PhaseReport> phases;
};

Result<Held> megatron_of(const Value& line) {
  const Result<MegatronRecord> record = read_megatron_record(line);
  if (!record) return record.error();
  return Held{mcore::trace_rank(record->job), record->phases};
}

Result<Held> torchtitan_of(const Value& line) {
  const Result<TorchtitanRecord> record = read_torchtitan_record(line);
  if (!record) return record.error();
  return Held{titan::trace_rank(record->job), record->phases};
}

void hold_tensors(const Value& line, bool is_megatron, const std::string& where, std::vector<Accuracy>& stacks) {
  Accuracy& group = group_of(stacks, is_megatron ? "Megatron-Core" : "torchtitan");
  const Result<Held> held = is_megatron ? megatron_of(line) : torchtitan_of(line);
  if (!held) {
    ++group.not_covered[reason(held.error())];
    return;
  }
  const Result<Timeline> timeline = evaluate(held->program, {});
  if (!timeline) {
    ++group.not_covered[timeline.error().problem];
    return;
  }
  const auto ours = [&](int32_t step) { return highest(held->program, *timeline, step, &PhaseLevels::tensors).bytes; };
  group.add({where, "tensor_bytes", ours(2), highest_of(held->phases, 2)});
  group.add({where, "first_step tensor_bytes", ours(1), highest_of(held->phases, 1)});
}

/// The highest that the allocator said in any phase, or of the whole.
int64_t said(const Given& given, const char* what) {
  int64_t most = given.size(what, 0);
  const Value* phases = given.find("phases");
  if (phases == nullptr) return most;
  for (const Value& phase : phases->items) most = std::max(most, Given(&phase).size(what, 0));
  return most;
}

/// The card by the name that the record or its versions give.
const Gpu* gpu_of(const Given& given) {
  const std::string own = given.text("gpu");
  return find_gpu(own.empty() ? Given(given.find("versions")).text("gpu") : own);
}

/// Megatron-LM before August 2026 kept all of a batch on its first and last stages.
bool keeps_whole_batch(const std::string& commit) {
  const size_t at = commit.find("20");
  return at != std::string::npos && commit.size() > 10 && commit.substr(commit.size() - 10) < "2026-08-01";
}

/// What the records' runs were told: an option whose value is 0 was not passed on, and Megatron-LM's own default ran
/// (a dropout of 0.0 so is 0.1 there).
Value as_passed(const Value& arguments) {
  Value passed = arguments;
  std::erase_if(passed.members, [](const Member& member) {
    const bool is_number = member.value.kind == Value::Kind::kInteger || member.value.kind == Value::Kind::kReal;
    return is_number && member.value.real == 0;
  });
  return passed;
}

Result<mcore::Job> job_of(const Given& given, const Gpu& gpu) {
  const Value* arguments = given.find("args");
  if (arguments == nullptr) {
    Result<mcore::Job> job = read_megatron_case(*given.find("case"));
    if (job) job->processor = processor_of(gpu);
    return job;
  }
  Result<mcore::Job> job = read_megatron_arguments(as_passed(*arguments),
                                                   {given.size("world", 8), given.size("rank", 0), processor_of(gpu)});
  if (job) job->training.whole_batch = keeps_whole_batch(given.text("megatron"));
  return job;
}

int64_t workspace_of(const Given& given, const Gpu& gpu) {
  constexpr int64_t kConfigured = int64_t{8} * 4096 * 1024;  // :4096:8
  const int64_t own = given.size("cublas_workspace", 0);
  if (own > 0) return own;
  return Given(given.find("env")).text("CUBLAS_WORKSPACE_CONFIG") == ":4096:8" ? kConfigured
                                                                               : cublas_workspace_bytes(&gpu);
}

Result<Replayed> replayed_of(const Given& given, const Gpu& gpu) {
  if (given.find("error") != nullptr && !given.text("error").empty())
    return Error{"error", "it did not run to its end", ""};
  const Result<mcore::Job> job = job_of(given, gpu);
  if (!job) return job.error();
  std::string conf = given.text("alloc_conf");
  if (conf.empty()) conf = Given(given.find("env")).text("PYTORCH_CUDA_ALLOC_CONF");
  const auto options =
      conf.empty() ? Result<AllocatorOptions>(AllocatorOptions{}) : parse_alloc_conf(conf, "alloc_conf");
  if (!options) return options.error();
  return replay(mcore::trace_rank(*job), *options, workspace_of(given, gpu));
}

void hold_allocator(const Value& line, const std::string& where, std::vector<AllocatorAccuracy>& gpus) {
  const Given given(&line);
  const Gpu* gpu = gpu_of(given);
  AllocatorAccuracy& group = group_of(gpus, gpu == nullptr ? "Megatron-LM" : std::string(gpu->name) + ", Megatron-LM");
  const Result<Replayed> replayed =
      gpu == nullptr ? Result<Replayed>(Error{"gpu", "is not known", ""}) : replayed_of(given, *gpu);
  if (!replayed) {
    ++group.allocated.not_covered[reason(replayed.error())];
    return;
  }
  ++group.verdicts;
  group.allocated.add({where, "allocated_bytes", replayed->peak.allocated, said(given, "allocated")});
  group.reserved.add({where, "reserved_bytes", replayed->peak.reserved, said(given, "reserved")});
}

}  // namespace

bool is_stack_record(const Value& line) {
  const std::string framework = Given(line.find("case")).text("framework");
  if (framework.starts_with("megatron-core") || framework.starts_with("torchtitan")) return true;
  return line.find("args") != nullptr && line.find("phases") != nullptr;
}

void hold_to_stack_record(const Value& line, const std::string& where, std::vector<Accuracy>& stacks,
                          std::vector<AllocatorAccuracy>& gpus) {
  const Given given(&line);
  const bool is_megatron = !Given(given.find("case")).text("framework").starts_with("torchtitan");
  const bool has_gpu = given.find("gpu") != nullptr || Given(given.find("versions")).find("gpu") != nullptr;
  if (is_megatron && has_gpu)
    hold_allocator(line, where, gpus);
  else
    hold_tensors(line, is_megatron, where, stacks);
}

}  // namespace peakmem
