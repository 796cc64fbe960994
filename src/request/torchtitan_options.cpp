#include "request/torchtitan_options.h"

#include <algorithm>
#include <array>

#include "family/family.h"
#include "request/stack_options.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr std::array kOptions =
    std::to_array<std::string_view>({"fsdp", "hsdp", "tp", "pp", "cp", "recompute", "recompute-every", "pp-schedule",
                                     "pp-microbatch", "disable-loss-parallel", "no-reshard-after-forward"});

Error not_modelled(const std::string& what, std::string_view hint) {
  return {"--stack", what + " not modelled for torchtitan", hint};
}

Result<titan::Model> read_model(const Value& config) {
  std::vector<std::string> unknown;
  const Task task = Task::kCausalLm;
  const Result<Description> read = read_description(config, &task, unknown);
  if (!read) return read.error();
  const Description& d = *read;
  if (d.family != "llama" && d.family != "qwen3") return not_modelled(d.family + " is", "known: llama, qwen3");
  if (d.tied) return not_modelled("a head that is the embedding is", "use a config with tie_word_embeddings false");
  if (d.mlp_bias || d.output_bias) return not_modelled("biases of linear layers are", "use a config without them");
  if (d.activation != Activation::kSilu) return not_modelled("the config's activation is", "silu");
  const bool is_llama = d.family == "llama";
  if (is_llama && d.head_dim * d.heads != d.hidden)
    return not_modelled("a Llama whose heads are not its width is", "head_dim = hidden_size / num_attention_heads");
  return titan::Model{.family = is_llama ? titan::Family::kLlama3 : titan::Family::kQwen3,
                      .layers = d.layers,
                      .dim = d.hidden,
                      .heads = d.heads,
                      .kv_heads = d.kv_heads,
                      .head_dim = d.head_dim,
                      .ffn = d.ffn,
                      .vocab = d.vocab};
}

std::optional<Error> read_mesh(const Options& asked, titan::Degrees& degrees) {
  degrees.dp_shard = asked.size("fsdp").value_or(1);
  const std::string* mesh = asked.text("hsdp");
  if (mesh == nullptr) return std::nullopt;
  if (asked.has("fsdp")) return Error{"--hsdp", "contradicts --fsdp", "drop one of them"};
  const size_t times = mesh->find('x');
  if (times == std::string::npos) return Error{"--hsdp", "must be replicas x shards, is " + *mesh, "such as 2x4"};
  const Result<int64_t> replicas = parse_size(mesh->substr(0, times), "--hsdp");
  if (!replicas) return replicas.error();
  const Result<int64_t> shards = parse_size(mesh->substr(times + 1), "--hsdp");
  if (!shards) return shards.error();
  if (*shards == 1) return Error{"--hsdp", "copies alone are DDP, which is not modelled for torchtitan", "such as 2x4"};
  degrees.dp_replicate = *replicas;
  degrees.dp_shard = *shards;
  return std::nullopt;
}

/// torchtitan's own are fp32 weights that FSDP, or autocast on one GPU, computes with in bf16; else bf16 throughout.
std::optional<Error> read_precision(const Options& asked, titan::Job& job) {
  titan::Training& t = job.training;
  const std::string* given = asked.text("precision");
  const std::string name = given != nullptr ? *given : "bf16-mixed";
  if (name != "bf16" && name != "bf16-mixed")
    return Error{"--precision", name + " is not modelled with --stack torchtitan",
                 "bf16-mixed: weights in fp32, computed with in bf16; bf16: all in bf16"};
  if (name == "bf16") t.dtype = DType::kBFloat16;
  if (job.degrees.has_fsdp() || job.is_alone() || name == "bf16") return std::nullopt;
  return Error{
      "--precision",
      "without FSDP torchtitan computes over several ranks in what weights are kept in, and fp32 is not modelled",
      "give --fsdp, or --precision bf16"};
}

std::optional<Error> read_recompute(const Options& asked, titan::Training& t) {
  const std::string* recompute = asked.text("recompute");
  const std::optional<int64_t> every = asked.size("recompute-every");
  if (recompute != nullptr && *recompute == "full") t.recompute = titan::Recompute::kFull;
  if (recompute != nullptr && *recompute == "selective")
    t.recompute = every ? titan::Recompute::kLayers : titan::Recompute::kOps;
  if (every && t.recompute != titan::Recompute::kLayers)
    return Error{"--recompute-every", "says which layers selective checkpointing takes", "give --recompute selective"};
  t.every = every.value_or(1);
  return std::nullopt;
}

std::optional<Error> read_pipeline(const Options& asked, titan::Job& job) {
  titan::Training& t = job.training;
  const std::string* schedule = asked.text("pp-schedule");
  if (job.degrees.pp == 1) {
    for (const std::string_view option : {"pp-schedule", "pp-microbatch"})
      if (asked.has(option)) return Error{"--" + std::string(option), "there is one stage", "give --pp"};
    return std::nullopt;
  }
  if (schedule != nullptr && *schedule == "GPipe") t.schedule = titan::Schedule::kGPipe;
  if (schedule != nullptr && *schedule == "Interleaved1F1B") t.schedule = titan::Schedule::kInterleaved1F1B;
  const int64_t rows = asked.size("pp-microbatch").value_or(1);
  if (auto wrong = check_division({"--pp-microbatch", rows, t.batch, "sequences of --batch"})) return wrong;
  t.microbatches = t.batch / rows;
  const int64_t rounds = std::max<int64_t>(1, t.microbatches / job.degrees.pp);
  if (t.schedule == titan::Schedule::kInterleaved1F1B && t.microbatches % rounds != 0)
    return Error{"--pp-microbatch",
                 std::to_string(t.microbatches) + " micro-batches do not go in " + std::to_string(rounds) +
                     " rounds through stages that are interleaved",
                 "a multiple of " + std::to_string(job.degrees.pp)};
  for (int64_t stage = 0; stage < job.stages(); ++stage)
    if (titan::chunk_of(job, stage).layers < 1)
      return Error{"--pp",
                   std::to_string(job.stages()) + " stages of " + std::to_string(job.model.layers) +
                       " layers leave none for one of them",
                   "every stage needs a layer"};
  return std::nullopt;
}

