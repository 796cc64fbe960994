// The description of a Transformer: sizes and choices, as a config states them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/adapter.h"
#include "model/freeze.h"
#include "model/int8.h"
#include "model/kernels.h"
#include "model/quantized.h"
#include "size/expr.h"
#include "trace/attention_kernels.h"
#include "trace/checkpoint.h"
#include "trace/tape.h"

namespace peakmem {

struct Sight;

/// What the model is trained for: which head and which loss.
enum class Task : uint8_t {
  kCausalLm,
  kMaskedLm,
  kSequenceClassification,
  kImageClassification,
  kSeq2SeqLm,
  kTokenClassification,
  kQuestionAnswering,  // the tokens an answer starts and ends at
  kMultipleChoice,     // a score for each of several sequences
  kPreTraining,        // BERT's two losses, ELECTRA's discriminator
  kFeatureExtraction,  // a bare encoder or decoder
  kImageTextToText,    // a causal language model that is shown images
  kContrastive,        // which of a batch's images belongs to which of its texts
};

/// What a classifier's labels are, which decides the loss (`problem_type` of a config).
enum class Problem : uint8_t { kSingleLabel, kMultiLabel, kRegression };

/// Which attention code of transformers runs.
enum class Attention : uint8_t { kEager, kSdpa, kFlash2 };

/// Whose modelling code runs, by age: that of transformers 4.45, of 4.48 (in forward passes alike since 4.46), or
/// of 5.23.
enum class Transformers : uint8_t { kV445, kV448, kV523 };

/// What of a quantized model's weights that are not quantized is made fp32 before it is trained.
enum class Upcast : uint8_t { kAll, kNorms, kNone };

/// How the experts of a mixture run: all in one grouped GEMM, or one after another (transformers' "eager").
enum class Experts : uint8_t { kGrouped, kLoop };

/// How unevenly a router spreads tokens over the experts of the loop: one of them gets over / under times its share.
struct Imbalance {
  int64_t over = 1;
  int64_t under = 1;
  int64_t busiest = 0;  // which of them, in the order they run

  bool balanced() const { return over == under; }
  bool operator==(const Imbalance&) const = default;
};

/// Activation functions by what they do on the tape, not by name.
enum class Activation : uint8_t { kRelu, kGelu, kGeluNew, kSilu, kTanh, kSigmoid, kQuickGelu, kGeluErf, kSquaredRelu };

/// A stretch of layers that are alike: full attention, or a window of it; or of groups that are alike. Where a model
/// has no window, its windowed layers are those of another kind.
struct LayerRun {
  int64_t layers = 0;
  bool windowed = false;
  int64_t period = 1;  // layers a turn; of more than one `other` is the place of the one of the other kind
  int64_t other = 0;

