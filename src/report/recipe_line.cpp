#include "report/recipe_line.h"

#include "request/choices.h"
#include "size/bytes.h"
#include "size/wording.h"

namespace peakmem {
namespace {

/// "ddp 8, buckets of 5 MiB, bucket views, no_sync"
std::string ddp_text(const DataParallelism& ddp) {
  std::string text = "ddp " + grouped(ddp.ranks);
  if (ddp.bucket_bytes > 0) text += ", buckets of " + in_binary_units(ddp.bucket_bytes);
  if (ddp.gradient_as_bucket_view) text += ", bucket views";
  if (ddp.no_sync) text += ", no_sync";
  if (ddp.finds_unused) text += ", find_unused";
  return text;
}

/// "zero 2 over 8, rank 0, bucket of 1,048,576, optimizer on the host"
std::string zero_text(const Zero& zero) {
  std::string text = "zero " + std::to_string(zero.stage) + " over " + grouped(zero.ranks) + ", rank " +
                     grouped(zero.rank) + ", bucket of " + grouped(zero.reduce_bucket);
  if (zero.overlaps) text += ", overlapped";
  if (zero.round_robin) text += ", round robin";
  if (zero.full_gradients) text += ", gradients in fp32";
  if (zero.one_group) text += ", its own optimizer";
  if (zero.offloads_optimizer) text += ", optimizer on the host";
  if (zero.offloads_parameters) text += ", parameters on the host";
  return text;
}

/// "hsdp 2x8 in bf16, reduced in fp32"
std::string sharding_text(const Sharding& sharding) {
  std::string text = sharding.hybrid ? "hsdp " + std::to_string(sharding.replicas) + "x" : "fsdp ";
  text += std::to_string(sharding.shards);
  if (sharding.casts_parameters) text += " in " + std::string(name_in(kTrainingDTypes, sharding.param_dtype));
  if (sharding.casts_gradients) text += ", reduced in " + std::string(name_in(kTrainingDTypes, sharding.reduce_dtype));
  if (!sharding.reshard_after_forward) text += ", no reshard after forward";
  if (sharding.flat.runs) text += ", flat parameters";
  return text;
}

/// "bf16-mixed", or "bf16 · autocast bf16" where there is no short name.
std::string precision_text(const Recipe& recipe) {
  for (const PrecisionName& row : kPrecisions)
    if (row.weights == recipe.weights && row.autocast == recipe.autocast) return std::string(row.name);
  return std::string(name_in(kTrainingDTypes, recipe.weights)) + " · autocast " +
         std::string(name_in(kTrainingDTypes, product_dtype(recipe)));
}

/// " · norm fused · loss chunked": what is not transformers' own.
std::string kernels_text(const Kernels& kernels) {
  const auto choice = [](const char* option, std::string_view name) {
    return name == "hf" ? std::string() : " · " + std::string(option) + " " + std::string(name);
  };
  return choice("norm", name_in(kNormKernels, kernels.norm)) + choice("mlp", name_in(kKernels, kernels.mlp)) +
         choice("rope", name_in(kKernels, kernels.rope)) + choice("loss", name_in(kLossKernels, kernels.loss));
}

/// "B = 8, T = 1024 · optimizer adamw, precision bf16": the letters that can be changed, and what was traced.
std::string recorded_line(const Job& job) {
  std::string letters;
  for (size_t i = 0; i < job.letters.size(); ++i)
    if (const Letter& letter = job.recording->letters[i]; !letter.fixed)
      add_to_list(letters, letter.name + " = " + std::to_string(job.letters[i]));
  std::string text = letters;
  for (const auto& [name, what] : job.recording->made_of) text += (text.empty() ? "" : " · ") + name + " " + what;
  return text.empty() ? "a trace of numbers" : text;
}

}  // namespace

std::string recipe_line(const Job& job) {
  if (job.recording) return recorded_line(job);
  const Recipe& r = job.recipe;
  const char* in_an_example = r.objective == Objective::kTask ? " choices" : " (pairs)";
  std::string text = "batch " + grouped(r.batch) + (r.choices > 1 ? " × " + grouped(r.choices) + in_an_example : "") +
                     " × seq " + grouped(r.seq) +
                     (r.completion > 0 ? " (" + grouped(r.completion) + " with labels)" : "") +
                     (r.target_seq > 0 ? " × target " + grouped(r.target_seq) : "") +
                     (r.images > 0 ? " with " + grouped(r.images) + (r.images > 1 ? " images" : " image") : "") +
                     " · " + precision_text(r) + " · " + std::string(name_in(kAttentions, r.attention)) + " · " +
                     std::string(r.optimizer->name) + " (" + std::string(name_in(kOptimizerImpls, r.impl)) + ")";
  if (r.rest != nullptr) text += " and " + std::string(r.rest->name);
  if (r.trainer->is_transformers_loop) text += " · trainer " + std::string(r.trainer->name);
  if (r.objective != Objective::kTask) text += " · " + std::string(name_in(kObjectives, r.objective));
  if (r.corrects_sampling) text += ", completions of vllm";
  if (r.reference != Reference::kNone) text += ", reference " + std::string(name_in(kReferences, r.reference));
  if (r.use_cache) text += " · cache";
  if (r.names != r.trainer->names)
    text += r.names == LoopNames::kLoss ? " · only the loss kept" : " · outputs not kept";
  if (r.transformers != Transformers::kV523)
    text += " · transformers " + std::string(name_in(kTransformers, r.transformers));
  text += kernels_text(r.kernels);
  if (r.checkpointing != Checkpointing::kNone)
    text += " · checkpointing " + std::string(name_in(kCheckpointings, r.checkpointing));
  if (r.accumulate > 1) text += " · accumulate " + grouped(r.accumulate);
  if (r.clip) text += " · clip-grad";
  if (r.eval_batch > 0) text += " · evaluates " + grouped(r.eval_batch);
  if (r.eval_batch > 0 && r.eval_batches > 1) text += " × " + grouped(r.eval_batches);
  if (r.eval_logits) text += ", logits kept";
  if (!r.freeze.patterns.empty()) text += " · frozen";
  for (const std::string& pattern : r.freeze.patterns) text += " " + pattern;
  if (r.lora.rank > 0) text += " · lora of rank " + grouped(r.lora.rank);
  for (const std::string& name : r.lora.saved) text += ", " + name + " copied";
  if (r.quantize != Quantize::kNone)
    text += " · " + std::string(name_in(kQuantizes, r.quantize)) + (r.double_quant ? ", double quantized" : "");
  if (r.ddp.ranks > 1) text += " · " + ddp_text(r.ddp);
  if (runs(r.zero)) text += " · " + zero_text(r.zero);
  if (is_wrapped(r.sharding)) text += " · " + sharding_text(r.sharding);
  return text;
}

}  // namespace peakmem
