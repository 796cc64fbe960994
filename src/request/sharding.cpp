#include "request/sharding.h"

#include <algorithm>
#include <array>
#include <set>

#include "recipe/optimizers.h"
#include "request/choices.h"
#include "size/wording.h"
#include "train/built_model.h"

namespace peakmem {
namespace {

constexpr std::array<std::string_view, 3> kPolicies = {"fsdp-param-dtype", "fsdp-reduce-dtype",
                                                       "no-reshard-after-forward"};
constexpr std::array<std::string_view, 2> kOfFlat = {"fsdp-prefetch", "use-orig-params"};
constexpr std::array<std::string_view, 2> kDtypes = {"fsdp-param-dtype", "fsdp-reduce-dtype"};
/// Optimizers whose step on shards was measured to be what it is on whole parameters.
constexpr std::array<std::string_view, 12> kElementwise = {"adamw",   "adam",     "sgd",   "sgd-momentum",
                                                           "adagrad", "rmsprop",  "nadam", "radam",
                                                           "adamax",  "adadelta", "asgd",  "lion"};
constexpr const char* kNccl = "NCCL's own buffers are an estimate, which the verdict counts at its high end only";
constexpr int64_t kMostRanks = 1 << 20;
constexpr int64_t kMostBucketMb = 1 << 20;
constexpr std::array<std::string_view, 4> kDdpOptions = {"bucket-mb", "bucket-view", "no-sync", "find-unused"};

std::string dashed(std::string_view name) { return "--" + std::string(name); }

/// "RxS" as replicas and shards.
std::optional<Error> read_mesh(const std::string& text, Sharding& sharding) {
  const size_t times = text.find('x');
  if (times == std::string::npos)
    return Error{"--hsdp", "must be replicas x shards, is " + in_quotes(text), "such as 2x4"};
  const Result<int64_t> replicas = parse_size(text.substr(0, times), "--hsdp");
  if (!replicas) return replicas.error();
  const Result<int64_t> shards = parse_size(text.substr(times + 1), "--hsdp");
  if (!shards) return shards.error();
  sharding.replicas = *replicas;
  sharding.shards = *shards;
  sharding.hybrid = true;
  return std::nullopt;
}

std::optional<Error> read_ranks(const Options& asked, Sharding& sharding) {
  sharding.shards = asked.size("fsdp").value_or(1);
  const std::string* mesh = asked.text("hsdp");
  if (mesh != nullptr && asked.has("fsdp")) return Error{"--hsdp", "contradicts --fsdp", "drop one of them"};
  if (mesh != nullptr)
    if (auto wrong = read_mesh(*mesh, sharding)) return wrong;
  const std::string_view option = sharding.hybrid ? "hsdp" : "fsdp";
  if (sharding.shards == 1 && sharding.replicas == 1) sharding.hybrid = false;  // one GPU
  if (std::max(sharding.shards, sharding.replicas) > kMostRanks)
    return Error{dashed(option), "is more than " + std::to_string(kMostRanks) + " ranks", {}};
  return std::nullopt;
}

void read_dtypes(const Options& asked, Sharding& sharding) {
  const std::string* parameters = asked.text("fsdp-param-dtype");
  const std::string* gradients = asked.text("fsdp-reduce-dtype");
  sharding.casts_parameters = parameters != nullptr;
  sharding.casts_gradients = gradients != nullptr;
  if (parameters != nullptr) sharding.param_dtype = value_in(kTrainingDTypes, *parameters);
  if (gradients != nullptr) sharding.reduce_dtype = value_in(kTrainingDTypes, *gradients);
  sharding.reshard_after_forward = !asked.flag("no-reshard-after-forward");
}

/// Whether a layer whose weight is packed has a bias.
bool has_bias_beside_packed(const Job& job) {
  const Program program = built(job);
  const auto parent = [&](int32_t scope) { return program.scopes[static_cast<size_t>(scope)].parent; };
  std::set<int32_t> packed;
  for (const Storage& storage : program.storages)
    if (storage.category == Category::kWeights && storage.dtype == DType::kUInt8) packed.insert(parent(storage.scope));
  return std::any_of(program.weights.begin(), program.weights.end(), [&](const Weight& weight) {
    const std::string_view name = program.scopes[static_cast<size_t>(weight.scope)].name;
    return name == "bias" && packed.contains(parent(weight.scope));
  });
}

/// What of quantized weights was measured over shards.
std::optional<Error> check_quantized(const Job& job) {
  const Recipe& recipe = job.recipe;
  const Sharding& sharding = recipe.sharding;
  if (recipe.quantize == Quantize::kNone) return std::nullopt;
  if (recipe.quantize == Quantize::kInt8)
    return Error{"--quantize", "int8 fails in PyTorch with FSDP2: what it gathers is no Int8Params, and has no CB",
                 "pass nf4"};
  const DType compute = product_dtype(recipe);
  const std::string in_compute = "pass --fsdp-param-dtype " + std::string(name_in(kTrainingDTypes, compute));
  if (sharding.casts_parameters && recipe.upcast == Upcast::kNorms)
    return Error{"--fsdp-param-dtype", "is not modelled beside quantized weights whose norms alone are fp32",
                 in_compute + " --upcast all, or drop it"};
  const DType seen = sharding.casts_parameters ? sharding.param_dtype : frozen_dtype(recipe);
  if (seen != compute && has_bias_beside_packed(job))
    return Error{"--quantize", "is not modelled here: Linear4bit casts a bias in place, which takes it from its shards",
                 in_compute};
  return std::nullopt;
}

/// Whether what is trained outside of the layers, which is one unit of FSDP2, is of more than one dtype.
bool mixes_dtypes(const Job& job) {
  const Program program = built(job);
  std::set<int32_t> trained;
  for (const Weight& weight : program.weights)
    if (weight.trained && weight.turn == 0) trained.insert(weight.scope);
  std::set<DType> dtypes;
  for (const Storage& storage : program.storages)
    if (storage.category == Category::kWeights && trained.contains(storage.scope)) dtypes.insert(storage.dtype);
  return dtypes.size() > 1;
}

/// What is trained of a model outside of its layers.
bool trains_outside_layers(const Job& job) {
  const Program program = built(job);
  return std::any_of(program.weights.begin(), program.weights.end(),
                     [](const Weight& weight) { return weight.trained && weight.turn == 0; });
}

/// What of a job that accelerate prepares for FSDP2 was not measured; empty where all was.
std::string not_measured_of_accelerate(const Job& job) {
  const Recipe& recipe = job.recipe;
  const Sharding& sharding = recipe.sharding;
  if (recipe.transformers != Transformers::kV523) return "with another transformers than 5.23";
  if (sharding.hybrid) return "with copies (HSDP)";
  if (!divides_outside_layers(job)) return "for " + job.description.family;
  if (recipe.quantize != Quantize::kNone) return "with quantized weights";
  if (recipe.lora.rank > 0 && (!recipe.lora.saved.empty() || trains_outside_layers(job)))
    return "with adapters or copies outside of the layers";
  if (sharding.casts_parameters && sharding.param_dtype == DType::kFloat16) return "in fp16";
  if (recipe.eval_batch > 0) return "with an evaluation";
  if (recipe.kernels.loss == LossKernel::kFoak) return "with Unsloth's loss";
  return {};
}

std::optional<Error> check_accelerate(const Job& job) {
  if (!job.recipe.sharding.by_accelerate || job.recipe.sharding.flat.runs) return std::nullopt;
  const std::string what = not_measured_of_accelerate(job);
  if (what.empty()) return std::nullopt;
  return Error{"--trainer", std::string(job.recipe.trainer->name) + " over shards is not modelled " + what,
               "pass --trainer loop for fully_shard on every layer, or use --ddp"};
}

/// What of a job under FSDP1 was not measured; empty where all was.
std::string not_measured_of_flat(const Job& job) {
  const Recipe& recipe = job.recipe;
  const Sharding& sharding = recipe.sharding;
  if (job.description.task != Task::kCausalLm || job.description.tower) return "for other tasks than causal-lm";
  if (recipe.objective != Objective::kTask) return "for training on preferences";
  if (recipe.transformers != Transformers::kV523) return "with another transformers than 5.23";
  if (sharding.hybrid) return "with copies (HYBRID_SHARD)";
  if (job.description.experts > 0) return "for mixtures of experts";
  if (recipe.lora.rank > 0) return "with adapters";
  if (!recipe.freeze.patterns.empty()) return "where some parameters are frozen";
  if (recipe.quantize != Quantize::kNone) return "with quantized weights";
  if (recipe.weights == DType::kFloat16 || sharding.param_dtype == DType::kFloat16) return "in fp16";
  if (!sharding.by_accelerate && recipe.autocast) return "with autocast in a plain loop";
  if (recipe.eval_batch > 0) return "with an evaluation";
  if (recipe.kernels.loss != LossKernel::kHf && recipe.kernels.loss != LossKernel::kPlain)
    return "with a loss that is fused or in tiles (--loss, --kernels or the trainer's)";
  if (recipe.built_on_device) return "for a model that is built on the device";
  return {};
}

std::optional<Error> check_flat(const Job& job) {
  const std::string what = not_measured_of_flat(job);
  if (what.empty()) return std::nullopt;
  return Error{"--fsdp-version", "1 is not modelled " + what, "pass --fsdp-version 2"};
}

std::optional<Error> check(const Job& job) {
  const Recipe& recipe = job.recipe;
  if (recipe.sharding.flat.runs)
    if (auto wrong = check_flat(job)) return wrong;
  if (auto wrong = check_accelerate(job)) return wrong;
  if (!recipe.lora.saved.empty() && mixes_dtypes(job))
    return Error{"--lora-modules-to-save",
                 "fails in PyTorch beside adapters in fp32 outside of the layers: \"FSDP expects uniform original "
                 "parameter dtype\"",
                 "pass --lora-dtype model, or --lora-targets within the layers"};
  if (auto wrong = check_quantized(job)) return wrong;
  const auto& known = kElementwise;
  if (!recipe.optimizer->takes_shards)
    return Error{
        "--optimizer",
        std::string(recipe.optimizer->name) + (recipe.optimizer->takes_others && !recipe.sharding.flat.runs
                                                   ? " fails in PyTorch with FSDP2: its kernels take no DTensor"
                                                   : " is not modelled with sharded parameters"),
        "pass adamw"};
  if (std::find(known.begin(), known.end(), recipe.optimizer->name) == known.end())
    return Error{"--optimizer", std::string(recipe.optimizer->name) + " is not modelled with sharded parameters",
                 "known for it: adamw, adam, sgd, sgd-momentum, adagrad, rmsprop"};
  return std::nullopt;
}

/// BERT's head and its kin's have a bias that only a tied one uses; DDP waits for the gradient of every parameter that
/// is trained, and beside adapters that one is frozen.
bool has_unused_parameter(const Job& job) {
  const Description& d = job.description;
  return d.task == Task::kMaskedLm && !d.tied && !d.tied_head_bias.empty() && job.recipe.lora.rank == 0;
}

std::optional<Error> check_ddp(const Job& job) {
  const Recipe& recipe = job.recipe;
  const DataParallelism& ddp = recipe.ddp;
  if (ddp.ranks > 1 && is_wrapped(recipe.sharding))
    return Error{"--ddp", "contradicts --fsdp and --hsdp", "--hsdp RxS has copies of a sharded model"};
  if (ddp.ranks > kMostRanks) return Error{"--ddp", "is more than " + std::to_string(kMostRanks) + " ranks", {}};
  if (ddp.ranks == 1) return std::nullopt;
  if (ddp.finds_unused && recipe.checkpointing == Checkpointing::kFullReentrant)
    return Error{"--checkpointing", "full-reentrant fails in PyTorch where DDP looks for unused parameters",
                 "pass full, or --find-unused no"};
  if (has_unused_parameter(job) && !ddp.finds_unused)
    return Error{"--ddp", "fails in PyTorch: " + job.description.tied_head_bias + " of an untied head gets no gradient",
                 "pass --find-unused yes, or tie_word_embeddings"};
  return std::nullopt;
}

/// Whether DDP looks for unused parameters: as asked, else as the trainer has it look.
void read_find_unused(const Options& asked, Request& request) {
  Recipe& recipe = request.job.recipe;
  const std::string* asked_for = asked.text("find-unused");
  recipe.ddp.finds_unused = asked_for != nullptr ? value_in(kYesNo, *asked_for) : trainer_finds_unused(recipe);
  if (recipe.ddp.finds_unused && asked_for == nullptr)
    request.assumptions.emplace_back("Trainer has DDP look for unused parameters: it copies the outputs");
}

std::optional<Error> read_ddp(const Options& asked, Request& request) {
  DataParallelism& ddp = request.job.recipe.ddp;
  ddp.ranks = asked.size("ddp").value_or(1);
  const std::string* version = asked.text("fsdp-version");
  const bool flat = version != nullptr && *version == "1";
  const bool others = asked.has("fsdp") || asked.has("hsdp") || asked.has("zero");
  for (const std::string_view option : kDdpOptions)
    if (ddp.ranks == 1 && asked.has(option) && !(flat && option == "no-sync"))
      return Error{dashed(option), others ? "is about DistributedDataParallel" : "needs more ranks than one",
                   !others                                    ? "pass --ddp 8"
                   : option == "no-sync" && asked.has("fsdp") ? "drop it, or pass --fsdp-version 1"
                                                              : "drop it, or pass --ddp 8 in its place"};
  ddp.gradient_as_bucket_view = asked.flag("bucket-view");
  ddp.no_sync = (asked.flag("no-sync") && ddp.ranks > 1) || reduces_once(request.job.recipe);
  if (asked.flag("no-sync") && request.job.recipe.accumulate == 1)
    return Error{"--no-sync", "needs more micro-batches than one", "pass --accumulate 4"};
  const int64_t bucket_mb = asked.size("bucket-mb").value_or(0);
  if (bucket_mb > kMostBucketMb)
    return Error{"--bucket-mb", "is more than " + std::to_string(kMostBucketMb) + " MiB", "25 is PyTorch's own"};
  ddp.bucket_bytes = bucket_mb << 20;
  if (ddp.ranks > 1 && (asked.has("fsdp") || asked.has("hsdp")))  // were they of one rank
    return Error{"--ddp", "contradicts --fsdp and --hsdp", "--hsdp RxS has copies of a sharded model"};
  if (ddp.ranks == 1) return std::nullopt;
  read_find_unused(asked, request);
  request.assumptions.emplace_back("DDP: bytes are those of one rank, and all ranks are alike");
  request.warnings.emplace_back(kNccl);
  return std::nullopt;
}

/// What is of FSDP1 alone: accelerate's defaults under a trainer, else torch's.
std::optional<Error> read_flat(const Options& asked, Recipe& recipe) {
  FlatSharding& flat = recipe.sharding.flat;
  const std::string* version = asked.text("fsdp-version");
  if (version != nullptr && !asked.has("fsdp") && !asked.has("hsdp"))
    return Error{"--fsdp-version", "is about FSDP", "add --fsdp 8"};
  flat.runs = version != nullptr && *version == "1" && is_wrapped(recipe.sharding);
  for (const std::string_view option : kOfFlat)
    if (!flat.runs && asked.has(option))
      return Error{dashed(option), "is about FSDP1", "add --fsdp 8 --fsdp-version 1"};
  if (!flat.runs) return std::nullopt;
  if (!kHasFlatSharding) return Error{"--fsdp-version", "1 is not on the page yet", "ask the command line"};
  const bool trainer = recipe.trainer->is_transformers_loop;
  const std::string* prefetch = asked.text("fsdp-prefetch");
  flat.prefetch = prefetch != nullptr ? value_in(kPrefetches, *prefetch) : trainer ? Prefetch::kNone : Prefetch::kPre;
  const std::string* keeps = asked.text("use-orig-params");
  flat.keeps_parameters = keeps != nullptr ? value_in(kYesNo, *keeps) : trainer;
  flat.sends_states = trainer;
  flat.no_sync = !trainer && asked.flag("no-sync");
  return std::nullopt;
}

std::string assumption_of(const Sharding& sharding) {
  if (sharding.flat.runs)
    return "FSDP1: every layer, then the model; bytes are those of rank 0, and ranks are alike but for what of each "
           "parameter is theirs";
  return !sharding.by_accelerate ? "fully_shard: every layer, then the model; bytes are those of rank 0"
                                 : "FSDP2 as accelerate 1.15 has it: embedding, every layer, last norm with the head, "
                                   "the rest; bytes are those of rank 0";
}

}  // namespace

std::optional<Error> check_sharding(const Job& job) {
  if (auto wrong = check_ddp(job)) return wrong;
  return is_wrapped(job.recipe.sharding) ? check(job) : std::nullopt;
}

std::optional<Error> read_sharding(const Options& asked, Request& request) {
  Recipe& recipe = request.job.recipe;
  Sharding& sharding = recipe.sharding;
  if (auto wrong = read_ddp(asked, request)) return wrong;
  if (auto wrong = read_ranks(asked, sharding)) return wrong;
  if (auto wrong = read_flat(asked, recipe)) return wrong;
  if (!is_wrapped(sharding)) {
    for (const std::string_view policy : kPolicies)
      if (asked.has(policy)) return Error{dashed(policy), "needs more ranks than one", "pass --fsdp 8"};
    return std::nullopt;
  }
  read_dtypes(asked, sharding);
  for (const std::string_view policy : kDtypes)
    if (recipe.trainer->is_transformers_loop && asked.has(policy))
      return Error{dashed(policy), "is accelerate's to choose with --trainer " + std::string(recipe.trainer->name),
                   "drop it, and pass --precision bf16-mixed"};
  convert_sharded(recipe);
  if (asked.flag("textbook"))
    return Error{"--textbook", "formulas in circulation are those of one GPU",
                 "drop --" + std::string(sharding.hybrid ? "hsdp" : "fsdp")};
  request.assumptions.push_back(assumption_of(sharding));
  if (sharding.by_accelerate && sharding.casts_parameters)
    request.assumptions.emplace_back("accelerate makes what is trained fp32; it computes and reduces in bf16");
  request.warnings.emplace_back(kNccl);
  return std::nullopt;
}

}  // namespace peakmem
