// A model as torchtitan trains it: what its model arguments, its job's settings and its launcher say.
//
// Names are torchtitan's (0.2.2, config/job_config.py, models/*/model/args.py) where they are words.
#pragma once

#include <cstdint>
#include <optional>

#include "size/dtype.h"
#include "size/result.h"

namespace peakmem::titan {

/// Which of torchtitan's models: they turn positions otherwise.
enum class Family : uint8_t { kLlama3, kQwen3 };
/// What is run again in the backward pass: nothing, whole layers, every n-th layer, or what in a layer is no op of
/// those that are always kept.
enum class Recompute : uint8_t { kNone, kFull, kLayers, kOps };

/// Which of PyTorch's pipeline schedules: one backward pass after each forward pass, all after all, or the first with
/// two stages on a rank.
enum class Schedule : uint8_t { k1F1B, kGPipe, kInterleaved1F1B };

/// The model: its TransformerModelArgs.
struct Model {
  Family family = Family::kLlama3;
  int64_t layers = 1;
  int64_t dim = 1;
  int64_t heads = 1;
  int64_t kv_heads = 1;
  int64_t head_dim = 1;
  int64_t ffn = 1;
  int64_t vocab = 1;
};

/// Degrees of parallelism, whose product is the number of ranks.
struct Degrees {
  int64_t dp_replicate = 1;
  int64_t dp_shard = 1;
  int64_t tp = 1;
  int64_t pp = 1;
  int64_t cp = 1;

  int64_t ranks() const { return pp * dp_replicate * dp_shard * cp * tp; }
  /// Ranks among which FSDP cuts a parameter: those of a sequence's parts among them.
  int64_t shards() const { return dp_shard * cp; }
  bool has_fsdp() const { return shards() > 1; }
};

/// How it is trained.
struct Training {
  int64_t batch = 8;                       // local_batch_size
  int64_t seq = 2048;                      // seq_len
  DType dtype = DType::kFloat32;           // what parameters are kept in
  DType param_dtype = DType::kBFloat16;    // mixed_precision_param
  DType reduce_dtype = DType::kFloat32;    // mixed_precision_reduce
  Recompute recompute = Recompute::kNone;  // activation_checkpoint.mode
  int64_t every = 1;                       // of Recompute::kLayers, which layers
  bool loss_parallel = true;               // not disable_loss_parallel
  bool keeps_logits = false;               // the loop names the logits through the backward pass
  bool cudnn = true;                       // attention runs in cuDNN's kernel, as from Hopper on, else in flash's
  Schedule schedule = Schedule::k1F1B;     // pipeline_parallel_schedule
  int64_t microbatches = 1;                // that a pipeline cuts the batch into
  std::optional<bool> reshard;             // fsdp_reshard_after_forward: always or never; none: default
};

/// One rank of a run.
struct Job {
  Model model;
  Degrees degrees;
  Training training;
  int64_t rank = 0;

  /// Whether nothing is divided, and autocast does what FSDP does else (maybe_enable_amp).
  bool is_alone() const { return degrees.ranks() == 1; }
  /// How many stages a rank has, and all of them.
  int64_t stages_each() const { return training.schedule == Schedule::kInterleaved1F1B && degrees.pp > 1 ? 2 : 1; }
  int64_t stages() const { return stages_each() * degrees.pp; }
  /// The pipeline's stage that the rank has, its first: ranks are numbered along all other degrees first.
  int64_t stage() const { return rank / (degrees.ranks() / degrees.pp); }
  /// Which part of a sequence the rank has: ranks are numbered along tensor parallelism first.
  int64_t context() const { return rank / degrees.tp % degrees.cp; }
  /// Tokens of a sequence that the rank has.
  int64_t tokens() const { return training.seq / degrees.cp; }
  /// Sequences that the model is given at once.
  int64_t rows() const { return training.batch / training.microbatches; }
  /// What modules see their parameters in.
  DType compute_dtype() const { return degrees.has_fsdp() ? training.param_dtype : training.dtype; }
};

/// The layers of a stage, and whether the embedding is before them and the norm and the head behind.
struct Chunk {
  int64_t first = 0;
  int64_t layers = 0;
  bool embeds = false;
  bool heads = false;
};
/// generate_llm_fqn_per_model_part: what is outside of layers counts as a layer at either end.
Chunk chunk_of(const Job& job, int64_t stage);

}  // namespace peakmem::titan