Result<titan::Training> read_training(const Options& asked) {
  titan::Training t;
  t.batch = asked.size("batch").value_or(8);
  t.seq = asked.size("seq").value_or(2048);
  t.loss_parallel = !asked.flag("disable-loss-parallel");
  if (asked.flag("no-reshard-after-forward")) t.reshard = false;
  if (auto wrong = read_recompute(asked, t)) return *wrong;
  return t;
}

std::optional<Error> check_degrees(const titan::Job& job) {
  const titan::Model& m = job.model;
  const int64_t tp = job.degrees.tp;
  for (const Divided& each :
       {Divided{"--tp", tp, m.heads, "attention heads"}, Divided{"--tp", tp, m.kv_heads, "heads of keys and values"},
        Divided{"--tp", tp, m.ffn, "features of the MLP"}, Divided{"--tp", tp, m.vocab, "tokens of the vocabulary"},
        Divided{"--tp", tp * job.degrees.cp, job.training.seq, "tokens of the sequence"}})
    if (auto wrong = check_division(each)) return wrong;
  return std::nullopt;
}

/// Options about ranks that are not there.
std::optional<Error> check_idle(const Options& asked, const titan::Degrees& degrees) {
  if (asked.flag("disable-loss-parallel") && degrees.tp == 1)
    return Error{"--disable-loss-parallel", "is about tensor-parallel ranks, of which there is one",
                 "give --tp, or drop it"};
  if (asked.flag("no-reshard-after-forward") && !degrees.has_fsdp())
    return Error{"--no-reshard-after-forward", "is about FSDP, and nothing is sharded", "give --fsdp, or drop it"};
  return std::nullopt;
}

void say_what_was_assumed(TorchtitanRequest& request) {
  request.assumptions = {"code: torchtitan 0.2.2 on torch 2.13, not compiled",
                         "attention in cuDNN's kernel, which torchtitan asks for first, as on Hopper",
                         "optimizer: AdamW in one fused kernel, gradients clipped",
                         "a collective's result is waited for in a tensor of its own, as PyTorch has it on shapes"};
  if (request.job.degrees.pp > 1) request.assumptions.emplace_back("stages know the sizes that they receive");
  if (request.job.training.recompute == titan::Recompute::kNone)
    request.assumptions.emplace_back("no layer runs again; torchtitan's own setting is --recompute selective");
}

/// Context parallelism: keys and values go round, and each rank has two stretches of a sequence.
std::optional<Error> check_context(const titan::Job& job) {
  const titan::Degrees& d = job.degrees;
  if (d.cp == 1) return std::nullopt;
  if (d.pp > 1) return Error{"--cp", "is not modelled beside a pipeline for torchtitan", "drop --pp"};
  if (job.model.family != titan::Family::kLlama3)
    return Error{"--cp", "is modelled of Llama 3 alone for torchtitan", "drop it"};
  if (!job.training.cudnn) return Error{"--cp", "is modelled in cuDNN's attention kernel alone", "drop it"};
  return check_division({"--cp", 2 * d.cp, job.training.seq, "tokens of the sequence, being twice as many"});
}

}  // namespace

Result<TorchtitanRequest> read_torchtitan(const NamedConfig& model, const OptionValues& values) {
  const Options asked(values);
  if (auto wrong = check_known(values, kOptions, "torchtitan")) return *wrong;
  if (model.recording) return Error{"--stack", "a trace says itself what ran", "drop it"};
  TorchtitanRequest request;
  request.name = model.name;
  titan::Job& job = request.job;
  const Result<titan::Model> read = read_model(model.config);
  if (!read) return read.error();
  job.model = *read;
  if (auto wrong = read_mesh(asked, job.degrees)) return *wrong;
  job.degrees.tp = asked.size("tp").value_or(1);
  job.degrees.pp = asked.size("pp").value_or(1);
  job.degrees.cp = asked.size("cp").value_or(1);
  const Result<titan::Training> training = read_training(asked);
  if (!training) return training.error();
  job.training = *training;
  if (auto wrong = read_precision(asked, job)) return *wrong;
  const std::string_view shards = asked.has("hsdp") ? "--hsdp" : "--fsdp";
  if (auto wrong = check_ranks(std::array{RanksAsked{shards, job.degrees.dp_replicate},
                                          RanksAsked{shards, job.degrees.dp_shard}, RanksAsked{"--tp", job.degrees.tp},
                                          RanksAsked{"--pp", job.degrees.pp}, RanksAsked{"--cp", job.degrees.cp}}))
    return *wrong;
  if (auto wrong = check_context(job)) return *wrong;
  if (auto wrong = check_degrees(job)) return *wrong;
  if (auto wrong = check_idle(asked, job.degrees)) return *wrong;
  if (auto wrong = read_pipeline(asked, job)) return *wrong;
  if (auto wrong = check_counts(job.model.layers, job.training.microbatches, "--batch")) return *wrong;
  const Result<std::optional<int64_t>> rank = read_rank_number(asked, job.degrees.ranks());
  if (!rank) return rank.error();
  request.rank = *rank;
  say_what_was_assumed(request);
  return request;
}

}  // namespace peakmem
