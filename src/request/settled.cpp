#include "request/settled.h"

#include <array>
#include <cstdio>

#include "recipe/images.h"
#include "request/choices.h"
#include "request/expert_options.h"

namespace peakmem {
namespace {

/// Options as they are collected.
class Settled {
 public:
  void text(std::string_view name, std::string_view text) { all_.push_back({std::string(name), std::string(text)}); }
  void size(std::string_view name, int64_t size) { text(name, std::to_string(size)); }
  void flag(std::string_view name, bool flag) { text(name, flag ? "true" : "false"); }
  void list(std::string_view name, const std::vector<std::string>& entries) {
    std::string joined;
    for (const std::string& entry : entries) joined += (joined.empty() ? "" : ",") + entry;
    text(name, joined);
  }
  OptionValues take() && { return std::move(all_); }

 private:
  OptionValues all_;
};

void add_sizes(const Job& job, Settled& out) {
  const Recipe& recipe = job.recipe;
  out.size("batch", recipe.batch);
  if (!job.description.has_fixed_length()) out.size("seq", recipe.seq);
  if (recipe.completion > 0) out.size("completion", recipe.completion);
  if (recipe.target_seq > 0) out.size("target-seq", recipe.target_seq);
  if (job.description.task == Task::kMultipleChoice) out.size("choices", recipe.choices);
  if (recipe.images > 0) out.size("images", recipe.images);
  if (takes_any_size(job.description)) out.size("image-tokens", job.description.image_tokens);
  out.size("accumulate", recipe.accumulate);
}

void add_optimizer(const Recipe& recipe, Settled& out) {
  out.text("optimizer", recipe.optimizer->name);
  out.text("optimizer-impl", name_in(kOptimizerImpls, recipe.impl));
  out.flag("clip-grad", recipe.clip);
  if (recipe.optimizer->takes_others) return;
  out.text("muon-matrices", recipe.all_matrices ? "all" : "hidden");
  if (recipe.rest != nullptr) out.text("rest-optimizer", recipe.rest->name);
}

void add_loop(const Job& job, Settled& out) {
  const Recipe& recipe = job.recipe;
  out.text("precision", name_in(kTrainingDTypes, recipe.weights));
  out.text("autocast", name_in(kAutocasts, asked_autocast(recipe)));
  out.text("attention", name_in(kAttentions, recipe.attention));
  if (routes_tokens(job.description)) out.text("experts", name_in(kExperts, recipe.experts));
  out.text("checkpointing", name_in(kCheckpointings, recipe.checkpointing));
  out.text("transformers", name_in(kTransformers, recipe.transformers));
  out.text("trainer", recipe.trainer->name);
  if (recipe.objective != Objective::kTask) out.text("objective", name_in(kObjectives, recipe.objective));
  if (recipe.objective == Objective::kGrpo) out.text("sampler", name_in(kSamplers, recipe.corrects_sampling));
  if (recipe.reference != Reference::kNone) out.text("reference", name_in(kReferences, recipe.reference));
  out.text("init", name_in(kInits, builds_on_device(recipe)));
  out.text("keep-outputs", name_in(kLoopNames, recipe.names));
  out.text("use-cache", name_in(kYesNo, recipe.use_cache));
  if (!recipe.freeze.patterns.empty()) out.list("freeze", recipe.freeze.patterns);
}

void add_kernels(const Kernels& kernels, Settled& out) {
  out.text("norm", name_in(kNormKernels, kernels.norm));
  out.text("mlp", name_in(kKernels, kernels.mlp));
  out.text("rope", name_in(kKernels, kernels.rope));
  out.text("loss", name_in(kLossKernels, kernels.loss));
}

std::string share_text(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g", share);
  return text.data();
}

void add_adapters(const Recipe& recipe, Settled& out) {
  const Lora& lora = recipe.lora;
  if (lora.rank == 0) return;
  out.size("lora-rank", lora.rank);
  lora.targets.empty() ? out.text("lora-targets", "all-linear") : out.list("lora-targets", lora.targets);
  out.text("lora-dropout", share_text(lora.dropout));
  out.text("lora-dtype", lora.full_precision ? "fp32" : "model");
  if (!lora.saved.empty()) out.list("lora-modules-to-save", lora.saved);
  out.text("quantize", name_in(kQuantizes, recipe.quantize));
  if (recipe.quantize == Quantize::kNone) return;
  out.flag("double-quant", recipe.double_quant);
  out.text("upcast", name_in(kUpcasts, recipe.upcast));
}

void add_ddp(const Recipe& recipe, Settled& out) {
  const DataParallelism& ddp = recipe.ddp;
  if (ddp.ranks == 1) return;
  out.size("ddp", ddp.ranks);
  if (ddp.bucket_bytes > 0) out.size("bucket-mb", ddp.bucket_bytes >> 20);
  out.flag("bucket-view", ddp.gradient_as_bucket_view);
  if (recipe.accumulate > 1) out.flag("no-sync", ddp.no_sync);
  out.text("find-unused", name_in(kYesNo, ddp.finds_unused));
}

void add_shards(const Sharding& sharding, Settled& out) {
  if (!is_wrapped(sharding)) return;
  if (sharding.hybrid)
    out.text("hsdp", std::to_string(sharding.replicas) + "x" + std::to_string(sharding.shards));
  else
    out.size("fsdp", sharding.shards);
  if (sharding.flat.runs) {
    out.text("fsdp-version", "1");
    out.text("fsdp-prefetch", name_in(kPrefetches, sharding.flat.prefetch));
    out.text("use-orig-params", name_in(kYesNo, sharding.flat.keeps_parameters));
    out.flag("no-sync", sharding.flat.no_sync);
  }
  const bool by_policy = !sharding.by_accelerate;  // which makes one of autocast, see convert_sharded
  if (by_policy && sharding.casts_parameters)
    out.text("fsdp-param-dtype", name_in(kTrainingDTypes, sharding.param_dtype));
  if (by_policy && sharding.casts_gradients)
    out.text("fsdp-reduce-dtype", name_in(kTrainingDTypes, sharding.reduce_dtype));
  out.flag("no-reshard-after-forward", !sharding.reshard_after_forward);
}

void add_zero_3(const Zero& zero, Settled& out) {
  if (zero.offloads_parameters) out.text("offload-parameters", zero.pins_parameters ? "pinned" : "pageable");
  out.size("prefetch-bucket", zero.prefetch_bucket);
  out.size("persistence-threshold", zero.persistence_threshold);
  out.size("max-live-parameters", zero.max_live_parameters);
  out.size("max-reuse-distance", zero.max_reuse_distance);
  out.size("sub-group", zero.sub_group);
}

void add_zero(const Zero& zero, Settled& out) {
  if (!runs(zero)) return;
  out.size("zero", zero.stage);
  out.size("ranks", zero.ranks);
  out.size("rank", zero.rank);
  out.size("reduce-bucket", zero.reduce_bucket);
  out.text("overlap-comm", name_in(kYesNo, zero.overlaps));
  out.flag("round-robin", zero.round_robin);
  out.flag("zero-optimizer", zero.one_group);
  if (zero.full_gradients) out.text("zero-gradients", "fp32");
  if (zero.offloads_optimizer) out.text("offload-optimizer", zero.pins_optimizer ? "pinned" : "pageable");
  if (zero.stage == 3) add_zero_3(zero, out);
}

void add_evaluation(const Recipe& recipe, Settled& out) {
  if (recipe.eval_batch == 0) return;
  out.size("eval-batch", recipe.eval_batch);
  out.size("eval-batches", recipe.eval_batches);
  out.flag("eval-logits", recipe.eval_logits);
}

}  // namespace

OptionValues settled_options(const Job& job) {
  Settled out;
  add_sizes(job, out);
  add_optimizer(job.recipe, out);
  add_loop(job, out);
  add_kernels(job.recipe.kernels, out);
  add_adapters(job.recipe, out);
  add_ddp(job.recipe, out);
  add_shards(job.recipe.sharding, out);
  add_zero(job.recipe.zero, out);
  add_evaluation(job.recipe, out);
  return std::move(out).take();
}

std::vector<std::string_view> said_by(std::string_view name) {
  if (name == "precision") return {"precision", "autocast"};
  if (name == "kernels") return {"norm", "mlp", "rope", "loss"};
  return {name};
}

}  // namespace peakmem
