// How a model is trained: everything that is a choice and not a size of the model.
#pragma once

#include <cstdint>
#include <optional>

#include "model/description.h"
#include "recipe/flat_sharding.h"
#include "recipe/trainers.h"
#include "recipe/zero.h"
#include "trace/processor.h"

namespace peakmem {

struct Optimizer;

/// Which of torch.optim's implementations runs.
enum class OptimizerImpl : uint8_t { kLoop, kForeach, kFused };

/// How FSDP2 spreads a model over ranks: torch.distributed.fsdp.fully_shard on every layer and on the model; or FSDP1.
struct Sharding {
  int64_t shards = 1;    // ranks that share one copy of the model; 1: nothing is sharded
  int64_t replicas = 1;  // copies of the model
  bool hybrid = false;   // HSDP: the mesh has a dimension of replicas, were it 1 long
  bool casts_parameters = false;
  bool casts_gradients = false;
  DType param_dtype = DType::kFloat32;   // MixedPrecisionPolicy.param_dtype, if parameters are cast
  DType reduce_dtype = DType::kFloat32;  // MixedPrecisionPolicy.reduce_dtype, if gradients are cast
  bool reshard_after_forward = true;
  bool by_accelerate = false;  // as accelerate divides and casts a model, see convert_sharded
  bool one_unit = false;       // only the model is wrapped, not its layers
  FlatSharding flat;           // FSDP1
};

/// Whether the model is wrapped at all; copies that are not sharded are, too.
constexpr bool is_wrapped(const Sharding& sharding) { return sharding.shards > 1 || sharding.replicas > 1; }

/// What a step trains for: the next token (or whatever the model's task is), pairs of a chosen and a rejected sequence,
/// by TRL's DPOTrainer or RewardTrainer, or sequences that are good or bad, by its KTOTrainer; pairs that are compared
/// with no reference, by its ORPOTrainer, or by its CPOTrainer with CPO's loss or SimPO's; or, by its GRPOTrainer,
/// completions that were sampled and rewarded.
enum class Objective : uint8_t { kTask, kDpo, kReward, kKto, kOrpo, kCpo, kSimpo, kGrpo };

/// Whether the trainer takes whole logits from the model, and no log-probabilities from TRL's fused head.
constexpr bool takes_logits(Objective objective) {
  return objective == Objective::kOrpo || objective == Objective::kCpo || objective == Objective::kSimpo;
}

/// Whose log-probabilities a policy's are compared with: nobody's, those of a second model, of the model without its
/// adapters, or numbers that come with the batch.
enum class Reference : uint8_t { kNone, kCopy, kAdapter, kPrecomputed };

/// torch.nn.parallel.DistributedDataParallel.
struct DataParallelism {
  int64_t ranks = 1;                     // 1: no wrapper
  int64_t bucket_bytes = 0;              // at which a bucket is full; 0: as PyTorch has it, 1 MiB and then 25 MiB
  bool gradient_as_bucket_view = false;  // gradients look into the buckets that are reduced
  bool no_sync = false;                  // only the last micro-batch reduces, the others run in no_sync()
  bool finds_unused = false;             // find_unused_parameters: outputs are copied, buckets stay as they were built
};

/// A training recipe. Sizes are at least 1.
struct Recipe {
  int64_t batch = 8;
  int64_t choices = 1;  // sequences an example has, one of which is chosen
  Objective objective = Objective::kTask;
  Reference reference = Reference::kNone;
  int64_t seq = 1024;
  bool corrects_sampling = false;  // of GRPO: another engine makes the completions, and the trainer corrects for it
  int64_t completion = 0;          // of them the tokens that have labels, behind a prompt's; 0: all
  int64_t target_seq = 0;          // of an encoder-decoder, else 0
  int64_t images = 0;              // in a sequence, of a model of text and images
  int64_t accumulate = 1;
  int64_t eval_batch = 0;           // sequences that are evaluated after a step; 0: none
  int64_t eval_batches = 1;         // batches of so many
  bool eval_logits = false;         // the trainer keeps their logits, for compute_metrics
  DType weights = DType::kFloat32;  // what they are kept in
  std::optional<DType> autocast;    // what torch.autocast runs over them in, if at all
  Attention attention = Attention::kSdpa;
  Checkpointing checkpointing = Checkpointing::kNone;
  Experts experts = Experts::kGrouped;
  Imbalance imbalance;
  Transformers transformers = Transformers::kV523;
  const Trainer* trainer = find_trainer("loop");
  bool built_on_device =
      false;               // `with torch.device("cuda")`; else it comes whole, from_pretrained's or by .to("cuda")
  bool use_cache = false;  // the model keeps keys and values, and returns them
  LoopNames names = LoopNames::kNothing;
  Kernels kernels;
  Processor processor;  // of the GPU: some kernels have a buffer for each multiprocessor
  const Optimizer* optimizer = nullptr;
  OptimizerImpl impl = OptimizerImpl::kForeach;
  const Optimizer* rest = nullptr;  // of what `optimizer` does not train, if it trains matrices only
  OptimizerImpl rest_impl = OptimizerImpl::kForeach;
  bool all_matrices = false;  // it trains those outside of layers too
  bool clip = false;
  Freeze freeze;
  Lora lora;
  Quantize quantize = Quantize::kNone;
  Upcast upcast = Upcast::kAll;  // beside quantized weights
  bool double_quant = false;
  Sharding sharding;
  DataParallelism ddp;
  Zero zero;
};

/// The dtype matrix products run in.
constexpr DType product_dtype(const Recipe& recipe) { return recipe.autocast.value_or(recipe.weights); }
/// The dtype packed layers compute in, and in which a checkpoint comes that is packed: that of half weights, whatever
/// autocast runs over them.
constexpr DType packed_dtype(const Recipe& recipe) {
  return size_of(recipe.weights) == 2 ? recipe.weights : product_dtype(recipe);
}
/// Whether the forward pass makes 4-bit weights whole: past 1536 rows bitsandbytes 0.50 does on every card
/// (_gemm_4bit_custom_max_m of its CUDA backend), up to there a kernel does without.
constexpr bool dequantizes_forward(const Recipe& recipe) {
  return in_4_bits(recipe.quantize) && recipe.batch > 1536 / (recipe.seq * recipe.choices);
}
/// The same for a layer of one of a mixture's experts, balanced: its rows are the expert's share of the tokens.
constexpr bool dequantizes_experts(const Recipe& recipe, const Description& d) {
  if (!in_4_bits(recipe.quantize) || d.experts == 0) return false;
  return recipe.batch > 1536 * d.experts / (recipe.seq * d.experts_per_token);
}
/// The dtype in which what is not trained is kept: beside quantized weights, as the trainer leaves it.
constexpr DType frozen_dtype(const Recipe& recipe) {
  return recipe.quantize == Quantize::kNone ? recipe.weights
         : recipe.upcast == Upcast::kAll    ? DType::kFloat32
                                            : packed_dtype(recipe);
}
/// The dtype in which what is trained is kept: accelerate makes it fp32 over shards wherever it computes in less.
inline DType trained_dtype(const Recipe& recipe) {
  if (recipe.sharding.by_accelerate && recipe.sharding.casts_parameters) return DType::kFloat32;
  const DType weights = recipe.quantize == Quantize::kNone ? recipe.weights : product_dtype(recipe);
  return recipe.lora.rank > 0 ? recipe.lora.dtype(weights) : weights;
}
/// Whether the trainer has DDP look for unused parameters: transformers.Trainer does (5.23, trainer.py,
/// _build_accelerator_args) but in a model of transformers itself whose layers are checkpointed.
constexpr bool trainer_finds_unused(const Recipe& recipe) {
  return recipe.trainer->is_transformers_loop && (recipe.lora.rank > 0 || recipe.checkpointing == Checkpointing::kNone);
}
/// Whether the model's constructor allocates on the device: quantized ones are loaded.
constexpr bool builds_on_device(const Recipe& recipe) {
  return recipe.built_on_device && recipe.quantize == Quantize::kNone;
}
/// What the trainer makes of a quantized model: which of its other weights become fp32, and the adapters' dtype.
inline void convert_quantized(Recipe& recipe) {
  if (recipe.quantize == Quantize::kNone) return;
  recipe.upcast = recipe.trainer->upcast;
  recipe.lora.in_bfloat16 = recipe.trainer->half_adapters;
}
/// Whether the norm of the gradients is computed: transformers.Trainer does so from 5 on to report it, clipped or not
/// (5.23, trainer.py, _get_grad_norm).
constexpr bool takes_norm(const Recipe& recipe) {
  return recipe.clip || (recipe.trainer->is_transformers_loop && recipe.transformers == Transformers::kV523);
}
/// Whether the trainer reduces after the last micro-batch only.
constexpr bool reduces_once(const Recipe& recipe) {
  return recipe.trainer->is_transformers_loop && recipe.accumulate > 1;
}
/// What accelerate 1.15 makes of a trainer's model over shards (utils/dataclasses.py, set_mixed_precision): in mixed
/// precision parameters that are computed with and gradients that are reduced in its dtype; in FSDP2 no autocast, but
/// outputs that are returned in that dtype too.
inline void convert_sharded(Recipe& recipe) {
  Sharding& sharding = recipe.sharding;
  sharding.by_accelerate = is_wrapped(sharding) && recipe.trainer->is_transformers_loop;
  if (!sharding.by_accelerate || !recipe.autocast) return;
  sharding.casts_parameters = sharding.casts_gradients = true;
  sharding.param_dtype = sharding.reduce_dtype = *recipe.autocast;
  if (!sharding.flat.runs) recipe.autocast.reset();
}
/// The autocast that was asked for, before accelerate made shards of it.
constexpr std::optional<DType> asked_autocast(const Recipe& recipe) {
  const Sharding& sharding = recipe.sharding;
  return sharding.by_accelerate && sharding.casts_parameters ? sharding.param_dtype : recipe.autocast;
}
/// How many ranks train together.
constexpr int64_t ranks_of(const Recipe& recipe) {
  return recipe.ddp.ranks * recipe.sharding.shards * recipe.sharding.replicas * recipe.zero.ranks;
}
/// Whether the micro-batches before the last one reduce nothing.
constexpr bool reduces_last_only(const Recipe& recipe) {
  return recipe.ddp.no_sync || recipe.sharding.flat.no_sync || (recipe.sharding.by_accelerate && reduces_once(recipe));
}
/// Whether what is cut where depends on the model's sizes, which then stay numbers.
constexpr bool is_cut_by_numbers(const Recipe& recipe) {
  const bool has_one_unit = is_wrapped(recipe.sharding) && recipe.reference == Reference::kCopy;  // a second model
  return runs(recipe.zero) || recipe.sharding.flat.runs || has_one_unit;
}
/// The dtype modules see their parameters in.
constexpr DType compute_dtype(const Recipe& recipe) {
  return recipe.sharding.casts_parameters ? recipe.sharding.param_dtype : recipe.weights;
}

/// The dtype queries, keys and values have, or are cast to, where attention runs.
constexpr DType attention_dtype(const Recipe& recipe) {
  return recipe.quantize != Quantize::kNone ? product_dtype(recipe) : recipe.autocast.value_or(compute_dtype(recipe));
}

}  // namespace peakmem