  bool alternates() const { return period > 1; }
  int64_t turns() const { return layers / period; }
  bool is_windowed(int64_t place) const { return windowed != (alternates() && place == other); }
  /// Whether any of its layers is of that kind.
  bool has(bool kind) const { return windowed == kind || alternates(); }
};

/// A stage of a model whose maps of an image get smaller and wider from one to the next.
struct Stage {
  int64_t layers = 0;
  int64_t hidden = 0;
};

/// A model as its config describes it. Sizes are positive; `runs` adds up to `layers`, `decoder_runs` to
/// `decoder_layers`.
struct Description {
  std::string family;
  int64_t layers = 0;
  int64_t hidden = 0;
  int64_t embedding = 0;  // width of the embeddings where that may be another; 0 where it is the hidden size
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t rotary = 0;  // features of a head that are turned; 0 in a family's description is all of them
  int64_t ffn = 0;
  int64_t vocab = 0;
  int64_t positions = 0;           // of a learned table, or the length the rotary embedding was trained for
  int64_t reserved_positions = 0;  // of the table, which no sequence uses
  int64_t token_types = 0;
  int64_t labels = 2;
  int64_t window = 0;   // of windowed layers
  int64_t experts = 0;  // of every MLP; 0 where it is dense
  int64_t experts_per_token = 0;
  int64_t shared_ffn = 0;        // of an expert beside them that sees every token
  int64_t dense_ffn = 0;         // of layers without experts between those with
  int64_t expert_groups = 0;     // of which each token's experts are in a few; 0 where any will do
  int64_t groups_per_token = 0;  // those few
  int64_t value_dim = 0;         // of a head's values; 0 where it is head_dim
  int64_t query_latents = 0;     // a narrow projection that queries come from; 0 where there is none (DeepSeek)
  int64_t value_latents = 0;     // and one that keys and values come from
  int64_t decoder_layers = 0;    // of an encoder-decoder, whose `layers` are the encoder's
  int64_t projection = 0;        // of the space that texts and images share
  int64_t decoder_ffn = 0;       // where it may be another
  int64_t buckets = 0;           // of relative positions
  int64_t target_positions = 0;  // of its table of positions; 0 where it is as long as the encoder's
  int64_t mel_bins = 0;  // features of a frame of sound, 0 for a model that hears none; its frames are the sequence
  int64_t image = 0;     // pixels along a side of a square image, 0 for a model of text; its patches are the sequence
  int64_t patch = 0;
  int64_t channels = 0;
  std::vector<Stage> stages;  // empty where all layers are as wide
  int64_t patch_frames = 0;   // of a film that are in a patch, for a tower that takes images of any size (Qwen2-VL)
  int64_t merge = 0;          // patches along a side of what becomes one token there
  int64_t grid = 0;           // places of a square table, between which those of patches are read (Qwen3-VL)
  std::vector<int64_t> deep_layers;          // of a tower: those whose outputs are handed on too, in order
  std::shared_ptr<const Description> tower;  // what encodes the images among a text's tokens; null: there are none
  const Sight* sight = nullptr;              // how the family puts them there (model/sight.h)
  int64_t image_tokens = 0;                  // of the sequence that stand for one image; 0: it may be of any size
  std::string text_family;                   // of the text model there, whose name is another
  bool takes_last_but_one = false;           // of a tower: what its last layer is given is what is seen
  bool takes_patches = false;                // of a tower: without the token before them
  Activation projector_activation = Activation::kGelu;
  bool projector_bias = false;
  std::vector<LayerRun> runs;
  std::vector<LayerRun> decoder_runs;
  std::string tied_head_bias;  // a parameter that only a masked language model's tied head uses; empty if there is none
  Task task = Task::kCausalLm;
  Problem problem = Problem::kSingleLabel;
  Activation activation = Activation::kSilu;
  Activation head_activation = Activation::kGelu;  // where the head's is a choice of its own
  double embedding_dropout = 0;
  double hidden_dropout = 0;
  double inner_dropout = 0;  // at the end of attention and MLP, before the residual
  double attention_dropout = 0;
  double ffn_dropout = 0;  // within the MLP
  double classifier_dropout = 0;
  double token_dropout = 0;   // before the head of token classification
  double answer_dropout = 0;  // and of question answering
  double summary_dropout = 0;
  bool is_plain_summary = true;  // ELECTRA's choices are scored from a projection of the first token, after a gelu
  bool tied = false;             // input embedding and output head share their weight
  bool gated = false;            // the MLP has a gate beside its activation
  bool scaled_head = false;      // the head's input is scaled by hidden^-0.5
  bool head_bias = false;        // of the language model's head
  bool qkv_bias = false;
  bool output_bias = false;
  bool mlp_bias = false;
  bool upcast_attention = false;
  bool norms_heads = false;         // every head of queries and keys has a norm (Cohere's use_qk_norm)
  bool parallel_residual = false;   // attention and MLP read the same hidden states
  bool norms_after = false;         // attention and MLP have their norms behind the residual sums (OPT-350m)
  bool mlp_norm = false;            // the MLP beside attention has a norm of its own (Falcon's new architecture)
  bool turns_neighbours = false;    // positions are turned in pairs of neighbours, not of halves (rope_interleave)
  bool interleaves_groups = false;  // in one projection, a group's queries stand beside its key and value
  bool multi_query = false;         // all queries stand before one key and one value in it, even of a single head
  bool returns_weights = false;     // layers hand on what eager attention weighed, until the next one is through
  bool normalizes_routing = true;   // the weights of a token's experts add up to 1
  bool casts_routing = false;       // and are cast to the dtype of the router's logits
  bool long_rotary = false;         // frequencies of sequences past the trained length are kept beside (longrope)
  bool pools_by_attention = false;  // patches are pooled by a head of attention over them (SigLIP)
  bool seeks_end_token = false;     // a text's features are those of its first end token, not of its highest one (CLIP)
  bool dynamic_rotary = false;      // frequencies are made anew where a sequence is longer than `positions`
  bool tunes_temperature = false;   // queries of layers that turn nothing are scaled by position (Llama 4)
  bool has_padding_token = false;   // the family's default where the config says nothing
  bool learned_positions = false;   // a sequence cannot be longer than `positions`
  bool maps_masks = false;          // the full mask is made even where every layer is windowed (Qwen)
  bool maps_windowed_masks = false;  // and the windowed one even where every layer is full (Gemma 2)
  bool caps_attention = false;       // tanh over the attention scores, which only eager attention has
  bool caps_logits = false;
  bool clips_projections = false;  // queries, keys and values are clamped in place (OLMo's clip_qkv)
  bool norms_embeddings = false;
  bool masks_embeddings = false;         // those of masked tokens are zeros (ESM's token_dropout)
  bool has_mask_token = false;           // a parameter for patches that are masked, which no training uses
  bool takes_images_as_weights = false;  // in the weights' dtype: the model casts none
  bool adds_positions = false;           // to patches (BEiT)
  bool biases_layers = false;            // attention is biased by how patches lie, in each layer by its own
  bool biases_all = false;               // or in all by one
  bool scales_layers = false;            // what attention and MLP give is scaled by a parameter
  bool drops_paths = false;              // and dropped, image by image
  bool norm_bias = true;
  bool classifier_bias = false;           // of the layer before it
  bool pools_mean = false;                // a classifier reads the mean over all tokens, not the first one's
  bool scores_positions = false;          // relative ones, against content (DeBERTa's c2p)
  bool scores_against_positions = false;  // and the other way round (p2c)
  bool shares_position_keys = false;      // whose projections are those of the content
  bool norms_positions = false;
  bool uses_cache = true;            // the config's use_cache
  bool eager_only = false;           // transformers has no sdpa attention for it
  bool checkpoints = true;           // transformers can checkpoint its layers
  bool head_dim_is_quotient = true;  // head_dim = hidden / heads, not a choice of its own
  bool ffn_is_four_hidden = false;

