#include "request/megatron_options.h"

#include <algorithm>
#include <array>

#include "family/family.h"
#include "request/bare_model.h"
#include "request/gpu_choice.h"
#include "request/headroom.h"
#include "request/megatron_mixture.h"
#include "request/option_values.h"
#include "request/stack_options.h"
#include "size/bytes.h"
#include "size/wording.h"

namespace peakmem {
namespace {

/// What the model code of a family is in Megatron-Core, where a config does not say it.
struct FamilyRow {
  std::string_view family;
  mcore::Norm norm;
  mcore::Positions position;
  bool gated;
  bool linear_bias;
  bool qkv_bias;
  bool norms_heads;
};

constexpr auto kLayerNorm = mcore::Norm::kLayerNorm;
constexpr auto kRmsNorm = mcore::Norm::kRmsNorm;
constexpr auto kLearned = mcore::Positions::kLearned;
constexpr auto kRotary = mcore::Positions::kRotary;
constexpr std::array kFamilies = std::to_array<FamilyRow>({
    {"gpt2", kLayerNorm, kLearned, false, true, false, false},
    {"llama", kRmsNorm, kRotary, true, false, false, false},
    {"mistral", kRmsNorm, kRotary, true, false, false, false},
    {"qwen2", kRmsNorm, kRotary, true, false, true, false},
    {"qwen3", kRmsNorm, kRotary, true, false, false, true},
    {"mixtral", kRmsNorm, kRotary, true, false, false, false},
});

constexpr std::array kOptions = std::to_array<std::string_view>({"tp",
                                                                 "pp",
                                                                 "vpp",
                                                                 "dp",
                                                                 "cp",
                                                                 "ep",
                                                                 "etp",
                                                                 "num-experts",
                                                                 "moe-dispatcher",
                                                                 "moe-router-topk",
                                                                 "moe-router-load-balancing-type",
                                                                 "moe-router-dtype",
                                                                 "moe-ffn-hidden-size",
                                                                 "moe-shared-expert-intermediate-size",
                                                                 "moe-grouped-gemm",
                                                                 "sequence-parallel",
                                                                 "distributed-optimizer",
                                                                 "distributed-optimizer-instances",
                                                                 "recompute",
                                                                 "first-stage-layers",
                                                                 "last-stage-layers",
                                                                 "accumulate",
                                                                 "transformer-impl",
                                                                 "attention-backend",
                                                                 "overlap-grad-reduce",
                                                                 "gradient-accumulation-fusion",
                                                                 "cross-entropy-loss-fusion",
                                                                 "defer-embedding-wgrad-compute",
                                                                 "wgrad-deferral-limit",
                                                                 "no-create-attention-mask-in-dataloader",
                                                                 "untie-embeddings",
                                                                 "disable-bias-linear",
                                                                 "swiglu",
                                                                 "qk-layernorm",
                                                                 "hidden-dropout",
                                                                 "attention-dropout",
                                                                 "deterministic-mode",
                                                                 "log-num-zeros-in-grad",
                                                                 "gpu",
                                                                 "headroom",
                                                                 "alloc-conf"});

std::optional<Error> check_stages(const mcore::Job& job) {
  const mcore::Training& t = job.training;
  const int64_t uneven = (t.first_layers > 0 ? 1 : 0) + (t.last_layers > 0 ? 1 : 0);
  const int64_t stages = job.degrees.pp - uneven;
  const int64_t rest = job.model.layers - t.first_layers - t.last_layers;
  if (uneven > 0 && job.degrees.pp == 1)
    return Error{t.first_layers > 0 ? "--first-stage-layers" : "--last-stage-layers", "one stage has all layers",
                 "give --pp"};
  if (stages == 0 && rest == 0) return std::nullopt;
  if (rest <= 0 || stages == 0)
    return Error{"--pp",
                 std::to_string(job.degrees.pp) + " stages of " + std::to_string(job.model.layers) + " layers leave " +
                     std::to_string(rest) + " for " + std::to_string(stages) + " of them",
                 "every stage needs a layer"};
  return check_division({"--pp", stages, rest, uneven > 0 ? "layers of the other stages" : "layers"});
}

std::optional<Error> check_degrees(const mcore::Job& job) {
  const mcore::Degrees& d = job.degrees;
  if (d.sequence_parallel && d.tp == 1)
    return Error{"--sequence-parallel", "divides the sequence among tensor-parallel ranks, of which there is one",
                 "give --tp, or drop it"};
  for (const Divided& each : {Divided{"--tp", d.tp, job.model.heads, "attention heads"},
                              Divided{"--tp", d.tp, job.model.groups, "heads of keys and values"},
                              Divided{"--tp", d.tp, job.model.ffn, "features of the MLP"}})
    if (auto wrong = check_division(each)) return wrong;
  if (d.sequence_parallel)
    if (auto wrong = check_division({"--tp", d.tp * d.cp, job.training.seq, "tokens of the sequence"})) return wrong;
  return check_stages(job);
}

/// Products for the head's weight that wait for the pipeline's end.
std::optional<Error> read_deferral(const Options& asked, mcore::Job& job) {
  mcore::Training& t = job.training;
  t.defers_head = asked.flag("defer-embedding-wgrad-compute");
  t.deferral_limit = asked.size("wgrad-deferral-limit").value_or(0);
  constexpr const char* kOption = "--defer-embedding-wgrad-compute";
  if (!t.defers_head && asked.has("wgrad-deferral-limit"))
    return Error{"--wgrad-deferral-limit", "is of products that wait", std::string("add ") + kOption + ", or drop it"};
  if (!t.defers_head) return std::nullopt;
  if (job.degrees.pp == 1)
    return Error{kOption, "waits for the end of a pipeline, and there is one stage", "give --pp"};
  if (!job.kernels.fuses_accumulation)
    return Error{kOption, "wants products that add to gradients' buffers", "add --gradient-accumulation-fusion"};
  if (job.degrees.sequence_parallel)
    return Error{kOption, "is not modelled with --sequence-parallel", "drop one of them"};
  return std::nullopt;
}

/// Copies of the distributed optimizer's state among the data-parallel ranks.
std::optional<Error> read_instances(const Options& asked, mcore::Job& job) {
  mcore::Degrees& d = job.degrees;
  const int64_t instances = asked.size("distributed-optimizer-instances").value_or(1);
  if (instances == 1) return std::nullopt;
  if (!job.training.distributed_optimizer)
    return Error{"--distributed-optimizer-instances", "are of the distributed optimizer",
                 "add --distributed-optimizer, or drop it"};
  constexpr const char* kOption = "--distributed-optimizer-instances";
  if (auto wrong = check_division({kOption, instances, d.copies(), "data-parallel ranks"})) return wrong;
  if (job.model.mixture.experts > 0)
    if (auto wrong = check_division({kOption, instances, d.expert_dp(), "data-parallel ranks of the experts"}))
      return wrong;
  d.instances = instances;
  return std::nullopt;
}

/// Context parallelism passes keys and values round, two stretches of the sequence to a rank.
std::optional<Error> check_context(const mcore::Job& job) {
  const mcore::Degrees& d = job.degrees;
  if (d.cp == 1) return std::nullopt;
  if (!job.kernels.te || job.kernels.te_attention != mcore::TeAttention::kFlash)
    return Error{"--cp", "is modelled with flash-attn's kernel under TransformerEngine alone",
                 "add --transformer-impl transformer_engine --attention-backend flash"};
  return check_division({"--cp", 2 * d.cp, job.training.seq, "tokens of the sequence, being twice as many"});
}

/// As Megatron-LM pads it: to a multiple of 128 on every tensor-parallel rank.
int64_t padded_vocabulary(int64_t vocab, int64_t tp) {
  const int64_t multiple = 128 * tp;
  return (vocab + multiple - 1) / multiple * multiple;
}

const FamilyRow* row_of(std::string_view family) {
  for (const FamilyRow& row : kFamilies)
    if (row.family == family) return &row;
  return nullptr;
}

Result<mcore::Gpt> read_gpt(const Value& config) {
  std::vector<std::string> unknown;
  const Task task = Task::kCausalLm;
  const Result<Description> read = read_description(config, &task, unknown);
  if (!read) return read.error();
  const Description& d = *read;
  const FamilyRow* const row = row_of(d.family);
  if (row == nullptr) {
    std::string known;
    for (const FamilyRow& each : kFamilies) known += (known.empty() ? "" : ", ") + std::string(each.family);
    return Error{"--stack", "how Megatron-Core runs " + d.family + " is not modelled", "known: " + known};
  }
  if (!row->linear_bias && (d.mlp_bias || d.output_bias))
    return Error{"--stack", "biases of some linear layers and not of others are not modelled for Megatron-Core",
                 "use a config without attention_bias and mlp_bias"};
  const bool is_gelu = d.activation == Activation::kGelu || d.activation == Activation::kGeluNew;
  if (row->gated ? d.activation != Activation::kSilu : !is_gelu)
    return Error{"--stack", "the config's activation is not modelled for Megatron-Core", "silu with a gate, or gelu"};
  if (d.window > 0 && std::any_of(d.runs.begin(), d.runs.end(), [](const LayerRun& run) { return run.has(true); }))
    return Error{"--stack", "windows of attention are not modelled for Megatron-Core", "use a config without one"};
  return mcore::Gpt{
      .layers = d.layers,
      .hidden = d.hidden,
      .heads = d.heads,
      .groups = d.kv_heads,
      .head_dim = d.head_dim,
      .ffn = d.ffn,
      .vocab = d.vocab,
      .positions = d.positions,
      .norm = row->norm,
      .position = row->position,
      .is_silu = d.activation == Activation::kSilu,
      .gated = row->gated,
      .linear_bias = row->linear_bias,
      .qkv_bias = row->qkv_bias,
      .norms_heads = row->norms_heads,
      .tied = d.tied,
      .hidden_dropout = d.hidden_dropout,
      .attention_dropout = d.attention_dropout,
      .mixture = {
          .experts = d.experts, .experts_per_token = d.experts_per_token, .ffn = d.ffn, .has_aux_loss = d.experts > 0}};
}

std::optional<Error> read_dropouts(const Options& asked, mcore::Gpt& model) {
  for (const auto& [option, dropout] :
       {std::pair("hidden-dropout", &model.hidden_dropout), std::pair("attention-dropout", &model.attention_dropout)}) {
    const std::string* text = asked.text(option);
    if (text == nullptr) continue;
    const Result<double> share = parse_share(*text, "--" + std::string(option));
    if (!share) return share.error();
    *dropout = *share;
  }
  return std::nullopt;
}

Result<mcore::Training> read_training(const Options& asked, const mcore::Gpt& model) {
  mcore::Training t;
  constexpr int64_t kUsual = 1024;
  t.seq = asked.size("seq").value_or(std::min(kUsual, model.positions));
  t.micro_batch = asked.size("batch").value_or(8);
  t.micro_batches = asked.size("accumulate").value_or(1);
  if (model.position == mcore::Positions::kLearned && t.seq > model.positions)
    return Error{"--seq", grouped(t.seq) + " tokens, of positions there are " + grouped(model.positions), ""};
  const std::string* precision = asked.text("precision");
  const std::string name = precision != nullptr ? *precision : "fp32";
  if (name != "fp32" && name != "bf16" && name != "fp16")
    return Error{"--precision", name + " is none of Megatron-Core's", "fp32, bf16 or fp16"};
  t.precision = name == "bf16" ? DType::kBFloat16 : name == "fp16" ? DType::kFloat16 : DType::kFloat32;
  t.full_gradients = t.precision != DType::kFloat16;
  t.distributed_optimizer = asked.flag("distributed-optimizer");
  t.overlaps_gradients = asked.flag("overlap-grad-reduce");
  t.counts_zeros = asked.flag("log-num-zeros-in-grad");
  t.pretrains = true;
  t.given_mask = !asked.flag("no-create-attention-mask-in-dataloader");
  const std::string* recompute = asked.text("recompute");
  if (recompute != nullptr && *recompute == "selective") t.recompute = mcore::Recompute::kCoreAttention;
  if (recompute != nullptr && *recompute == "full") t.recompute = mcore::Recompute::kUniform;
  t.first_layers = asked.size("first-stage-layers").value_or(0);
  t.last_layers = asked.size("last-stage-layers").value_or(0);
  return t;
}

/// Megatron's switches for what a config does not say.
void read_switches(const Options& asked, mcore::Gpt& model) {
  if (asked.flag("untie-embeddings")) model.tied = false;
  if (asked.flag("disable-bias-linear")) model.linear_bias = false;
  if (asked.flag("qk-layernorm")) model.norms_heads = true;
  if (!asked.flag("swiglu") || model.gated) return;
  model.gated = model.is_silu = true;
  // As Megatron-LM sizes it where nobody does: two thirds of four times the hidden size, in steps of 64.
  if (!asked.has("ffn")) model.ffn = model.hidden * 8 / 3 / 64 * 64;
}

/// TransformerEngine's attention on a GPU: cuDNN's where it is preferred, from Hopper on, else flash-attn's.
mcore::TeAttention te_attention_of(const Options& asked, const mcore::Job& job) {
  const std::string* asked_for = asked.text("attention-backend");
  if (asked_for != nullptr && *asked_for == "unfused") return mcore::TeAttention::kUnfused;
  if (asked_for != nullptr && *asked_for == "flash") return mcore::TeAttention::kFlash;
  if (asked_for != nullptr && *asked_for == "fused") return mcore::TeAttention::kFused;
  return job.processor.compute_capability >= 90 ? mcore::TeAttention::kFused : mcore::TeAttention::kFlash;
}

std::optional<Error> read_kernels(const Options& asked, mcore::Job& job) {
  mcore::Kernels& k = job.kernels;
  const std::string* impl = asked.text("transformer-impl");
  k.te = impl != nullptr && *impl == "transformer_engine";
  k.apex = k.fuses_softmax = k.compiled = k.te_adam = k.te_is_there = true;
  k.fuses_activation = job.model.gated || job.model.linear_bias;
  k.te_attention = te_attention_of(asked, job);
  k.deterministic = asked.flag("deterministic-mode");
  k.fuses_loss = asked.flag("cross-entropy-loss-fusion");
  if (k.fuses_loss && job.training.precision != DType::kBFloat16)
    return Error{"--cross-entropy-loss-fusion", "gives gradients in bf16", "pass --precision bf16, or drop it"};
  k.fuses_accumulation = asked.flag("gradient-accumulation-fusion");
  if (!k.te && asked.has("attention-backend"))
    return Error{"--attention-backend", "chooses among TransformerEngine's",
                 "add --transformer-impl transformer_engine"};
  if (!k.te) return std::nullopt;
  if (size_of(job.training.precision) != 2)
    return Error{"--transformer-impl", "TransformerEngine's attention is modelled in half precision alone",
                 "pass --precision bf16"};
  return std::nullopt;
}

/// The card that all ranks have; the products' and the kernels' own memory depends on it.
Result<StackCard> read_card(const Options& asked) {
  Request request;
  if (auto wrong = read_gpu(asked, request)) return *wrong;
  if (request.gpu_count > 1)
    return Error{"--gpu", "names several cards, and ranks are counted by the degrees", "name one"};
  if (auto wrong = read_headroom(asked, request)) return *wrong;
  StackCard card;
  card.own = request.own_gpu;
  card.card = {.gpu = request.gpu, .allocator = {}, .headroom_bytes = request.headroom_bytes};
  constexpr int64_t kDeterministic = int64_t{8} * 4096 * 1024;  // :4096:8
  if (asked.flag("deterministic-mode")) card.card.workspace_bytes = kDeterministic;
  const std::string* conf = asked.text("alloc-conf");
  if (conf == nullptr) return card;
  if (request.gpu == nullptr)
    return Error{"--alloc-conf", "is how a GPU's allocator is set, and no --gpu is named", "add --gpu, or drop it"};
  const Result<AllocatorOptions> options = parse_alloc_conf(*conf, "--alloc-conf");
  if (!options) return options.error();
  card.card.allocator = *options;
  return card;
}

std::optional<Error> check_chunks(const mcore::Job& job) {
  const mcore::Degrees& d = job.degrees;
  const mcore::Training& t = job.training;
  if (d.vpp == 1) return std::nullopt;
  if (d.pp == 1)
    return Error{"--vpp", "cuts the stages of a pipeline, and there is one stage", "give --pp, or drop it"};
  if (t.first_layers > 0 || t.last_layers > 0) {
    if (auto wrong =
            check_division({"--vpp", d.vpp, std::max<int64_t>(t.first_layers, 1), "layers of the first stage"}))
      return wrong;
  } else if (auto wrong = check_division({"--vpp", d.vpp, job.model.layers / d.pp, "layers of a stage"})) {
    return wrong;
  }
  const int64_t rest = t.micro_batches % d.pp;
  if (t.micro_batches >= d.pp && rest == 0) return std::nullopt;
  return Error{"--accumulate",
               std::to_string(t.micro_batches) + " micro-batches do not go round " + std::to_string(d.pp) +
                   " stages of several chunks",
               "give a multiple of --pp"};
}

/// What of the modules and fusions was taken for granted.
std::string code_line(const mcore::Kernels& k) {
  if (!k.te) return "code: Megatron-Core 0.16.1, the local spec, with Apex' layer norm and Megatron's fused softmax";
  const char* attention = k.te_attention == mcore::TeAttention::kFused   ? "cuDNN's"
                          : k.te_attention == mcore::TeAttention::kFlash ? "flash-attn's"
                                                                         : "products, softmax and dropout";
  return std::string("code: Megatron-Core 0.16.1 with TransformerEngine 2.20's modules; attention: ") + attention;
}

void say_what_was_assumed(MegatronRequest& request, int64_t vocab) {
  request.assumptions = {
      code_line(request.job.kernels),
      "loop: Megatron-LM's pretrain_gpt.py, functions compiled; fusions as it has them unless told otherwise",
      "optimizer: TransformerEngine's or Apex' fused Adam, gradients clipped",
      request.job.training.given_mask ? "the loader makes the attention mask; what a stage has sent is deallocated"
                                      : "what a stage has sent is deallocated"};
  if (request.job.kernels.te && request.job.kernels.te_attention == mcore::TeAttention::kFused)
    request.assumptions.emplace_back("what cuDNN's attention takes while it runs is not counted");
  if (!request.job.kernels.fuses_accumulation)
    request.assumptions.emplace_back(
        "gradient_accumulation_fusion: off, each weight's gradient is made and then added (Megatron-LM's own default "
        "is "
        "--gradient-accumulation-fusion)");
  if (request.job.model.vocab != vocab)
    request.assumptions.push_back("vocabulary: " + grouped(vocab) + ", padded to " + grouped(request.job.model.vocab));
  if (request.job.model.mixture.experts > 0)
    request.assumptions.emplace_back(
        std::string("experts: tokens are spread evenly, ") +
        (request.job.model.mixture.has_aux_loss ? "a balancing loss, " : "no balancing loss, ") +
        (request.job.model.mixture.grouped ? "all at once in grouped products" : "one expert after another"));
  if (request.job.training.distributed_optimizer)
    request.assumptions.push_back("of data-parallel ranks the first and the last of each stage were traced");
}

}  // namespace

Result<MegatronRequest> read_megatron(const NamedConfig& model, const OptionValues& values) {
  const Options asked(values);
  if (auto wrong = check_known(values, kOptions, "megatron")) return *wrong;
  if (model.recording) return Error{"--stack", "a trace says itself what ran", "drop it"};
  MegatronRequest request;
  request.name = model.name;
  const Result<mcore::Gpt> gpt = read_gpt(model.config);
  if (!gpt) return gpt.error();
  mcore::Job& job = request.job;
  job.model = *gpt;
  read_switches(asked, job.model);
  if (auto wrong = read_dropouts(asked, job.model)) return *wrong;
  Result<StackCard> card = read_card(asked);
  if (!card) return card.error();
  request.card = std::move(*card);
  if (request.card.card.gpu != nullptr) job.processor = processor_of(*request.card.card.gpu);
  job.degrees = {.tp = asked.size("tp").value_or(1),
                 .cp = asked.size("cp").value_or(1),
                 .pp = asked.size("pp").value_or(1),
                 .vpp = asked.size("vpp").value_or(1),
                 .dp = asked.size("dp").value_or(1),
                 .sequence_parallel = asked.flag("sequence-parallel")};
  if (auto wrong = check_ranks(std::array{RanksAsked{"--tp", job.degrees.tp}, RanksAsked{"--pp", job.degrees.pp},
                                          RanksAsked{"--dp", job.degrees.dp}, RanksAsked{"--cp", job.degrees.cp}}))
    return *wrong;
  job.model.vocab = padded_vocabulary(gpt->vocab, job.degrees.tp);
  const Result<mcore::Training> training = read_training(asked, job.model);
  if (!training) return training.error();
  job.training = *training;
  job.training.overlaps_sends = job.degrees.vpp > 1;
  if (auto wrong = read_kernels(asked, job)) return *wrong;
  if (auto wrong = read_mixture(asked, job)) return *wrong;
  if (auto wrong = read_instances(asked, job)) return *wrong;
  if (auto wrong = read_deferral(asked, job)) return *wrong;
  if (auto wrong = check_context(job)) return *wrong;
  if (auto wrong = check_degrees(job)) return *wrong;
  if (auto wrong = check_chunks(job)) return *wrong;
  if (auto wrong = check_counts(job.model.layers, asked.size("accumulate").value_or(1), "--accumulate")) return *wrong;
  const Result<std::optional<int64_t>> rank = read_rank_number(asked, job.degrees.ranks());
  if (!rank) return rank.error();
  request.rank = *rank;
  say_what_was_assumed(request, gpt->vocab);
  return request;
}

}  // namespace peakmem
