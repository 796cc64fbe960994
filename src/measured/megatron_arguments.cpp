#include "measured/megatron_arguments.h"

#include <algorithm>
#include <array>
#include <string>

#include "format/given.h"

namespace peakmem {
namespace {

/// Beginnings of options that log, load, save, name files and schedule rates.
constexpr std::array kElsewhere = std::to_array<std::string_view>({"--adam-",
                                                                   "--async-",
                                                                   "--check-weight-hash",
                                                                   "--ckpt-",
                                                                   "--data-",
                                                                   "--decoupled-",
                                                                   "--dist-ckpt-",
                                                                   "--distributed-",
                                                                   "--eval-",
                                                                   "--exit-",
                                                                   "--init-method-std",
                                                                   "--load",
                                                                   "--log-",
                                                                   "--lr",
                                                                   "--merge-file",
                                                                   "--min-lr",
                                                                   "--mock-data",
                                                                   "--no-load-",
                                                                   "--no-ckpt-",
                                                                   "--no-mmap-",
                                                                   "--num-workers",
                                                                   "--override-",
                                                                   "--rerun-mode",
                                                                   "--save",
                                                                   "--seed",
                                                                   "--split",
                                                                   "--tensorboard-",
                                                                   "--timing-",
                                                                   "--tokenizer-",
                                                                   "--train-",
                                                                   "--use-checkpoint-",
                                                                   "--use-persistent-",
                                                                   "--vocab-file",
                                                                   "--verify-integrity",
                                                                   "--wandb-",
                                                                   "--weight-decay",
                                                                   "--manual-gc",
                                                                   "--finetune",
                                                                   "--auto-detect-",
                                                                   "--use-dist-ckpt"});

/// Options that are read below, or that leave memory as it is.
constexpr std::array kKnown = std::to_array<std::string_view>({"--apply-layernorm-1p",
                                                               "--apply-query-key-layer-scaling",
                                                               "--attention-backend",
                                                               "--attention-dropout",
                                                               "--attention-softmax-in-fp32",
                                                               "--bf16",
                                                               "--calculate-per-token-loss",
                                                               "--clip-grad",
                                                               "--context-parallel-size",
                                                               "--cp-comm-type",
                                                               "--ddp-average-in-collective",
                                                               "--decoder-first-pipeline-num-layers",
                                                               "--decoder-last-pipeline-num-layers",
                                                               "--cross-entropy-fusion-impl",
                                                               "--cross-entropy-loss-fusion",
                                                               "--defer-embedding-wgrad-compute",
                                                               "--deterministic-mode",
                                                               "--disable-bias-linear",
                                                               "--disable-gloo-process-groups",
                                                               "--expert-model-parallel-size",
                                                               "--expert-tensor-parallel-size",
                                                               "--ffn-hidden-size",
                                                               "--fp16",
                                                               "--global-batch-size",
                                                               "--group-query-attention",
                                                               "--hidden-dropout",
                                                               "--hidden-size",
                                                               "--kv-channels",
                                                               "--max-position-embeddings",
                                                               "--micro-batch-size",
                                                               "--moe-aux-loss-coeff",
                                                               "--moe-ffn-hidden-size",
                                                               "--moe-grouped-gemm",
                                                               "--moe-router-dtype",
                                                               "--moe-router-load-balancing-type",
                                                               "--moe-router-pre-softmax",
                                                               "--moe-router-topk",
                                                               "--moe-shared-expert-intermediate-size",
                                                               "--moe-token-dispatcher-type",
                                                               "--no-bias-gelu-fusion",
                                                               "--no-create-attention-mask-in-dataloader",
                                                               "--no-gradient-accumulation-fusion",
                                                               "--no-masked-softmax-fusion",
                                                               "--no-persist-layer-norm",
                                                               "--normalization",
                                                               "--num-attention-heads",
                                                               "--num-distributed-optimizer-instances",
                                                               "--num-experts",
                                                               "--num-layers",
                                                               "--num-layers-per-virtual-pipeline-stage",
                                                               "--num-query-groups",
                                                               "--overlap-grad-reduce",
                                                               "--overlap-param-gather",
                                                               "--overlap-param-gather-with-optimizer-step",
                                                               "--pipeline-model-parallel-size",
                                                               "--position-embedding-type",
                                                               "--qk-layernorm",
                                                               "--rotary-base",
                                                               "--seq-length",
                                                               "--sequence-parallel",
                                                               "--swiglu",
                                                               "--tensor-model-parallel-size",
                                                               "--test-mode",
                                                               "--transformer-impl",
                                                               "--untie-embeddings-and-output-weights",
                                                               "--use-distributed-optimizer",
                                                               "--use-mcore-models",
                                                               "--use-tp-pp-dp-mapping",
                                                               "--vocab-size",
                                                               "--wgrad-deferral-limit"});

/// The tokenizer of the CI's GPT runs (GPT2BPETokenizer).
constexpr int64_t kGpt2Vocabulary = 50257;

bool is_known(std::string_view name) {
  const auto begins = [name](std::string_view beginning) { return name.starts_with(beginning); };
  return std::ranges::any_of(kElsewhere, begins) || std::ranges::find(kKnown, name) != kKnown.end();
}

Error not_modelled(std::string_view option, const std::string& why) { return {std::string(option), why, ""}; }

std::optional<Error> check_mixture(const Given& given, bool te) {
  if (given.size("--num-experts", 0) == 0) return std::nullopt;
  const std::string balancing = given.text("--moe-router-load-balancing-type");
  if (!balancing.empty() && balancing != "sinkhorn" && balancing != "aux_loss" && balancing != "none")
    return not_modelled("--moe-router-load-balancing-type", balancing + " is not modelled for Megatron-LM");
  if (given.text("--moe-token-dispatcher-type") == "flex")
    return not_modelled("--moe-token-dispatcher-type", "flex is not modelled for Megatron-LM");
  if (given.flag("--moe-grouped-gemm") && !te)
    return not_modelled("--moe-grouped-gemm", "is modelled for TransformerEngine's modules alone");
  if (!given.flag("--disable-bias-linear"))
    return not_modelled("--num-experts", "experts with biases are not modelled for Megatron-LM");
  return std::nullopt;
}

/// Keys and values passed round, in flash-attn's kernel, are what is modelled of context parallelism.
std::optional<Error> check_context(const Given& given, bool te) {
  const std::string way = given.text("--cp-comm-type");
  if (!way.empty() && way != "p2p") return not_modelled("--cp-comm-type", way + " is not modelled for Megatron-LM");
  if (!te || given.text("--attention-backend") != "flash")
    return not_modelled("--context-parallel-size",
                        "context parallelism is modelled with --attention-backend flash alone");
  return std::nullopt;
}

std::optional<Error> check(const Value& arguments, const Given& given) {
  for (const Member& member : arguments.members)
    if (!is_known(member.name)) return not_modelled(member.name, "is not modelled for Megatron-LM");
  const bool te = given.text("--transformer-impl") != "local";
  if (given.size("--context-parallel-size", 1) > 1)
    if (auto wrong = check_context(given, te)) return wrong;
  if (given.flag("--cross-entropy-loss-fusion") && given.text("--cross-entropy-fusion-impl") == "te")
    return not_modelled("--cross-entropy-fusion-impl", "TransformerEngine's is not modelled for Megatron-LM");
  if (given.flag("--cross-entropy-loss-fusion") && !given.flag("--bf16"))
    return not_modelled("--cross-entropy-loss-fusion", "gives gradients in bf16, and is not modelled but there");
  const bool defers = given.flag("--defer-embedding-wgrad-compute");
  if (defers && given.flag("--sequence-parallel"))
    return not_modelled("--defer-embedding-wgrad-compute", "is not modelled with parts of sequences");
  if (defers && given.flag("--no-gradient-accumulation-fusion"))
    return not_modelled("--defer-embedding-wgrad-compute", "wants products that add to gradients' buffers");
  const bool is_half = given.flag("--bf16") || given.flag("--fp16");
  if (te && !is_half) return not_modelled("--transformer-impl", "TransformerEngine in fp32 is not modelled");
  return check_mixture(given, te);
}

mcore::Mixture read_mixture(const Given& a, int64_t ffn) {
  mcore::Mixture m;
  m.experts = a.size("--num-experts", 0);
  m.experts_per_token = a.size("--moe-router-topk", 2);
  m.ffn = a.size("--moe-ffn-hidden-size", ffn);
  m.shared_ffn = a.size("--moe-shared-expert-intermediate-size", 0);
  m.dispatcher = a.text("--moe-token-dispatcher-type") == "alltoall" ? mcore::Dispatcher::kAllToAll
                                                                     : mcore::Dispatcher::kAllGather;
  const std::string balancing = a.text("--moe-router-load-balancing-type");
  m.router = balancing == "sinkhorn" ? mcore::Router::kSinkhorn : mcore::Router::kTopK;
  m.routes_in_full = a.text("--moe-router-dtype") == "fp32";
  m.grouped = a.flag("--moe-grouped-gemm");
  const bool balances = balancing.empty() || balancing == "aux_loss";
  m.has_aux_loss = balances && a.real("--moe-aux-loss-coeff", 0) > 0;
  m.softmax_first = a.flag("--moe-router-pre-softmax");
  return m;
}

mcore::Gpt read_model(const Given& a, int64_t tp) {
  mcore::Gpt m;
  m.layers = a.size("--num-layers", 1);
  m.hidden = a.size("--hidden-size", 1);
  m.heads = a.size("--num-attention-heads", 1);
  m.groups = a.flag("--group-query-attention") ? a.size("--num-query-groups", 1) : m.heads;
  m.head_dim = a.size("--kv-channels", m.hidden / m.heads);
  m.gated = m.is_silu = a.flag("--swiglu");
  // Two thirds of four times the hidden size, in steps of 64, where a gate has a product of its own (arguments.py).
  m.ffn = a.size("--ffn-hidden-size", m.gated ? m.hidden * 8 / 3 / 64 * 64 : 4 * m.hidden);
  const int64_t multiple = 128 * tp;
  m.vocab = (a.size("--vocab-size", kGpt2Vocabulary) + multiple - 1) / multiple * multiple;
  m.positions = a.size("--max-position-embeddings", a.size("--seq-length", 1));
  m.norm = a.text("--normalization") == "RMSNorm" ? mcore::Norm::kRmsNorm : mcore::Norm::kLayerNorm;
  m.position = a.text("--position-embedding-type") == "rope" ? mcore::Positions::kRotary : mcore::Positions::kLearned;
  m.linear_bias = !a.flag("--disable-bias-linear");
  m.norms_heads = a.flag("--qk-layernorm");
  m.tied = !a.flag("--untie-embeddings-and-output-weights");
  m.hidden_dropout = a.real("--hidden-dropout", 0.1);
  m.attention_dropout = a.real("--attention-dropout", 0.1);
  m.mixture = read_mixture(a, m.ffn);
  return m;
}

mcore::Kernels read_kernels(const Given& a, const mcore::Gpt& model, const Processor& processor) {
  mcore::Kernels k;
  k.te = a.text("--transformer-impl") != "local";
  const std::string backend = a.text("--attention-backend");
  const auto by_card = processor.compute_capability >= 90 ? mcore::TeAttention::kFused : mcore::TeAttention::kFlash;
  k.te_attention = backend == "unfused" ? mcore::TeAttention::kUnfused
                   : backend == "flash" ? mcore::TeAttention::kFlash
                   : backend == "fused" ? mcore::TeAttention::kFused
                                        : by_card;
  k.compiled = k.apex = k.te_adam = k.te_is_there = true;
  k.fuses_accumulation = !a.flag("--no-gradient-accumulation-fusion");
  k.fuses_loss = a.flag("--cross-entropy-loss-fusion");
  k.fuses_softmax = !a.flag("--no-masked-softmax-fusion");
  k.fuses_activation = model.gated || model.linear_bias;
  k.scales_by_layer = a.flag("--apply-query-key-layer-scaling");
  k.full_softmax = k.scales_by_layer || a.flag("--attention-softmax-in-fp32");
  k.deterministic = a.flag("--deterministic-mode");
  return k;
}

mcore::Training read_training(const Given& a) {
  mcore::Training t;
  t.seq = a.size("--seq-length", 1);
  t.micro_batch = a.size("--micro-batch-size", 1);
  t.precision = a.flag("--bf16") ? DType::kBFloat16 : a.flag("--fp16") ? DType::kFloat16 : DType::kFloat32;
  t.full_gradients = t.precision != DType::kFloat16;
  t.distributed_optimizer = a.flag("--use-distributed-optimizer");
  t.overlaps_gradients = a.flag("--overlap-grad-reduce");
  t.given_mask = !a.flag("--no-create-attention-mask-in-dataloader");
  t.pretrains = true;
  t.defers_head = a.flag("--defer-embedding-wgrad-compute");
  t.deferral_limit = a.size("--wgrad-deferral-limit", 0);
  t.counts_zeros = a.flag("--log-num-zeros-in-grad");
  t.first_layers = a.size("--decoder-first-pipeline-num-layers", 0);
  t.last_layers = a.size("--decoder-last-pipeline-num-layers", 0);
  return t;
}

}  // namespace

Result<mcore::Job> read_megatron_arguments(const Value& arguments, const MegatronWorld& world) {
  const Given a(&arguments);
  if (auto wrong = check(arguments, a)) return *wrong;
  mcore::Job job;
  mcore::Degrees& d = job.degrees;
  d.tp = std::max<int64_t>(1, a.size("--tensor-model-parallel-size", 1));
  d.pp = std::max<int64_t>(1, a.size("--pipeline-model-parallel-size", 1));
  d.sequence_parallel = a.flag("--sequence-parallel") && d.tp > 1;
  d.cp = std::max<int64_t>(1, a.size("--context-parallel-size", 1));
  if (world.ranks % (d.tp * d.pp * d.cp) != 0)
    return Error{"--tensor-model-parallel-size", "the degrees do not divide the ranks", ""};
  d.dp = world.ranks / (d.tp * d.pp * d.cp);
  d.ep = std::max<int64_t>(1, a.size("--expert-model-parallel-size", 1));
  d.etp = a.size("--expert-tensor-parallel-size", 0);
  if ((d.tp * d.copies()) % (d.ep * d.expert_tp()) != 0)
    return Error{"--expert-model-parallel-size", "the experts' degrees do not divide the ranks of a stage", ""};
  d.instances = std::max<int64_t>(1, a.size("--num-distributed-optimizer-instances", 1));
  if (d.copies() % d.instances != 0 || d.expert_dp() % d.instances != 0)
    return Error{"--num-distributed-optimizer-instances", "do not divide the data-parallel ranks", ""};
  // Another order of ranks leaves the first and the last where they are.
  if (a.flag("--use-tp-pp-dp-mapping") && world.rank != 0 && world.rank != world.ranks - 1)
    return not_modelled("--use-tp-pp-dp-mapping", "of this order of ranks the first and the last alone are modelled");
  job.model = read_model(a, d.tp);
  job.training = read_training(a);
  const int64_t of_stage = job.model.layers / d.pp;
  const int64_t each = a.size("--num-layers-per-virtual-pipeline-stage", of_stage);
  if (each <= 0 || of_stage % each != 0)
    return Error{"--num-layers-per-virtual-pipeline-stage", "does not divide the layers of a stage", ""};
  d.vpp = of_stage / each;
  job.training.overlaps_sends = d.vpp > 1;
  const int64_t at_once = job.training.micro_batch * d.dp;
  job.training.micro_batches = std::max<int64_t>(1, a.size("--global-batch-size", at_once) / at_once);
  job.processor = world.processor;
  job.kernels = read_kernels(a, job.model, job.processor);
  job.rank = world.rank;
  if (job.training.seq % (2 * d.cp) != 0)
    return Error{"--context-parallel-size", "twice as many do not divide the sequence", ""};
  return job;
}

}  // namespace peakmem