  /// Whether a window hides anything from a sequence so long.
  bool window_cuts(int64_t seq) const { return window > 0 && seq >= window; }
  /// For which there are positions.
  int64_t longest_sequence() const { return positions - reserved_positions; }
  /// Of a decoder's tokens.
  int64_t longest_target() const { return target_positions > 0 ? target_positions : longest_sequence(); }
  /// Whether the config says how long a sequence is: the patches of an image, the frames of a sound.
  bool has_fixed_length() const { return image > 0 || mel_bins > 0; }
};

/// The sizes a trace uses, as numbers or as symbols; structure (which ops run) is in Structure.
struct Dims {
  Expr batch, seq, hidden, embedding, heads, kv_heads, head_dim, rotary, ffn, vocab, positions, token_types, labels;
  int64_t images = 0;  // in a sequence
  Expr examples;       // labelled: the batch, or where each has several sequences to choose from a part of it
  Expr experts, experts_per_token, shared_ffn, dense_ffn, expert_groups, groups_per_token;
  Expr value_dim, query_latents, value_latents;
  Expr padded_head_dim;  // head_dim and seq rounded up to multiples of 8 as attention kernels need them
  Expr padded_seq;
  Expr bias_row;  // seq rounded up to a multiple of 16, as the gradient of an attention's bias is
  Expr target_seq, padded_target, target_bias_row;  // of an encoder-decoder's decoder
  Expr sdpa_columns;                                // head_dim rounded up as PyTorch's own flash kernel does
  Expr flash_columns, flash_rows;                   // head_dim and seq rounded up as flash-attn's backward does
  Expr loss_rows;                                   // of a chunk of Liger's loss
  Expr completion;                                  // tokens of a sequence behind its prompt
  Expr scored;                                      // tokens of a sequence whose next one has a label
  Expr lora_rank = 0;
  std::vector<Expr> runs;  // turns of each of the description's runs
  std::vector<Expr> decoder_runs;
  std::vector<int64_t> symbol_values;  // the job's own; empty where sizes are numbers
  std::vector<Expr> letters;           // of a recording, which has no other sizes
};

/// What a batch carries beside its tokens: labels, or which tokens count in pairs of a chosen and a rejected sequence,
/// with what a reference gave for them where it ran before the training; or nothing, for pairs that are ranked whole;
/// or sequences that are rated one by one, beside others whose prompts and completions do not belong together; or
/// prompts, chosen and rejected sequences by themselves, which the step joins; or prompts and completions with their
/// advantages, which are scored before.
enum class BatchKind : uint8_t {
  kLabelled,
  kPairs,
  kScoredPairs,
  kRankedPairs,
  kRated,
  kScoredRated,
  kSides,
  kCompletions
};

/// What TRL's chunked loss gives for every token: log-probabilities alone, with entropy and whether the label is the
/// likeliest, or with the mean of the logits too.
enum class TokenOutputs : uint8_t { kLogProbs, kMetrics, kMetricsAndLogits };

/// What decides which ops run.
struct Structure {
  Attention attention = Attention::kSdpa;
  Checkpointing checkpointing = Checkpointing::kNone;
  Experts experts = Experts::kGrouped;
  Transformers transformers = Transformers::kV523;
  bool padding_mask = false;  // batches carry an attention mask, of ones
  int64_t expert_turns = 0;   // of the loop over the experts
  int64_t images = 0;         // in a batch, where they are seen one by one
  Kernels kernels;
  int64_t multiprocessors = 1;  // of the GPU
  LossPieces loss;
  Imbalance imbalance;
  DType weights = DType::kFloat32;
  bool casts_weights = false;       // whatever they are kept in, modules see them in that dtype
  DType norms = DType::kFloat32;    // dtype of the norms' weights
  DType buffers = DType::kFloat32;  // of those made in the model's dtype, which nothing casts
  Quantize quantize = Quantize::kNone;
  bool double_quant = false;
  bool dequantizes_forward = false;  // too many rows for the kernel that multiplies 4-bit weights
  bool dequantizes_experts = false;  // the same of an expert's rows
  DType compute = DType::kFloat32;   // of matrix products
  DType packed = DType::kFloat32;    // of those with packed weights
  BatchKind batch = BatchKind::kLabelled;
  TokenOutputs outputs = TokenOutputs::kMetrics;
  const Lora* lora = nullptr;      // null: no adapters, and weights are trained
  const Freeze* freeze = nullptr;  // null: all of them are
  bool grouped = false;            // fewer kv heads than heads
  bool wide_heads = false;         // too wide for a kernel that takes grouped ones
  bool window_cuts = false;        // the sequence is longer than the window
  AttentionKernels attention_kernels;
  bool single_token = false;   // sequences of length 1
  bool single_target = false;  // targets of length 1
  bool casts_inputs = false;   // of every layer, to the dtype of the weights
  bool outer_units = false;    // what is outside of layers is in several units too
  bool unrolled = false;       // trace every layer for itself

  bool operator==(const Structure&) const = default;
};

}  // namespace peakmem
