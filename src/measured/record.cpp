#include "measured/record.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>

#include "recipe/images.h"
#include "request/choices.h"
#include "request/job_checks.h"
#include "train/built_model.h"
#include "train/freezing.h"
#include "train/preference.h"

namespace peakmem {
namespace {

/// "autocast" beside "precision" is what autocast runs over weights of any dtype.
constexpr std::array<PrecisionName, 6> kRecordedPrecisions = {{{"fp32", DType::kFloat32, std::nullopt},
                                                               {"bf16", DType::kBFloat16, std::nullopt},
                                                               {"fp16", DType::kFloat16, std::nullopt},
                                                               {"bf16-fsdp", DType::kFloat32, std::nullopt},
                                                               {"bf16-autocast", DType::kFloat32, DType::kBFloat16},
                                                               {"fp16-autocast", DType::kFloat32, DType::kFloat16}}};

std::string text(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found != nullptr ? found->string : "";
}

int64_t number(const Value& object, std::string_view name, int64_t otherwise) {
  const Value* found = object.find(name);
  return found != nullptr && found->kind == Value::Kind::kInteger ? found->integer : otherwise;
}

bool flag(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found != nullptr && found->boolean;
}

Error not_modelled(std::string_view field, const std::string& what) {
  return {std::string(field), what + " is not modelled", ""};
}

/// "adamw/foreach"; the records call transformers' optimizer adafactor and torch's torch-adafactor.
std::optional<Error> read_optimizer(const std::string& named, const Optimizer*& optimizer, OptimizerImpl& way) {
  const size_t slash = named.find('/');
  std::string name = named.substr(0, slash);
  const std::string impl = slash == std::string::npos ? "" : named.substr(slash + 1);
  if (name == "adafactor") {
    name = "hf-adafactor";
  } else if (name == "torch-adafactor") {
    name = "adafactor";
  }
  std::replace(name.begin(), name.end(), '_', '-');  // paged_adamw_8bit, as transformers spells it
  optimizer = find_optimizer(name);
  if (optimizer == nullptr) return not_modelled("optimizer", named);
  way = impl == "loop"      ? OptimizerImpl::kLoop
        : impl == "foreach" ? OptimizerImpl::kForeach
        : impl == "fused"   ? OptimizerImpl::kFused
                            : optimizer->usual;
  if (!update_of(*optimizer, way).available) return not_modelled("optimizer", named);
  return std::nullopt;
}

/// One optimizer, or another for the rest of the parameters.
std::optional<Error> read_optimizers(const Value& what, Recipe& recipe) {
  recipe.all_matrices = text(what, "matrices") == "all";
  if (const Value* rest = what.find("rest"))
    if (auto error = read_optimizer(rest->string, recipe.rest, recipe.rest_impl)) return error;
  return read_optimizer(text(what, "optimizer"), recipe.optimizer, recipe.impl);
}

std::optional<Error> read_precision(const Value& what, Recipe& recipe) {
  const std::string name = text(what, "precision");
  for (const PrecisionName& row : kRecordedPrecisions) {
    if (row.name != name) continue;
    recipe.weights = row.weights;
    recipe.autocast = what.find("autocast") == nullptr ? row.autocast : value_in(kAutocasts, text(what, "autocast"));
    return std::nullopt;
  }
  return not_modelled("precision", name);
}

std::vector<std::string> texts(const Value& object, std::string_view name) {
  std::vector<std::string> list;
  if (const Value* found = object.find(name))
    for (const Value& item : found->items) list.push_back(item.string);
  return list;
}

/// PEFT trains a copy of the head of such models, whichever of its names it has.
bool names_head(const Value& lora) {
  constexpr std::array<std::string_view, 3> kTypes = {"SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"};
  return std::find(kTypes.begin(), kTypes.end(), text(lora, "task_type")) != kTypes.end();
}

void keep_the_head_there_is(Job& job) {
  const std::vector<std::string> known = modules_to_save(job);
  std::erase_if(job.recipe.lora.saved,
                [&](const std::string& name) { return std::find(known.begin(), known.end(), name) == known.end(); });
}

Lora read_lora(const Value& what) {
  Lora lora;
  lora.rank = number(what, "r", 0);
  const Value* full_precision = what.find("fp32");
  lora.full_precision = full_precision == nullptr || full_precision->boolean;
  if (const Value* dropout = what.find("dropout")) lora.dropout = dropout->real;
  lora.targets = texts(what, "targets");
  lora.saved = texts(what, "save");
  if (names_head(what)) lora.saved = {"classifier", "score", "qa_outputs"};
  return lora;
}

DType read_dtype(const std::string& name) {
  return name == "bf16" ? DType::kBFloat16 : name == "fp16" ? DType::kFloat16 : DType::kFloat32;
}

constexpr std::array<std::string_view, 9> kRanks = {"fsdp",      "replicate",   "param_dtype", "reduce_dtype", "ddp",
                                                    "bucket_mb", "bucket_view", "find_unused", "real"};

constexpr std::array<std::string_view, 15> kZero = {"zero",
                                                    "world",
                                                    "rank",
                                                    "reduce_bucket",
                                                    "overlap_comm",
                                                    "one_group",
                                                    "sub_group",
                                                    "grad_accum_dtype",
                                                    "offload_optimizer",
                                                    "offload_param",
                                                    "prefetch_bucket",
                                                    "persistence_threshold",
                                                    "max_live",
                                                    "max_reuse",
                                                    "round_robin_gradients"};

/// What is of ZeRO 3 alone; sizes that are absent are DeepSpeed's own.
void read_zero_3(const Value& ranks, Zero& zero) {
  zero.overlaps = ranks.find("overlap_comm") == nullptr || flag(ranks, "overlap_comm");
  zero.offloads_parameters = ranks.find("offload_param") != nullptr;
  zero.pins_parameters = text(ranks, "offload_param") == "pinned";
  for (const auto& [name, size] :
       {std::pair("prefetch_bucket", &zero.prefetch_bucket),
        std::pair("persistence_threshold", &zero.persistence_threshold),
        std::pair("max_live", &zero.max_live_parameters), std::pair("max_reuse", &zero.max_reuse_distance),
        std::pair("sub_group", &zero.sub_group)})
    *size = number(ranks, name, *size);
  zero.loaded_persistence = zero.persistence_threshold;
}

/// "ranks": {"zero": 2, "world": 8, "rank": 0, "reduce_bucket": 1048576}: DeepSpeed's ZeRO as one of its ranks; what
/// its engine makes of the weights is said by the precision.
std::optional<Error> read_zero(const Value& ranks, Recipe& recipe) {
  for (const auto& [name, size] : ranks.members)
    if (std::find(kZero.begin(), kZero.end(), name) == kZero.end()) return not_modelled("ranks", name);
  Zero& zero = recipe.zero;
  zero.stage = number(ranks, "zero", 0);
  zero.ranks = number(ranks, "world", 1);
  zero.rank = number(ranks, "rank", 0);
  zero.reduce_bucket = number(ranks, "reduce_bucket", zero.reduce_bucket);
  zero.overlaps = flag(ranks, "overlap_comm");
  zero.round_robin = flag(ranks, "round_robin_gradients");
  zero.one_group = flag(ranks, "one_group");
  zero.full_gradients = text(ranks, "grad_accum_dtype") == "fp32";
  zero.offloads_optimizer = ranks.find("offload_optimizer") != nullptr;
  zero.pins_optimizer = text(ranks, "offload_optimizer") == "pinned";
  if (zero.stage == 3) read_zero_3(ranks, zero);
  if (zero.stage < 1 || zero.stage > 3) return not_modelled("ranks", "ZeRO " + std::to_string(zero.stage));
  if (zero.ranks < 1 || zero.rank < 0 || zero.rank >= zero.ranks || zero.reduce_bucket < 1)
    return Error{"ranks", "rank and world must be those of a job", "see oracle/README.md"};
  // module.bfloat16() takes adapters along; under ZeRO 3 TRL makes them so
  if (zero.stage < 3 || recipe.trainer->name == "trl") recipe.lora.full_precision = false;
  return std::nullopt;
}

constexpr std::array<std::string_view, 7> kFlat = {"fsdp1",       "rank",         "strategy",       "backward_prefetch",
                                                   "param_dtype", "reduce_dtype", "use_orig_params"};

/// "ranks": {"fsdp1": 8, "rank": 0, "strategy": "SHARD_GRAD_OP", "backward_prefetch": "BACKWARD_PRE"}: FSDP1 as one of
/// its ranks, with accelerate's defaults.
std::optional<Error> read_flat(const Value& what, const Value& ranks, Recipe& recipe) {
  for (const auto& [name, value] : ranks.members)
    if (std::find(kFlat.begin(), kFlat.end(), name) == kFlat.end()) return not_modelled("ranks", name);
  Sharding& sharding = recipe.sharding;
  FlatSharding& flat = sharding.flat;
  flat.runs = true;
  sharding.shards = number(ranks, "fsdp1", 1);
  flat.rank = number(ranks, "rank", 0);
  if (sharding.shards < 2 || flat.rank < 0 || flat.rank >= sharding.shards)
    return Error{"ranks", "rank and fsdp1 must be those of a job", "see oracle/README.md"};
  const std::string strategy = text(ranks, "strategy");
  sharding.reshard_after_forward = strategy != "SHARD_GRAD_OP";
  if (!strategy.empty() && strategy != "FULL_SHARD" && strategy != "SHARD_GRAD_OP")
    return not_modelled("ranks", strategy);
  const std::string prefetch = text(ranks, "backward_prefetch");
  flat.prefetch = prefetch == "BACKWARD_PRE"    ? Prefetch::kPre
                  : prefetch == "BACKWARD_POST" ? Prefetch::kPost
                                                : Prefetch::kNone;
  flat.keeps_parameters = ranks.find("use_orig_params") == nullptr || flag(ranks, "use_orig_params");
  flat.sends_states = recipe.trainer->is_transformers_loop;
  flat.no_sync = flag(what, "no_sync");
  sharding.casts_parameters = ranks.find("param_dtype") != nullptr;
  sharding.casts_gradients = ranks.find("reduce_dtype") != nullptr;
  sharding.param_dtype = read_dtype(text(ranks, "param_dtype"));
  sharding.reduce_dtype = read_dtype(text(ranks, "reduce_dtype"));
  return std::nullopt;
}

/// "ranks": {"fsdp": 8} or {"replicate": 2, "fsdp": 4}; the precision bf16-fsdp is fp32 shards computed with in bf16.
std::optional<Error> read_sharding(const Value& what, Recipe& recipe) {
  const Value* ranks = what.find("ranks");
  Sharding& sharding = recipe.sharding;
  if (ranks == nullptr || ranks->is_null()) return std::nullopt;
  if (ranks->find("zero") != nullptr) return read_zero(*ranks, recipe);
  if (ranks->find("fsdp1") != nullptr) return read_flat(what, *ranks, recipe);
  for (const auto& [name, size] : ranks->members)
    if (std::find(kRanks.begin(), kRanks.end(), name) == kRanks.end()) return not_modelled("ranks", name);
  recipe.ddp.ranks = number(*ranks, "ddp", 1);
  recipe.ddp.gradient_as_bucket_view = flag(*ranks, "bucket_view");
  recipe.ddp.no_sync = flag(what, "no_sync") || (recipe.ddp.ranks > 1 && reduces_once(recipe));
  const Value* find_unused = ranks->find("find_unused");
  recipe.ddp.finds_unused = find_unused != nullptr ? find_unused->boolean : trainer_finds_unused(recipe);
  if (const Value* size = ranks->find("bucket_mb"))
    recipe.ddp.bucket_bytes = static_cast<int64_t>(size->real * 1048576.0);
  sharding.shards = number(*ranks, "fsdp", 1);
  sharding.replicas = number(*ranks, "replicate", 1);
  sharding.hybrid = ranks->find("replicate") != nullptr;
  const Value* reshard = what.find("reshard_after_forward");
  sharding.reshard_after_forward = reshard == nullptr || reshard->boolean;
  const bool named = text(what, "precision") == "bf16-fsdp";
  sharding.casts_parameters = named || ranks->find("param_dtype") != nullptr;
  sharding.casts_gradients = named || ranks->find("reduce_dtype") != nullptr;
  sharding.param_dtype = read_dtype(named ? "bf16" : text(*ranks, "param_dtype"));
  sharding.reduce_dtype = read_dtype(text(named ? what : *ranks, named ? "reduce" : "reduce_dtype"));
  return std::nullopt;
}

/// "kernels": {"norm": "fused", "loss": "chunked"}; what is not named is transformers' own.
Kernels read_kernels(const Value& what) {
  const auto kernel = [&](const char* name) { return text(what, name) == "fused" ? Kernel::kFused : Kernel::kHf; };
  return {value_in(kNormKernels, text(what, "norm")), kernel("mlp"), kernel("rope"),
          value_in(kLossKernels, text(what, "loss"))};
}

/// The sizes an object gives must be whole and at least 1; null is as good as none.
std::optional<Error> check_sizes(const Value* object, std::initializer_list<const char*> names) {
  if (object == nullptr) return std::nullopt;
  for (const char* name : names) {
    const Value* size = object->find(name);
    if (size == nullptr || size->is_null()) continue;
    if (size->kind != Value::Kind::kInteger || size->integer < 1)
      return Error{name, "must be a whole number from 1 on", "see oracle/README.md"};
  }
  return std::nullopt;
}

std::optional<Error> read_recipe(const Value& what, Recipe& recipe) {
  if (auto error = check_sizes(&what, {"batch", "seq", "completion", "target_seq", "choices", "images", "image_tokens",
                                       "accumulate", "eval_batch", "eval_batches"}))
    return error;
  if (auto error = check_sizes(what.find("lora"), {"r"})) return error;
  if (auto error = check_sizes(what.find("ranks"), {"fsdp", "replicate", "ddp"})) return error;
  if (const Value* lora = what.find("lora")) recipe.lora = read_lora(*lora);
  const std::string quantize = text(what, "quantize");
  recipe.quantize = value_in(kQuantizes, quantize);
  if (recipe.quantize == Quantize::kNone && !quantize.empty()) return not_modelled("quantize", quantize);
  recipe.double_quant = flag(what, "double_quant");
  recipe.batch = number(what, "batch", 1);
  recipe.seq = number(what, "seq", 1);
  recipe.completion = number(what, "completion", 0);
  recipe.corrects_sampling = flag(what, "vllm");
  recipe.accumulate = number(what, "accumulate", 1);
  recipe.clip = flag(what, "clip");
  recipe.eval_batch = number(what, "eval_batch", 0);
  recipe.eval_batches = number(what, "eval_batches", 1);
  recipe.eval_logits = flag(what, "eval_logits");
  if (const Value* trainer = what.find("trainer")) recipe.trainer = find_trainer(trainer->string);
  if (recipe.trainer == nullptr) return not_modelled("trainer", text(what, "trainer"));
  convert_quantized(recipe);
  recipe.objective = value_in(kObjectives, text(what, "objective"));
  recipe.reference = value_in(kReferences, text(what, "reference"));
  recipe.names = text(what, "keep_outputs") == "loss" ? LoopNames::kLoss
                 : flag(what, "keep_outputs")         ? LoopNames::kOutputs
                                                      : LoopNames::kNothing;
  recipe.use_cache = flag(what, "use_cache");
  if (const Value* version = what.find("transformers")) recipe.transformers = value_in(kTransformers, version->string);
  const std::string attention = text(what, "attention");
  recipe.attention = attention == "eager"    ? Attention::kEager
                     : attention == "flash2" ? Attention::kFlash2
                                             : Attention::kSdpa;
  if (const Value* kernels = what.find("kernels")) recipe.kernels = read_kernels(*kernels);
  if (takes_logits(recipe.objective)) recipe.kernels.loss = LossKernel::kPlain;
  recipe.processor.compute_capability = static_cast<int>(number(what, "capability", 80));
  recipe.experts = text(what, "experts") == "loop" ? Experts::kLoop : Experts::kGrouped;
  if (const Value* times = what.find("imbalance"))
    recipe.imbalance = {std::llround(times->real * 1000), 1000, number(what, "busiest", 0)};
  if (flag(what, "checkpointing"))
    recipe.checkpointing = flag(what, "reentrant") ? Checkpointing::kFullReentrant : Checkpointing::kFull;
  if (auto error = read_sharding(what, recipe)) return error;
  recipe.built_on_device = recipe.trainer->builds_on_device && !is_wrapped(recipe.sharding);
  if (auto error = read_precision(what, recipe)) return error;
  convert_sharded(recipe);
  return read_optimizers(what, recipe);
}

Result<Description> read_model(const Value& what) {
  const std::string task = text(what, "task");
  const Value* config = what.find("config");
  if (config == nullptr) return Error{"config", "is missing", ""};
  std::vector<std::string> unknown;
  for (const TaskRow& row : task_rows())
    if (row.name == task) return read_description(*config, &row.task, unknown);
  return not_modelled("task", task);
}

PhaseReport read_phase(const Value& value) {
  PhaseReport phase;
  phase.phase = text(value, "phase");
  phase.start_bytes = number(value, "start", 0);
  phase.peak_bytes = number(value, "peak", 0);
  phase.end_bytes = number(value, "end", 0);
  if (const Value* step = value.find("step")) read_step(step->real, phase);
  return phase;
}

int64_t bytes_of(const Value& line, std::string_view name) {
  const Value* peak = line.find(name);
  return peak != nullptr ? number(*peak, "bytes", 0) : 0;
}

}  // namespace

void read_step(double number, PhaseReport& phase) {
  if (!(number >= 0 && number < 1e6)) return;
  phase.step = static_cast<int32_t>(number);
  if (phase.phase == "input" || phase.phase == "forward" || phase.phase == "backward")
    phase.micro = static_cast<int32_t>(std::lround((number - phase.step) * 100));
}

Result<Job> read_case(const Value& what) {
  Job job;
  if (auto error = read_recipe(what, job.recipe)) return *error;
  Result<Description> description = read_model(what);
  if (!description) return description.error();
  job.description = std::move(*description);
  if (job.description.task == Task::kSeq2SeqLm) job.recipe.target_seq = number(what, "target_seq", job.recipe.seq);
  if (job.description.task == Task::kMultipleChoice) job.recipe.choices = number(what, "choices", 4);
  if (job.description.tower) job.recipe.images = number(what, "images", 1);
  if (takes_any_size(job.description)) show_images(job.description, number(what, "image_tokens", 256));
  if (job.description.has_fixed_length()) job.recipe.seq = job.description.positions;
  if (auto error = freeze(job, texts(what, "freeze"), "freeze")) return *error;
  if (job.recipe.objective != Objective::kTask) settle_preference(job);
  if (const Value* lora = what.find("lora"); lora != nullptr && names_head(*lora)) keep_the_head_there_is(job);
  if (auto error = check_job(job)) return *error;
  return job;
}

Result<Record> read_record(const Value& line) {
  const Value* what = line.find("case");
  if (what == nullptr) return Error{"case", "is missing: this is no record", "see oracle/README.md"};
  Result<Job> job = read_case(*what);
  if (!job) return job.error();
  Record record;
  record.job = std::move(*job);
  if (record.job.recipe.quantize == Quantize::kNone) record.parameters = number(line, "parameters", 0);
  record.trainable = number(line, "trainable", 0);
  record.peak_bytes = bytes_of(line, "peak");
  record.first_step_bytes = bytes_of(line, "peak_step1");
  record.managed_bytes = number(line, "managed", 0);
  if (record.peak_bytes <= 0) return Error{"peak", "is missing: this is no record", "see oracle/README.md"};
  if (const Value* phases = line.find("phases"))
    for (const Value& phase : phases->items) record.phases.push_back(read_phase(phase));
  return record;
}

}  // namespace peakmem
