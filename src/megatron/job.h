// A GPT as Megatron-Core trains it: what its TransformerConfig, its optimizer and its launcher say.
//
// Names are Megatron-Core's (0.16.1, transformer/transformer_config.py, model_parallel_config.py) where they are words.
#pragma once

#include <cstdint>

#include "size/dtype.h"
#include "trace/processor.h"

namespace peakmem::mcore {

enum class Norm : uint8_t { kLayerNorm, kRmsNorm };
enum class Positions : uint8_t { kLearned, kRotary };
enum class Dispatcher : uint8_t { kAllGather, kAllToAll };
/// How a mixture's tokens choose: the largest scores, or those that Sinkhorn's iteration evens out.
enum class Router : uint8_t { kTopK, kSinkhorn };
/// What is run again in the backward pass: nothing, each layer's core attention, or whole layers, all of them
/// (uniform) or the first ones of a stage (block).
enum class Recompute : uint8_t { kNone, kCoreAttention, kUniform, kBlock };

/// A mixture of experts in every layer; `experts` is 0 where layers are dense.
struct Mixture {
  int64_t experts = 0;
  int64_t experts_per_token = 2;
  int64_t ffn = 0;
  int64_t shared_ffn = 0;  // moe_shared_expert_intermediate_size: of an MLP that all tokens go through as well
  Dispatcher dispatcher = Dispatcher::kAllToAll;
  Router router = Router::kTopK;
  bool routes_in_full = false;  // moe_router_dtype is fp32
  bool grouped = false;         // moe_grouped_gemm: TransformerEngine's grouped products, all experts of a rank at once
  bool has_aux_loss = false;
  bool softmax_first = false;    // moe_router_pre_softmax
  int64_t capacity_percent = 0;  // of an even share of the tokens; 0: no token is dropped
  bool pads_to_capacity = false;
  bool recomputes = false;  // "moe" among the modules of selective recomputation
};

/// The model: GPTModel's arguments and its TransformerConfig.
struct Gpt {
  int64_t layers = 1;
  int64_t hidden = 1;
  int64_t heads = 1;
  int64_t groups = 1;    // of queries, each of which has a key and a value
  int64_t head_dim = 1;  // kv_channels
  int64_t ffn = 1;
  int64_t vocab = 1;      // as the embedding has it, padded
  int64_t positions = 1;  // max_sequence_length
  Norm norm = Norm::kLayerNorm;
  Positions position = Positions::kLearned;
  bool is_silu = false;  // else gelu
  bool gated = false;
  bool linear_bias = true;
  bool qkv_bias = false;  // of queries, keys and values where other linear layers have none
  bool norms_heads = false;
  bool tied = true;
  double hidden_dropout = 0;
  double attention_dropout = 0;
  Mixture mixture;
};

/// The attention that TransformerEngine runs: cuDNN's, the flash-attn package's, or products with all scores.
enum class TeAttention : uint8_t { kFused, kFlash, kUnfused };

/// Which of Megatron's implementations run.
struct Kernels {
  bool te = false;           // the TransformerEngine spec, else the local one
  bool te_is_there = false;  // TransformerEngine is installed: a router's product is its own under either spec
  TeAttention te_attention = TeAttention::kFused;
  bool compiled = false;            // jit_fuser is torch.compile
  bool apex = false;                // Apex' layer norm and Megatron's softmax kernels are there
  bool fuses_softmax = false;       // masked_softmax_fusion
  bool fuses_accumulation = false;  // gradient_accumulation_fusion: products add to the buffers of gradients
  bool fuses_loss = false;          // cross_entropy_loss_fusion, the native one, compiled
  bool fuses_activation = false;    // bias_activation_fusion, compiled
  bool full_softmax = false;        // attention_softmax_in_fp32
  bool scales_by_layer = false;     // apply_query_key_layer_scaling
  bool deterministic = false;       // deterministic_mode
  bool local_clip = false;          // without Apex: gradients are clipped one by one
  bool foreach_adam = false;        // torch.optim.AdamW's foreach, else a fused Adam: torch's
  bool te_adam = false;             // or TransformerEngine's or Apex' FusedAdam
};

/// Degrees of parallelism, whose product (without ep and etp) is the number of ranks.
struct Degrees {
  int64_t tp = 1;         // tensor
  int64_t cp = 1;         // context
  int64_t pp = 1;         // pipeline
  int64_t vpp = 1;        // chunks of the model on each stage, interleaved
  int64_t dp = 1;         // data
  int64_t ep = 1;         // expert
  int64_t etp = 0;        // tensor parallelism of experts; 0: that of the rest
  int64_t instances = 1;  // of the distributed optimizer, each divided over a part of the data-parallel ranks
  bool sequence_parallel = false;

  int64_t ranks() const { return tp * cp * pp * dp; }
  /// Ranks with copies of the same weights: of data, and of parts of the same sequences.
  int64_t copies() const { return cp * dp; }
  int64_t expert_tp() const { return etp == 0 ? tp : etp; }
  int64_t expert_dp() const { return ranks() / (pp * ep * expert_tp()); }
  /// Ranks that one instance of the distributed optimizer is divided over.
  int64_t shards() const { return copies() / instances; }
  int64_t expert_shards() const { return expert_dp() / instances; }
};

/// How it is trained.
struct Training {
  int64_t seq = 1;  // of the whole, of which a context-parallel rank has a part
  int64_t micro_batch = 1;
  int64_t micro_batches = 1;
  DType precision = DType::kBFloat16;
  bool full_gradients = true;  // grad_reduce_in_fp32
  bool distributed_optimizer = false;
  bool overlaps_gradients = false;  // overlap_grad_reduce: gradients are reduced bucket by bucket
  bool clips = true;
  bool given_mask = false;      // the loader makes an attention mask
  bool pretrains = false;       // Megatron-LM's pretrain_gpt.py is the loop, else the bare schedule
  bool whole_batch = false;     // its first tensor-parallel rank keeps all of a batch on the first and the last stage
  bool overlaps_sends = false;  // overlap_p2p_comm, of interleaved pipelines
  bool defers_head = false;     // defer_embedding_wgrad_compute, of so many micro-batches; 0: of all
  int64_t deferral_limit = 0;
  bool counts_zeros = false;  // log_num_zeros_in_grad
  Recompute recompute = Recompute::kNone;
  int64_t recompute_layers = 1;    // layers a checkpoint has (uniform), or that are recomputed (block)
  bool distributes_saved = false;  // distribute_saved_activations
  int64_t first_layers = 0;        // of the first stage, and of the last one; 0: as many as others have
  int64_t last_layers = 0;
};

/// One rank of a run.
struct Job {
  Gpt model;
  Kernels kernels;
  Degrees degrees;
  Training training;
  Processor processor;  // of the GPU
  int64_t rank = 0;
};

/// Where a rank stands in each degree; ranks are numbered tensor first, then context, data and pipeline
/// (tp-cp-ep-dp-pp).
struct Place {
  int64_t tensor = 0;
  int64_t context = 0;
  int64_t data = 0;  // among all copies of the weights
  int64_t stage = 0;
  int64_t expert = 0;  // among those that have parts of the experts
  int64_t expert_data = 0;
};
Place place_of(const Degrees& degrees, int64_t rank);

/// A stretch of layers on one stage, and whether the embedding is before it and the head behind.
struct Chunk {
  int64_t first = 0;
  int64_t layers = 0;
  bool embeds = false;
  bool heads = false;
};
/// The chunk of a stage with that number, of `vpp`.
Chunk chunk_of(const Job& job, int64_t stage, int64_t number);

}  // namespace peakmem::mcore
