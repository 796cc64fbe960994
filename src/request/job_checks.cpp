#include "request/job_checks.h"

#include <algorithm>
#include <array>
#include <string>

#include "request/adapter_options.h"
#include "request/choices.h"
#include "request/evaluation_options.h"
#include "request/expert_options.h"
#include "request/kernel_options.h"
#include "request/loop_options.h"
#include "request/preference_options.h"
#include "request/sharding.h"
#include "request/stack.h"
#include "request/zero_options.h"
#include "train/step.h"

namespace peakmem {
namespace {

constexpr int64_t kMostTracedLayers = 10'000;  // where every one is traced for itself

/// What cuts the whole model, and not each layer alike, needs the trace of every layer.
std::optional<Error> check_layers(const Job& job) {
  const Description& d = job.description;
  if (!is_cut_by_numbers(job.recipe) || std::max(d.layers, d.decoder_layers) <= kMostTracedLayers) return std::nullopt;
  return Error{"--layers",
               "is not modelled past " + std::to_string(kMostTracedLayers) +
                   " under ZeRO and FSDP1, whose pieces differ "
                   "from layer to layer",
               "pass fewer, or --fsdp for FSDP2"};
}

/// An optimizer of matrices leaves the rest to another.
std::optional<Error> check_division(const Job& job) {
  const Recipe& recipe = job.recipe;
  if (recipe.optimizer->takes_others)
    return recipe.rest == nullptr
               ? std::nullopt
               : std::optional(Error{"--rest-optimizer", std::string(recipe.optimizer->name) + " trains all parameters",
                                     "pass --optimizer muon, or drop it"});
  const auto [taken, left] = division(job);
  if (taken == 0) return Error{"--optimizer", "muon has nothing to train here", "pass another"};
  if (left > 0 && recipe.rest == nullptr)
    return Error{"--optimizer", "muon trains matrices only, and leaves " + std::to_string(left) + " parameters",
                 "add --rest-optimizer adamw"};
  if (left == 0 && recipe.rest != nullptr)
    return Error{"--rest-optimizer", "has nothing to train: muon trains all", "drop it"};
  return std::nullopt;
}

/// What kernels there are for the dtype in which parameters are trained.
std::optional<Error> check_kernels_of_optimizer(const Job& job) {
  const Recipe& recipe = job.recipe;
  const bool copies_half = !recipe.lora.saved.empty() && frozen_dtype(recipe) == DType::kBFloat16;
  if (trained_dtype(recipe) != DType::kBFloat16 && !copies_half) return std::nullopt;
  for (const Optimizer* optimizer : {recipe.optimizer, recipe.rest})
    if (optimizer != nullptr && !optimizer->takes_bfloat16)
      return Error{"--optimizer",
                   std::string(optimizer->name) +
                       " fails in bitsandbytes: no kernel takes gradients in bf16 beside states in 32 bits, which "
                       "small parameters have in any case",
                   "pass adamw-8bit or lion-8bit, or --precision bf16-mixed"};
  return std::nullopt;
}

/// What of the family's modelling code does not run on several ranks.
std::optional<Error> check_ranks(const Job& job) {
  const Description& d = job.description;
  const Recipe& recipe = job.recipe;
  if (d.family == "albert" && is_wrapped(recipe.sharding))
    return Error{"--fsdp", "is not modelled for albert: its one layer is gathered once for every turn", "drop it"};
  if (d.family == "clip" && d.task == Task::kContrastive && is_wrapped(recipe.sharding))
    return Error{"--fsdp",
                 "fails in PyTorch for clip, whose logit_scale is one number: \"fully_shard doesn't support scalar "
                 "parameters\"",
                 "pass --ddp"};
  const bool pools_beside = d.task == Task::kImageClassification && (d.family == "clip" || d.family == "siglip");
  const bool has_unused = d.family == "esm" || d.has_mask_token || pools_beside;
  if (has_unused && recipe.ddp.ranks > 1 && !recipe.ddp.finds_unused)
    return Error{"--ddp",
                 "fails in PyTorch for " + d.family +
                     ": it has a parameter that gets no gradient, and DDP raises \"Expected to have finished reduction "
                     "in the prior iteration\"",
                 "pass --find-unused yes"};
  return std::nullopt;
}

/// What the family's modelling code does not run.
std::optional<Error> check_family(const Job& job) {
  const Description& d = job.description;
  const Recipe& recipe = job.recipe;
  if (d.eager_only && recipe.attention == Attention::kSdpa)
    return Error{"--attention", d.family + " has no sdpa attention in transformers", "pass --attention eager"};
  if (d.returns_weights && recipe.attention == Attention::kEager &&
      recipe.checkpointing == Checkpointing::kFullReentrant)
    return Error{"--checkpointing",
                 "full-reentrant is not modelled for " + d.family +
                     " with eager attention: its layers return their weights, which get a gradient of zeros",
                 "pass --checkpointing full"};
  if (!d.checkpoints && recipe.checkpointing != Checkpointing::kNone)
    return Error{"--checkpointing",
                 "transformers cannot checkpoint " + d.family +
                     ": it raises that the model does not "
                     "support gradient checkpointing",
                 "drop it"};
  if (d.norms_positions && recipe.checkpointing == Checkpointing::kFullReentrant && recipe.lora.rank == 0)
    return Error{
        "--checkpointing",
        "reentrant fails in PyTorch for " + d.family +
            ": every layer's own backward goes through the norm of the positions, and the second raises \"Trying "
            "to backward through the graph a second time\"",
        "pass --checkpointing full"};
  if (d.shares_position_keys && recipe.quantize != Quantize::kNone)
    return Error{"--quantize",
                 "is not modelled for " + d.family + ", whose packed projections see positions beside tokens",
                 "drop it"};
  if (auto error = check_ranks(job)) return error;
  if (d.family == "llama4_text" && recipe.quantize != Quantize::kNone)
    return Error{"--quantize",
                 "is not modelled for " + d.family +
                     ", whose router is a linear layer of its own kind, which bitsandbytes packs as any other",
                 "drop it"};
  if (d.family == "gpt_oss" && recipe.weights == DType::kFloat16)
    return Error{"--precision",
                 "fp16 keeps the norms of gpt_oss in fp32 (_keep_in_fp32_modules), which is not modelled", "pass bf16"};
  const bool sharded = is_wrapped(recipe.sharding) && recipe.lora.rank == 0;
  if (d.task == Task::kSeq2SeqLm && recipe.weights == DType::kFloat16 && sharded)
    return Error{"--precision",
                 "fp16 fails in PyTorch where " + d.family +
                     " is sharded: wo stays in fp32 (_keep_in_fp32_modules), and FSDP raises \"FSDP expects uniform "
                     "original parameter dtype\"",
                 "pass bf16 or fp16-mixed"};
  return std::nullopt;
}

/// What is not modelled beside images, and a sequence that does not hold them.
std::optional<Error> check_images(const Job& job) {
  const Description& d = job.description;
  const Recipe& recipe = job.recipe;
  if (!d.tower) return std::nullopt;
  const std::string of_images = " is not modelled for " + d.family + ", which is shown images";
  const std::string part = "drop it, or pass --part text";
  if (recipe.trainer->is_transformers_loop) return Error{"--trainer", "transformers.Trainer" + of_images, part};
  if (recipe.quantize != Quantize::kNone) return Error{"--quantize", "packing weights" + of_images, part};
  if (runs(recipe.zero)) return Error{"--zero", "ZeRO" + of_images, part};
  if (recipe.transformers != Transformers::kV523) return Error{"--transformers", "an older version" + of_images, part};
  if (recipe.eval_batch > 0) return Error{"--eval-batch", "an evaluation" + of_images, part};
  if (d.image_tokens > 0 && recipe.images > recipe.seq / d.image_tokens)
    return Error{"--seq",
                 std::to_string(recipe.seq) + " tokens do not hold the " + std::to_string(d.image_tokens) +
                     " tokens of each of " + std::to_string(recipe.images) + " images",
                 "pass a longer one, or fewer --images"};
  return std::nullopt;
}

std::optional<Error> check_batch(const Job& job) {
  const Description& d = job.description;
  const Recipe& recipe = job.recipe;
  const int64_t longest = d.longest_sequence();
  if (recipe.seq > longest && d.learned_positions)
    return Error{"--seq",
                 std::to_string(recipe.seq) + " is past the learned position table of " + std::to_string(longest),
                 "pass at most " + std::to_string(longest)};
  if (recipe.target_seq > d.longest_target() && d.learned_positions)
    return Error{"--target-seq",
                 std::to_string(recipe.target_seq) + " is past the learned position table of " +
                     std::to_string(d.longest_target()),
                 "pass at most " + std::to_string(d.longest_target())};
  if (recipe.seq > longest && d.dynamic_rotary)
    return Error{"--seq",
                 std::to_string(recipe.seq) + " is past max_position_embeddings, " + std::to_string(longest) +
                     ", from where on a dynamic rotary embedding makes its frequencies anew, which is not modelled",
                 "pass at most " + std::to_string(longest)};
  if ((d.dynamic_rotary || d.long_rotary) && recipe.transformers != Transformers::kV523)
    return Error{"--transformers", "is modelled as 5.23 only for rotary embeddings that are dynamic or longrope",
                 "drop it"};
  const bool last_token =
      d.task == Task::kSequenceClassification && find_family(d.family)->usual_task == Task::kCausalLm;
  if (last_token && std::max(recipe.batch, recipe.eval_batch) > 1 && !d.has_padding_token)
    return Error{"--batch", "cannot be " + std::to_string(recipe.batch) + ": the config has no pad_token_id",
                 "transformers raises \"Cannot handle batch sizes > 1 if no padding token is defined\"; pass --batch "
                 "1 or set pad_token_id"};
  return std::nullopt;
}

/// In this order: what comes later may build or trace what passed those before it.
constexpr auto kChecks = std::to_array<std::optional<Error> (*)(const Job&)>(
    {check_layers, check_images, check_adapters, check_stack, check_preference, check_division, check_sharding,
     check_zero, check_kernels, check_kernels_of_optimizer, check_evaluation, check_loop, check_family, check_experts,
     check_batch});

}  // namespace

std::optional<Error> check_job(const Job& job) {
  for (const auto check : kChecks)
    if (auto wrong = check(job)) return wrong;
  return std::nullopt;
}

}  // namespace peakmem
