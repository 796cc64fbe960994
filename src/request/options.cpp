#include "request/options.h"

#include <algorithm>
#include <array>

#include "device/gpu.h"
#include "family/family.h"
#include "recipe/optimizers.h"
#include "request/choices.h"
#include "request/unknowns.h"
#include "size/wording.h"

namespace peakmem {
namespace {

using Names = std::vector<std::string_view>;

template <class Rows>
Names names_of(const Rows& rows) {
  Names names;
  for (const auto& row : rows) names.push_back(row.name);
  return names;
}

Names precisions() { return names_of(kPrecisions); }
Names autocasts() { return names_of(kAutocasts); }
Names attentions() { return names_of(kAttentions); }
Names kernels() { return names_of(kKernels); }
Names norm_kernels() { return names_of(kNormKernels); }
Names loss_kernels() { return names_of(kLossKernels); }
Names kernel_presets() { return names_of(kKernelPresets); }
Names checkpointings() { return names_of(kCheckpointings); }
Names experts() { return names_of(kExperts); }
Names objectives() { return names_of(kObjectives); }
Names references() { return {"copy", "adapter", "precomputed"}; }
Names samplers() { return names_of(kSamplers); }
Names transformers_versions() { return names_of(kTransformers); }
Names trainer_names() { return names_of(trainers()); }
Names upcasts() { return names_of(kUpcasts); }
Names yes_or_no() { return names_of(kYesNo); }
Names loop_names() { return names_of(kLoopNames); }
Names inits() { return names_of(kInits); }
Names impls() { return names_of(kOptimizerImpls); }
Names lora_dtypes() { return {"fp32", "model"}; }
Names quantizes() { return names_of(kQuantizes); }
Names host_memories() { return {"pinned", "pageable"}; }
Names stacks() { return {"transformers", "megatron", "torchtitan"}; }
Names pipeline_schedules() { return {"1F1B", "GPipe", "Interleaved1F1B"}; }
Names transformer_impls() { return {"local", "transformer_engine"}; }
Names attention_backends() { return {"auto", "fused", "flash", "unfused"}; }
Names dispatchers() { return {"alltoall", "allgather"}; }
Names balancings() { return {"aux_loss", "sinkhorn", "none"}; }
Names router_dtypes() { return {"model", "fp32"}; }
Names recomputations() { return {"none", "selective", "full"}; }
Names fsdp_versions() { return {"1", "2"}; }
Names prefetches() { return names_of(kPrefetches); }
Names zero_stages() { return {"1", "2", "3"}; }
Names dtypes() { return names_of(kTrainingDTypes); }
Names parts() { return {"text"}; }
Names tasks() { return names_of(task_rows()); }
Names optimizer_names() { return names_of(optimizers()); }
Names rest_optimizers() {
  Names names;
  for (const Optimizer& optimizer : optimizers())
    if (optimizer.takes_others) names.push_back(optimizer.name);
  return names;
}
Names matrices() { return {"hidden", "all"}; }
Names gpu_names() { return names_of(gpus()); }
Names reservings() { return {"replay", "bounds"}; }
Names unknowns() {
  Names names = unknown_names();
  names.emplace_back("gpu");
  return names;
}
/// What a sweep varies: sizes, choices and flags of the run and of the model.
Names varied() {
  Names names;
  for (const OptionRow& row : option_rows())
    if (takes(Command::kSweep, row) && row.kind != OptionKind::kText && row.kind != OptionKind::kFile &&
        row.name != "over" && row.name != "json")
      names.push_back(row.name);
  return names;
}
Names steps() { return {"1", "2"}; }
Names phases() { return {"input", "forward", "backward", "clip", "optimizer", "evaluate"}; }
Names family_names() {
  Names names;
  for (const Family* family : families()) names.push_back(family->name);
  return names;
}

constexpr uint16_t bits(Command command) { return static_cast<uint16_t>(command); }
constexpr uint16_t kEstimate = bits(Command::kEstimate);
constexpr uint16_t kFormula = bits(Command::kFormula);
constexpr uint16_t kSolve = bits(Command::kSolve);
constexpr uint16_t kTimeline = bits(Command::kTimeline);
constexpr uint16_t kCompare = bits(Command::kCompare);
constexpr uint16_t kSweep = bits(Command::kSweep);
constexpr uint16_t kDiff = bits(Command::kDiff);
constexpr uint16_t kExplain = bits(Command::kExplain);
constexpr uint16_t kTrace = bits(Command::kTrace);
constexpr uint16_t kEmit = bits(Command::kEmit);
constexpr uint16_t kAdvise = bits(Command::kAdvise);
constexpr uint16_t kPlan = bits(Command::kPlan);
constexpr uint16_t kTime = bits(Command::kTime);
constexpr uint16_t kReport = bits(Command::kEstimate) | kTimeline | kCompare | kSolve | kSweep | kExplain | kAdvise |
                             kEmit | kPlan;  // replays the allocator
constexpr uint16_t kVerdict =
    bits(Command::kEstimate) | kCompare | kSolve | kSweep | kAdvise | kEmit | kPlan;  // says whether it fits
constexpr uint16_t kRun = kReport | kFormula | kDiff | kTrace | kTime | bits(Command::kConfig);
constexpr uint16_t kAll = (kRun & ~kTrace) | bits(Command::kTable) | bits(Command::kAccuracy);
constexpr OptionKind kSize = OptionKind::kSize;
constexpr OptionKind kChoice = OptionKind::kChoice;
constexpr OptionKind kFlag = OptionKind::kFlag;
constexpr OptionKind kText = OptionKind::kText;
constexpr OptionKind kFile = OptionKind::kFile;

constexpr std::string_view kSizes = "Model without a config, or changed";

constexpr std::array kOptions = std::to_array<OptionRow>({
    {"batch", kSize, "N", nullptr, "8", "Run", "sequences in a micro-batch", kRun, "B"},
    {"seq", kSize, "N", nullptr, "", "Run", "tokens in a sequence (1024, or all positions if those are fewer)", kRun,
     "T"},
    {"lengths", kText, "p50=A,p99=B|FILE", nullptr, "", "Run",
     "tokens of rows that differ, each batch padded to its longest: two percentiles, or a file of lengths (--seq cuts "
     "them)",
     bits(Command::kEstimate)},
    {"completion", kSize, "N", nullptr, "", "Run",
     "of the tokens of a sequence those that have labels, behind a prompt's (all), where TRL's loss leaves out the "
     "rest",
     kRun},
    {"target-seq", kSize, "N", nullptr, "", "Run",
     "tokens in a target of an encoder-decoder (as many as in a sequence)", kRun, "U"},
    {"choices", kSize, "N", nullptr, "4", "Run", "sequences to choose from in each example of multiple choice", kRun},
    {"images", kSize, "N", nullptr, "1", "Run", "images in a sequence, of a model of text and images", kRun},
    {"image-tokens", kSize, "N", nullptr, "", "Run",
     "tokens of the sequence for each image, of a model that takes images of any size (256)", kRun},
    {"precision", kChoice, "P", precisions, "fp32", "Run",
     "what weights are kept in; -mixed is short for fp32 with --autocast", kRun},
    {"autocast", kChoice, "D", autocasts, "none", "Run", "the dtype torch.autocast runs over them in", kRun},
    {"optimizer", kChoice, "NAME", optimizer_names, "adamw", "Run", "the optimizer (peakmem optimizers)", kRun},
    {"optimizer-impl", kChoice, "I", impls, "", "Run", "torch.optim's implementation (what PyTorch picks on CUDA)",
     kRun},
    {"rest-optimizer", kChoice, "NAME", rest_optimizers, "", "Run", "the optimizer of what muon does not train", kRun},
    {"muon-matrices", kChoice, "M", matrices, "hidden", "Run",
     "which matrices muon trains: those of the layers, or embeddings and heads too", kRun},
    {"attention", kChoice, "A", attentions, "sdpa", "Run",
     "sdpa takes flash, efficient or math as PyTorch does; flash2 is the flash-attn package", kRun},
    {"experts", kChoice, "E", experts, "grouped", "Run",
     "a mixture's experts: one grouped GEMM (as transformers picks), or a loop", kRun},
    {"moe-imbalance", kText, "X", nullptr, "1", "Run",
     "the busiest expert of the loop gets X times its share of the tokens", kRun},
    {"checkpointing", kChoice, "C", checkpointings, "none", "Run", "recompute every layer in the backward pass", kRun},
    {"accumulate", kSize, "N", nullptr, "1", "Run", "micro-batches in a step", kRun},
    {"clip-grad", kFlag, "", nullptr, "", "Run", "clip the gradients' norm before the update", kRun},
    {"task", kChoice, "T", tasks, "", "Run", "what is trained (from `architectures`, else the family's usual task)",
     kRun},
    {"part", kChoice, "P", parts, "", "Run", "text: the text model of one of several kinds of input (its text_config)",
     kRun},
    {"transformers", kChoice, "V", transformers_versions, "5.23", "Run",
     "the version of transformers whose modelling code runs", kRun},
    {"freeze", kText, "a*,b", nullptr, "", "Run",
     "parameters not to train, by their Hugging Face names: globs, and 0-11 for the numbers 0 to 11", kRun},
    {"trainer", kChoice, "T", trainer_names, "loop", "Run",
     "whose training loop: a plain one, Trainer of transformers, SFTTrainer of TRL", kRun},
    {"objective", kChoice, "O", objectives, "task", "Run",
     "what is trained for: the task's own loss, or preferences, as TRL's DPOTrainer, RewardTrainer, KTOTrainer, "
     "ORPOTrainer, CPOTrainer (cpo, simpo) and GRPOTrainer do (with --trainer trl)",
     kRun},
    {"reference", kChoice, "R", references, "", "Run",
     "what dpo and kto compare with: copy (a second model), adapter (this one, its adapters off), precomputed; of grpo "
     "what "
     "a beta that is not 0 does",
     kRun},
    {"sampler", kChoice, "S", samplers, "model", "Run",
     "what makes the completions of grpo, which is not traced: the model's own generate, or vllm, for whose "
     "probabilities "
     "the trainer corrects (--headroom 30% keeps its share of the card)",
     kRun},
    {"init", kChoice, "W", inits, "", "Run",
     "device: the model is built on it, and tied or cut to shards there; loaded: it comes as it is trained, from "
     "from_pretrained or by .to(), and shards from meta tensors (FSDP's default)",
     kRun},
    {"keep-outputs", kChoice, "W", loop_names, "", "Run",
     "what the loop names until the next forward pass has returned: outputs, batch and loss (as a plain loop does); "
     "batch "
     "and loss, as of loss = model(**batch).loss; or nothing, where the step is a function",
     kRun},
    {"use-cache", kChoice, "W", yes_or_no, "", "Run",
     "the model keeps keys and values, and returns them (as the config, the trainer and its version leave it)", kRun},
    {"kernels", kChoice, "K", kernel_presets, "hf", "Kernels",
     "liger: all that Liger-Kernel fuses, as use_liger_kernel", kRun},
    {"norm", kChoice, "K", norm_kernels, "hf", "Kernels",
     "fused: Liger's RMSNorm; foak: that of fms-acceleration's plug-in", kRun},
    {"mlp", kChoice, "K", kernels, "hf", "Kernels", "fused: Liger's SwiGLU or GEGLU", kRun},
    {"rope", kChoice, "K", kernels, "hf", "Kernels", "fused: Liger's rotary embedding", kRun},
    {"loss", kChoice, "L", loss_kernels, "hf", "Kernels",
     "fused-linear: Liger's, with the head; chunked: TRL's in tiles (SFTTrainer of 1.16); foak: that plug-in's; "
     "plain: cross_entropy in the loop, on logits as they are; cut: Cut Cross-Entropy's, with the head",
     kRun},
    {"lora-rank", kSize, "N", nullptr, "", "LoRA", "train adapters of this rank beside frozen weights", kRun, "R"},
    {"lora-targets", kText, "a,b", nullptr, "", "LoRA", "the modules to adapt, or all-linear", kRun},
    {"lora-modules-to-save", kText, "a,b", nullptr, "", "LoRA",
     "modules outside of the layers of which a copy is trained whole (PEFT's modules_to_save)", kRun},
    {"lora-dropout", kText, "P", nullptr, "0", "LoRA", "dropout before the adapters", kRun},
    {"lora-dtype", kChoice, "T", lora_dtypes, "fp32", "LoRA", "dtype of the adapters: fp32, or the model's", kRun},
    {"quantize", kChoice, "Q", quantizes, "none", "LoRA",
     "store the frozen linear layers in 4 bits (QLoRA) or in 8 (LLM.int8)", kRun},
    {"upcast", kChoice, "W", upcasts, "", "LoRA", "what is made fp32 beside quantized weights (as the trainer does it)",
     kRun},
    {"double-quant", kFlag, "", nullptr, "", "LoRA", "quantize the blocks' constants too", kRun},
    {"ddp", kSize, "N", nullptr, "", "Ranks", "DistributedDataParallel: the whole model on each of N ranks", kRun},
    {"bucket-mb", kSize, "N", nullptr, "", "Ranks", "MiB at which one of DDP's buckets is full (1, then 25)", kRun},
    {"bucket-view", kFlag, "", nullptr, "", "Ranks", "gradients look into DDP's buckets (gradient_as_bucket_view)",
     kRun},
    {"no-sync", kFlag, "", nullptr, "", "Ranks",
     "accumulate in no_sync() of DDP or FSDP1: only the last micro-batch reduces", kRun},
    {"find-unused", kChoice, "W", yes_or_no, "", "Ranks",
     "DDP looks for unused parameters, for which it copies the outputs (as the trainer has it)", kRun},
    {"fsdp", kSize, "N", nullptr, "", "Ranks", "FSDP2: shard every layer and the rest over N ranks", kRun},
    {"hsdp", kText, "RxS", nullptr, "", "Ranks", "the same in R copies of S ranks each", kRun},
    {"fsdp-param-dtype", kChoice, "D", dtypes, "", "Ranks", "dtype to compute in (that of the shards)", kRun},
    {"fsdp-reduce-dtype", kChoice, "D", dtypes, "", "Ranks", "dtype to reduce gradients in (that of the gradients)",
     kRun},
    {"no-reshard-after-forward", kFlag, "", nullptr, "", "Ranks", "keep whole parameters up to the backward pass",
     kRun},
    {"fsdp-version", kChoice, "V", fsdp_versions, "2", "Ranks",
     "1: FullyShardedDataParallel, with flat parameters; 2: fully_shard", kRun},
    {"fsdp-prefetch", kChoice, "W", prefetches, "", "Ranks",
     "what FSDP1 gathers ahead in the backward pass (backward_prefetch; none under a trainer, pre in a loop)", kRun},
    {"use-orig-params", kChoice, "W", yes_or_no, "", "Ranks",
     "FSDP1's optimizer sees parts of parameters, not flat ones (yes under a trainer, no in a loop)", kRun},
    {"zero", kChoice, "S", zero_stages, "", "Ranks", "DeepSpeed's ZeRO of this stage, over --ranks", kRun},
    {"ranks", kSize, "N", nullptr, "", "Ranks", "the ranks of ZeRO", kRun},
    {"rank", kText, "R", nullptr, "first", "Ranks",
     "the rank whose bytes are counted: first, last, most (which keeps most gradients) or its number", kRun},
    {"reduce-bucket", kText, "N", nullptr, "500000000", "Ranks",
     "elements of ZeRO's bucket (reduce_bucket_size); auto: hidden², as transformers fills it in", kRun},
    {"overlap-comm", kChoice, "W", yes_or_no, "", "Ranks", "ZeRO reduces on a stream of its own (overlap_comm)", kRun},
    {"zero-gradients", kChoice, "D", dtypes, "", "Ranks",
     "the dtype in which ZeRO gathers gradients (grad_accum_dtype; that of the weights)", kRun},
    {"offload-optimizer", kChoice, "W", host_memories, "", "Ranks",
     "ZeRO's fp32 weights, gradients and states are on the host, what is sent pinned or pageable", kRun},
    {"offload-parameters", kChoice, "W", host_memories, "", "Ranks",
     "ZeRO 3's parts of the weights are on the host, pinned or pageable (offload_param)", kRun},
    {"prefetch-bucket", kText, "N", nullptr, "50000000", "Ranks",
     "elements that ZeRO 3 gathers ahead (stage3_prefetch_bucket_size); auto: 0.9 hidden²", kRun},
    {"persistence-threshold", kText, "N", nullptr, "100000", "Ranks",
     "up to so many elements a parameter stays whole (stage3_param_persistence_threshold); auto: 10 hidden", kRun},
    {"max-live-parameters", kText, "N", nullptr, "1000000000", "Ranks",
     "elements that ZeRO 3 gathers ahead at most (stage3_max_live_parameters)", kRun},
    {"max-reuse-distance", kText, "N", nullptr, "1000000000", "Ranks",
     "what is used again within so many elements stays whole (stage3_max_reuse_distance)", kRun},
    {"sub-group", kText, "N", nullptr, "1000000000", "Ranks",
     "elements of a part that ZeRO 3 updates at a time (sub_group_size)", kRun},
    {"round-robin", kFlag, "", nullptr, "", "Ranks", "ZeRO deals parameters out to its ranks (round_robin_gradients)",
     kRun},
    {"zero-optimizer", kFlag, "", nullptr, "", "Ranks",
     "the optimizer is the one of DeepSpeed's JSON, to which norms and biases are no group of their own", kRun},
    {"stack", kChoice, "S", stacks, "transformers", "Stacks",
     "whose model code trains: transformers', or Megatron-Core's or torchtitan's, rank by rank", kEstimate},
    {"tp", kSize, "N", nullptr, "1", "Stacks", "tensor-parallel ranks", kEstimate},
    {"pp", kSize, "N", nullptr, "1", "Stacks", "pipeline stages; Megatron's micro-batches are --accumulate", kEstimate},
    {"cp", kSize, "N", nullptr, "1", "Stacks",
     "context-parallel ranks, each with a part of every sequence; keys and values go round", kEstimate},
    {"dp", kSize, "N", nullptr, "1", "Stacks", "data-parallel ranks", kEstimate},
    {"vpp", kSize, "N", nullptr, "1", "Stacks", "Megatron: chunks of the model on each stage, interleaved", kEstimate},
    {"transformer-impl", kChoice, "I", transformer_impls, "local", "Stacks",
     "Megatron: the modules layers are made of, its own or TransformerEngine's", kEstimate},
    {"attention-backend", kChoice, "B", attention_backends, "auto", "Stacks",
     "Megatron: TransformerEngine's attention, cuDNN's (fused), flash-attn's or products", kEstimate},
    {"gradient-accumulation-fusion", kFlag, "", nullptr, "", "Stacks",
     "Megatron: products add to the buffers of gradients themselves, as its own default is", kEstimate},
    {"defer-embedding-wgrad-compute", kFlag, "", nullptr, "", "Stacks",
     "Megatron: products for the head's weight wait for the end of the pipeline", kEstimate},
    {"wgrad-deferral-limit", kSize, "N", nullptr, "", "Stacks", "Megatron: of how many micro-batches (of all)",
     kEstimate},
    {"cross-entropy-loss-fusion", kFlag, "", nullptr, "", "Stacks",
     "Megatron: the loss in four compiled functions (its native one, in bf16)", kEstimate},
    {"no-create-attention-mask-in-dataloader", kFlag, "", nullptr, "", "Stacks",
     "Megatron: the loader makes no mask of attention", kEstimate},
    {"overlap-grad-reduce", kFlag, "", nullptr, "", "Stacks", "Megatron: gradients are reduced bucket by bucket",
     kEstimate},
    {"untie-embeddings", kFlag, "", nullptr, "", "Stacks",
     "Megatron: the head has a weight of its own (untie_embeddings_and_output_weights)", kEstimate},
    {"disable-bias-linear", kFlag, "", nullptr, "", "Stacks", "Megatron: linear layers have no biases", kEstimate},
    {"hidden-dropout", kText, "P", nullptr, "", "Stacks", "Megatron: in place of the config's", kEstimate},
    {"attention-dropout", kText, "P", nullptr, "", "Stacks", "Megatron: in place of the config's", kEstimate},
    {"swiglu", kFlag, "", nullptr, "", "Stacks", "Megatron: the MLP has a gate, and silu", kEstimate},
    {"qk-layernorm", kFlag, "", nullptr, "", "Stacks", "Megatron: queries and keys are normalised", kEstimate},
    {"deterministic-mode", kFlag, "", nullptr, "", "Stacks",
     "Megatron: deterministic_mode, which wants CUBLAS_WORKSPACE_CONFIG=:4096:8", kEstimate},
    {"log-num-zeros-in-grad", kFlag, "", nullptr, "", "Stacks", "Megatron: gradients' zeros are counted every step",
     kEstimate},
    {"ep", kSize, "N", nullptr, "1", "Stacks", "ranks that have parts of a mixture's experts", kEstimate},
    {"etp", kSize, "N", nullptr, "", "Stacks", "tensor-parallel ranks of each expert (as many as --tp)", kEstimate},
    {"moe-dispatcher", kChoice, "D", dispatchers, "alltoall", "Stacks", "how tokens come to their experts", kEstimate},
    {"moe-router-topk", kSize, "N", nullptr, "2", "Stacks", "Megatron: experts of a token, in place of its config's",
     kEstimate},
    {"moe-router-load-balancing-type", kChoice, "L", balancings, "aux_loss", "Stacks",
     "Megatron: what evens out the experts' tokens, a loss or Sinkhorn's iteration", kEstimate},
    {"moe-router-dtype", kChoice, "D", router_dtypes, "model", "Stacks", "Megatron: what the router computes in",
     kEstimate},
    {"moe-ffn-hidden-size", kSize, "N", nullptr, "", "Stacks", "Megatron: width of an expert (that of the MLP)",
     kEstimate},
    {"moe-shared-expert-intermediate-size", kSize, "N", nullptr, "", "Stacks",
     "Megatron: width of an MLP that all tokens go through as well", kEstimate},
    {"moe-grouped-gemm", kFlag, "", nullptr, "", "Stacks",
     "Megatron: all experts of a rank at once, in TransformerEngine's grouped products", kEstimate},
    {"sequence-parallel", kFlag, "", nullptr, "", "Stacks",
     "tensor-parallel ranks divide the sequence between their layers", kEstimate},
    {"distributed-optimizer", kFlag, "", nullptr, "", "Stacks", "data-parallel ranks divide the optimizer's state",
     kEstimate},
    {"distributed-optimizer-instances", kSize, "N", nullptr, "1", "Stacks",
     "Megatron: copies of the optimizer's state, each divided over a part of the data-parallel ranks", kEstimate},
    {"recompute", kChoice, "R", recomputations, "none", "Stacks",
     "selective: core attention runs again in the backward pass (torchtitan: all but what some ops made); full: layers",
     kEstimate},
    {"recompute-every", kSize, "N", nullptr, "", "Stacks", "torchtitan: selective takes every N-th layer, whole",
     kEstimate},
    {"pp-schedule", kChoice, "S", pipeline_schedules, "1F1B", "Stacks", "torchtitan's pipeline schedule", kEstimate},
    {"pp-microbatch", kSize, "N", nullptr, "1", "Stacks", "torchtitan: sequences of --batch in a micro-batch",
     kEstimate},
    {"disable-loss-parallel", kFlag, "", nullptr, "", "Stacks",
     "torchtitan: logits are gathered from tensor-parallel ranks for the loss", kEstimate},
    {"first-stage-layers", kSize, "N", nullptr, "", "Stacks", "layers of the first stage (as many as others)",
     kEstimate},
    {"last-stage-layers", kSize, "N", nullptr, "", "Stacks", "layers of the last stage (as many as others)", kEstimate},
    {"eval-batch", kSize, "N", nullptr, "", "Run",
     "evaluate N sequences after a step: a forward pass without gradients, beside the optimizer's states", kRun},
    {"eval-batches", kSize, "N", nullptr, "2", "Run",
     "batches of an evaluation: from the second on the outputs of the one before are there", kRun},
    {"eval-logits", kFlag, "", nullptr, "", "Run",
     "the trainer keeps their logits on the GPU, as compute_metrics without eval_accumulation_steps has it", kRun},
    {"gpu", kChoice, "NAME", gpu_names, "", "Run",
     "say whether it fits on this GPU (peakmem gpus; also 24GiB, rtx-4090:-1GiB, 2xh100-80gb, or several: t4,l4)",
     kRun},
    {"headroom", kText, "SIZE", nullptr, "", "Run", "what to leave free on the GPU, such as 2GiB, 500MiB or 10%",
     kVerdict},
    {"context", kText, "SIZE", nullptr, "", "Run",
     "what the CUDA context takes of the GPU: lazy, eager (kernels are loaded so), a size, or the .json of verify",
     kVerdict},
    {"alloc-conf", kText, "K:V,...", nullptr, "", "Run", "PYTORCH_ALLOC_CONF, such as expandable_segments:True",
     kReport},
    {"reserved", kChoice, "HOW", reservings, "replay", "Run",
     "what the caching allocator reserves: replayed, or only its bounds (quicker)", kReport},
    {"at", kText, "B=4,T=128", nullptr, "", "Trace", "other values for the letters of a trace (a .peakmem file)",
     kReport | kFormula | kDiff},
    {"layers", kSize, "N", nullptr, "", kSizes, "layers", kRun, "L"},
    {"heads", kSize, "N", nullptr, "", kSizes, "attention heads", kRun, "N"},
    {"hidden", kSize, "N", nullptr, "", kSizes, "width of the embedding", kRun, "C"},
    {"kv-heads", kSize, "N", nullptr, "", kSizes, "heads of keys and values (as many as heads)", kRun, "K"},
    {"head-dim", kSize, "N", nullptr, "", kSizes, "width of a head (hidden / heads)", kRun, "D"},
    {"ffn", kSize, "N", nullptr, "", kSizes, "width of the MLP (4 x hidden in a GPT)", kRun, "F"},
    {"vocab", kSize, "N", nullptr, "", kSizes, "tokens of the vocabulary", kRun, "V"},
    {"num-experts", kSize, "N", nullptr, "", kSizes, "experts of a mixture, in place of its config's", kRun},
    {"family", kChoice, "NAME", family_names, "gpt2", kSizes, "the architecture (peakmem families)", kRun},
    {"simplify", kText, "5%", nullptr, "", "Formula", "drop the smallest terms, this much of the peak at most",
     kFormula},
    {"letters", kText, "T=s,B=b", nullptr, "", "Formula", "the letters to write", kFormula},
    {"latex", kFlag, "", nullptr, "", "Formula", "formulas in LaTeX", kFormula},
    {"textbook", kFlag, "", nullptr, "", "Formula", "the formulas in circulation, on the same sizes", kFormula},
    {"for", kChoice, "WHAT", unknowns, "", "Solve",
     "what to find the largest of (of accumulate, fsdp, gpus, ranks and zero the smallest); gpu: every card; two: "
     "batch,seq",
     kSolve},
    {"with", kText, "OPTIONS", nullptr, "", "Compare", "what the second set-up has instead, in one argument", kCompare},
    {"over", kChoice, "WHAT", varied, "", "Sweep", "the option to vary, or several: batch,gpu", kSweep},
    {"values", kText, "1,2,4", nullptr, "", "Sweep",
     "its values: also 1..64, 8..64:8, 2^0..2^6, all; of several options with semicolons between", kSweep},
    {"grid", kText, "FILE", nullptr, "", "Sweep",
     "a file that says both, as JSON: {\"batch\": \"1..64\", \"gpu\": [\"t4\", \"l4\"]}", kSweep},
    {"shard", kText, "I/N", nullptr, "", "Sweep", "of the points the I-th of N stretches, from 0", kSweep},
    {"gpus", kText, "8xNAME", nullptr, "", "Plan", "the cards to train on, a rank on each", kPlan},
    {"global-batch", kSize, "N", nullptr, "", "Plan", "sequences in a step, of all ranks and micro-batches", kPlan},
    {"allow", kText, "a,b", nullptr, "", "Plan",
     "what may be changed that costs quality: optimizer, precision, lora, or all", kPlan},
    {"top", kSize, "N", nullptr, "10", "Plan", "plans to show", kPlan},
    {"why", kText, "ID", nullptr, "", "Plan", "why the plan of that number fails, or which ones beat it", kPlan},
    {"emit", kText, "FORMAT:ID", nullptr, "", "Plan", "the plan of that number as a launch file (peakmem emit)", kPlan},
    {"message", kText, "TEXT", nullptr, "", "Explain", "what PyTorch printed: Tried to allocate ...", kExplain},
    {"svg", kFile, "FILE", nullptr, "", "Files", "the picture as SVG", kTimeline | kSolve | kPlan},
    {"csv", kFile, "FILE", nullptr, "", "Files", "its points as CSV", kTimeline | kSolve | kSweep | kPlan},
    {"jsonl", kFile, "FILE", nullptr, "", "Files", "its points as JSON lines", kSweep},
    {"perfetto", kFile, "FILE", nullptr, "", "Files", "its points as a Chrome trace (ui.perfetto.dev)", kTimeline},
    {"save", kFile, "FILE", nullptr, "", "Trace",
     "the trace as a file, which ends with .peakmem; the launch file; or these options, as YAML that is a MODEL too",
     kTrace | kEmit | kPlan | bits(Command::kEstimate)},
    {"record", kSize, "N", nullptr, "", "Diff", "the record of a file that has several", kDiff},
    {"step", kChoice, "S", steps, "2", "Diff", "the first step, or the steady one", kDiff},
    {"phase", kChoice, "P", phases, "", "Diff", "compare the peaks of this phase (a trace has them)", kDiff},
    {"list", kSize, "N", nullptr, "20", "Diff", "sizes to list", kDiff},
    {"from", kText, "FORMAT", nullptr, "", "Launch files", "whose launch file FILE is, where its content leaves doubt",
     kRun},
    {"sources", kFlag, "", nullptr, "", "Output", "below each row where it comes from, and what else it is called",
     bits(Command::kTable)},
    {"json", kFlag, "", nullptr, "", "Output", "the answer as JSON (schema peakmem/1)", kAll},
});

}  // namespace

std::span<const OptionRow> option_rows() { return kOptions; }

const OptionRow* find_option(std::string_view name) {
  for (const OptionRow& row : kOptions)
    if (row.name == name) return &row;
  return nullptr;
}

}  // namespace peakmem
