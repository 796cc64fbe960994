#include "measured/torchtitan_record.h"

#include <algorithm>
#include <array>

#include "format/given.h"
#include "request/option_values.h"

namespace peakmem {
namespace {

Error not_modelled(std::string_view field, const std::string& what) {
  return {std::string(field), what + " is not modelled for torchtitan", ""};
}

Result<DType> read_dtype(const Given& precision, std::string_view field) {
  const std::string name = precision.text(field);
  if (name == "float32") return DType::kFloat32;
  if (name == "bfloat16") return DType::kBFloat16;
  return not_modelled("precision", std::string(field) + " " + name);
}

Result<titan::Model> read_model(const Given& what, const Given& config) {
  titan::Model m;
  const std::string family = what.text("model");
  if (family != "llama3" && family != "qwen3") return not_modelled("model", family);
  m.family = family == "qwen3" ? titan::Family::kQwen3 : titan::Family::kLlama3;
  if (config.flag("moe_enabled")) return not_modelled("model", "a mixture of experts");
  if (config.flag("enable_weight_tying")) return not_modelled("model", "a tied head");
  m.layers = config.size("n_layers", 1);
  m.dim = config.size("dim", 1);
  m.heads = config.size("n_heads", 1);
  m.kv_heads = config.size("n_kv_heads", m.heads);
  m.head_dim = config.size("head_dim", m.dim / m.heads);
  m.vocab = config.size("vocab_size", 1);
  const Value* hidden = config.find("ffn_hidden_dims");
  if (hidden == nullptr || hidden->items.empty()) return not_modelled("config", "a model without ffn_hidden_dims");
  m.ffn = hidden->items[0].integer;
  return m;
}

Result<titan::Training> read_training(const Given& what) {
  titan::Training t;
  t.batch = what.size("batch", 1);
  t.seq = what.size("seq", 1);
  const Given precision(what.find("precision"));
  const Result<DType> dtype = read_dtype(precision, "dtype");
  const Result<DType> param = read_dtype(precision, "param");
  const Result<DType> reduce = read_dtype(precision, "reduce");
  for (const Result<DType>* each : {&dtype, &param, &reduce})
    if (!*each) return each->error();
  t.dtype = *dtype;
  t.param_dtype = *param;
  t.reduce_dtype = *reduce;
  const std::string recompute = what.text("checkpointing");
  if (recompute == "full") {
    t.recompute = titan::Recompute::kFull;
  } else if (recompute == "selective-op") {
    t.recompute = titan::Recompute::kOps;
  } else if (recompute.starts_with("selective-")) {
    const Result<int64_t> every = parse_size(std::string_view(recompute).substr(10), "checkpointing");
    if (!every) return every.error();
    t.recompute = titan::Recompute::kLayers;
    t.every = *every;
  }
  t.loss_parallel = what.flag("loss_parallel");
  t.keeps_logits = what.flag("keep_logits");
  t.cudnn = what.text("attention_kernel") != "flash";
  const std::string schedule = what.text("schedule");
  const bool interleaves = schedule == "Interleaved1F1B";
  if (!schedule.empty() && schedule != "1F1B" && schedule != "GPipe" && !interleaves)
    return not_modelled("schedule", schedule);
  t.schedule = interleaves           ? titan::Schedule::kInterleaved1F1B
               : schedule == "GPipe" ? titan::Schedule::kGPipe
                                     : titan::Schedule::k1F1B;
  t.microbatches = what.size("microbatches", 1);
  const std::string reshard = what.text("reshard_after_forward");
  if (reshard == "always" || reshard == "never") t.reshard = reshard == "always";
  if (what.text("optimizer") != "adamw/fused") return not_modelled("optimizer", what.text("optimizer"));
  return t;
}

constexpr std::array kRanks = std::to_array<std::string_view>({"dp_replicate", "dp_shard", "tp", "pp", "cp"});

Result<titan::Degrees> read_degrees(const Given& what) {
  const Value* given = what.find("ranks");
  for (const Member& member : given != nullptr ? given->members : std::vector<Member>()) {
    const bool known = std::find(kRanks.begin(), kRanks.end(), member.name) != kRanks.end();
    if (!known && member.value.integer > 1) return not_modelled("ranks", member.name);
  }
  const Given ranks(given);
  return titan::Degrees{.dp_replicate = ranks.size("dp_replicate", 1),
                        .dp_shard = ranks.size("dp_shard", 1),
                        .tp = ranks.size("tp", 1),
                        .pp = ranks.size("pp", 1),
                        .cp = ranks.size("cp", 1)};
}

}  // namespace

Result<titan::Job> read_torchtitan_case(const Value& what) {
  const Given given(&what);
  const Given config(given.find("config"));
  titan::Job job;
  const Result<titan::Model> model = read_model(given, config);
  if (!model) return model.error();
  const Result<titan::Training> training = read_training(given);
  if (!training) return training.error();
  const Result<titan::Degrees> degrees = read_degrees(given);
  if (!degrees) return degrees.error();
  if (!degrees->has_fsdp() && degrees->ranks() > 1 && training->dtype == DType::kFloat32)
    return not_modelled("precision", "fp32 without shards");
  if (degrees->cp > 1 && (degrees->pp > 1 || model->family != titan::Family::kLlama3 || !training->cudnn))
    return not_modelled("ranks", "context parallelism but of Llama 3 in cuDNN's kernel, without a pipeline,");
  job.model = *model;
  job.training = *training;
  job.degrees = *degrees;
  job.rank = given.size("rank", 0);
  return job;
}

Result<TorchtitanRecord> read_torchtitan_record(const Value& line) {
  const Given given(&line);
  const Value* what = given.find("case");
  if (what == nullptr) return Error{"case", "is missing", ""};
  const Result<titan::Job> job = read_torchtitan_case(*what);
  if (!job) return job.error();
  TorchtitanRecord record;
  record.job = *job;
  record.parameters = given.size("parameters", 0);
  record.parameters_here = given.size("parameters_here", 0);
  const Value* phases = given.find("phases");
  for (const Value& value : phases != nullptr ? phases->items : std::vector<Value>()) {
    const Given phase(&value);
    record.phases.push_back({static_cast<int32_t>(phase.size("step", 0)), -1, phase.text("phase"),
                             phase.size("start", 0), phase.size("peak", 0), phase.size("end", 0)});
  }
  return record;
}

}  // namespace peakmem
