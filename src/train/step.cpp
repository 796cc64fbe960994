#include "train/step.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "trace/engine.h"
#include "train/batches.h"
#include "train/data_parallel.h"
#include "train/fully_shard.h"
#include "train/optimizer_step.h"

namespace peakmem {
namespace {

constexpr int64_t kFlashRows = 128;  // seqlen_q_rounded of flash-attn's flash_api.cpp

int64_t round_up_8(int64_t n) { return (n + 7) / 8 * 8; }
int64_t round_up_16(int64_t n) { return (n + 15) / 16 * 16; }

/// Rows of a chunk of Liger's loss, so that its logits are about as large as the hidden states: the power of two from
/// tokens / ⌈vocab / hidden⌉ on, or all tokens where the vocabulary is no larger than the hidden size.
Expr loss_rows(const Description& d, const Dims& dims) {
  const Expr tokens = dims.batch * dims.seq;
  return d.vocab <= d.hidden ? tokens : power_of_two(ceil_div(tokens, ceil_div(dims.vocab, dims.hidden)));
}

/// head_size_rounded of flash_api.cpp.
Expr flash_columns(const Description& d, Expr padded_head_dim) {
  const int64_t padded = round_up_8(d.head_dim);
  if (padded > 192) return 256;
  return padded % 32 == 0 ? padded_head_dim : round_up(padded_head_dim, 32);
}

/// part / whole of an expression.
Expr share_of(Expr expression, int64_t part, int64_t whole) {
  const int64_t common = std::gcd(part, whole);
  return part == whole ? expression : exact_div(part / common * expression, whole / common);
}

int64_t pieces(Expr all, Expr each) { return std::clamp<int64_t>(ceil_div(all, each).number(), 1, 3); }

Structure structure_of(const Job& job, bool unrolled) {
  const Description& d = job.description;
  const Recipe& r = job.recipe;
  Structure s;
  s.attention = r.attention;
  s.checkpointing = r.checkpointing;
  s.experts = r.experts;
  s.transformers = r.transformers;
  s.expert_turns = r.experts == Experts::kLoop ? d.experts : 0;
  s.kernels = r.kernels;
  s.multiprocessors = r.multiprocessors;
  s.loss = loss_pieces(job);
  s.imbalance = r.imbalance;
  s.weights = compute_dtype(r);
  s.casts_weights = r.sharding.casts_parameters;
  s.grouped = d.kv_heads != d.heads;
  s.wide_heads = d.head_dim > 256;
  s.unaligned_heads = d.head_dim % (is_mixed(r.precision) || size_of(s.weights) == 2 ? 8 : 4) != 0;
  s.window_cuts = r.seq >= d.window;
  s.single_token = r.seq == 1;
  s.single_target = r.target_seq == 1;
  s.casts_inputs = r.sharding.casts_parameters;
  s.unrolled = unrolled;
  s.quantize = r.quantize;
  s.double_quant = r.double_quant;
  s.dequantizes_forward = dequantizes_forward(r);
  s.dequantizes_experts = dequantizes_experts(r, d);
  s.compute = product_dtype(r.precision);
  s.buffers = r.quantize == Quantize::kNone ? weights_dtype(r.precision) : s.compute;
  if (r.quantize != Quantize::kNone && !r.sharding.casts_parameters) s.weights = frozen_dtype(r);
  s.norms = r.quantize != Quantize::kNone && r.upcast == Upcast::kNorms ? DType::kFloat32 : s.weights;
  s.padding_mask = r.trainer->is_transformers_loop && d.image == 0;
  s.lora = r.lora.rank > 0 ? &r.lora : nullptr;
  s.freeze = r.freeze.patterns.empty() ? nullptr : &r.freeze;
  return s;
}

/// Symbols for sizes, numbers for ones.
class Symbols {
 public:
  Symbols(Pool& pool, std::vector<int64_t>& values) : pool_(pool), values_(values) {}
  Expr operator()(const char* name, int64_t value) {
    if (value <= 1) return value;
    const Expr symbol = pool_.symbol(name);
    if (values_.size() < pool_.symbols()) values_.push_back(value);
    return symbol;
  }

 private:
  Pool& pool_;
  std::vector<int64_t>& values_;
};

/// The longest run of layers, whose length the letter L may leave open: groups, or where all layers are of one kind.
/// With up to three turns there is none in between to stand for the rest.
const LayerRun* run_of_any_length(const std::vector<LayerRun>& runs) {
  const auto longest =
      std::max_element(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a.layers < b.layers; });
  if (longest == runs.end() || longest->turns() <= 3) return nullptr;
  for (const LayerRun& run : runs)
    if (!longest->alternates() && (run.windowed != longest->windowed || run.alternates())) return nullptr;
  return &*longest;
}

/// That run has what the letter leaves to it.
void put_layers(Expr letter, int64_t layers, const LayerRun& run, const std::vector<LayerRun>& runs,
                std::vector<Expr>& turns) {
  const Expr own = letter - Expr(layers - run.layers);
  turns[static_cast<size_t>(&run - runs.data())] = exact_div(own, run.period);
}

/// model(**batch). As accelerate wraps it for transformers.Trainer autocast ends with it, and in mixed precision what
/// it returns is made fp32.
ModelOutput whole_model(Tape& tape, Model& model, const Batch& batch, const Recipe& recipe) {
  tape.autocast.enabled = is_mixed(recipe.precision);
  tape.autocast.dtype = recipe.precision == Precision::kFp16Mixed ? DType::kFloat16 : DType::kBFloat16;
  const auto run = [&] {
    const Unit unit(tape, 0);
    return model.forward(batch);
  };
  ModelOutput output = run();
  tape.autocast.enabled = false;
  if (!recipe.trainer->is_transformers_loop) return output;
  tape.autocast.cache.clear();
  if (output.logits && is_mixed(recipe.precision)) output.logits = to(output.logits, DType::kFloat32);
  return output;
}

/// loss = model(**batch).loss, nothing else of the output being held; divided where gradients accumulate, or times the
/// number of ranks in transformers.Trainer.
Tensor forward(Tape& tape, Model& model, const Batch& batch, const Recipe& recipe, const DataParallel* parallel) {
  ModelOutput output = whole_model(tape, model, batch, recipe);
  if (parallel != nullptr) output = parallel->passed(std::move(output));
  const bool averages = recipe.transformers == Transformers::kV523;  // average_tokens_across_devices is on
  if (recipe.trainer->is_transformers_loop) return averages ? mul_scalar_in_place(output.loss) : output.loss;
  Tensor loss = std::exchange(output, {}).loss;
  if (recipe.accumulate > 1) loss = div_scalar(loss);
  tape.autocast.cache.clear();
  return loss;
}

/// One micro-batch of step 1; the loop's names end with it.
void trace_micro_batch(Tape& tape, Batches& batches, Model& model, const Recipe& recipe, int32_t micro,
                       DataParallel* parallel) {
  tape.begin_phase(1, micro, "input");
  tape.category = Category::kInputs;
  const Batch batch = batches.take(micro);
  tape.begin_phase(1, micro, "forward");
  if (parallel != nullptr) parallel->rebuild_buckets();
  tape.category = Category::kActivations;
  const Tensor loss = forward(tape, model, batch, recipe, parallel);
  tape.begin_phase(1, micro, "backward");
  run_backward(tape, loss);
}

void trace_update(Tape& tape, std::vector<OptimizerRun>& optimizers, const Recipe& recipe, int32_t step) {
  if (recipe.clip) {
    tape.begin_phase(step, -1, "clip");
    clip_grad_norm(tape, recipe.sharding.shards > 1);
  }
  tape.begin_phase(step, -1, "optimizer");
  for (OptimizerRun& optimizer : optimizers) optimizer.step();
}

/// The phases of the update of step 2, which are not in the program yet: those of step 1 (from `first` on) without its
/// state, or others.
std::vector<Phase> later_update(Tape& tape, std::vector<OptimizerRun>& optimizers, const Recipe& recipe, size_t first) {
  std::vector<Phase>& phases = tape.program.phases;
  const size_t end = phases.size();
  const bool alike = optimizers.size() == 1 && optimizers[0].steady_segment() >= 0;
  if (!alike) trace_update(tape, optimizers, recipe, 2);
  std::vector<Phase> later(phases.begin() + static_cast<ptrdiff_t>(alike ? first : end), phases.end());
  phases.resize(end);
  for (Phase& phase : later) phase.step = 2;
  if (alike) later.back().first_segment = optimizers[0].steady_segment();
  return later;
}

/// The micro-batches that are traced. From the second one on gradients are there and every one is the same, but for the
/// last where only that reduces.
std::vector<int64_t> traced_micro_batches(const Recipe& recipe, bool unrolled) {
  std::vector<int64_t> micros;
  for (int64_t micro = 0; micro < recipe.accumulate && (unrolled || micro < 2); ++micro) micros.push_back(micro);
  if (recipe.ddp.no_sync && micros.back() + 1 < recipe.accumulate) micros.push_back(recipe.accumulate - 1);
  return micros;
}

void zero_grad(Tape& tape) {
  for (const Parameter& parameter : tape.parameters) gradient_of(parameter).reset();
}

/// Step 2 does again what step 1 did up to its update: nothing before it depends on the optimizer's state. What a phase
/// does before the segment `once` it does once; `renewed` is the first input phase where that is another.
void repeat_micro_batches(Program& program, int32_t once, const std::optional<Phase>& renewed) {
  const std::vector<Phase> done = program.phases;
  for (Phase phase : done) {
    if (phase.step != 1 || phase.micro < 0) continue;
    const bool loads = renewed && phase.micro == 0 && phase.name == std::string_view("input");
    if (loads) phase = *renewed;
    phase.step = 2;
    if (phase.first_segment < once && once <= phase.last_segment) phase.first_segment = once;
    program.phases.push_back(phase);
  }
}

/// The input phase of step 2 where the loop still holds the batches of step 1.
std::optional<Phase> renew(Tape& tape, Batches& batches) {
  if (!batches.are_held()) return std::nullopt;
  tape.begin_phase(2, 0, "input");
  batches.renew();
  const Phase renewed = tape.program.phases.back();
  tape.program.phases.pop_back();
  return renewed;
}

/// Whether the first optimizer of a recipe trains a parameter: all of them, or matrices, those outside of layers only
/// where asked.
bool takes(const Recipe& recipe, const Parameter& parameter) {
  return recipe.optimizer->takes_others ||
         (parameter.value.shape().rank == 2 && (recipe.all_matrices || parameter.unit != 0));
}

/// What an optimizer of the recipe does, parameter by parameter. Numbers decide, so the model is built on them.
/// transformers.Trainer keeps the states of embeddings in 32 bits (5.23, trainer.py, create_optimizer).
std::vector<Kept> kept_states(const Job& job, const Structure& structure, const Optimizer& optimizer) {
  const Recipe& recipe = job.recipe;
  if (!optimizer.in_8_bits && !optimizer.pages && recipe.optimizer->takes_others) return {};
  const Dims dims = number_dims(job);
  Tape tape;
  tape.begin_phase(0, -1, "model");
  const auto model = find_family(job.description.family)->build({tape, job.description, dims, structure});
  std::vector<Kept> states;
  for (const Parameter& parameter : tape.parameters) {
    const bool full = parameter.of_embedding && recipe.trainer->is_transformers_loop;
    states.push_back(kept(optimizer, parameter.value.shape().elements().number(), full));
    states.back().taken = takes(recipe, parameter) == (&optimizer == recipe.optimizer);
  }
  return states;
}

std::vector<std::string> modules_of(const std::string& path) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    names.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

/// Whether PEFT's rule, that a module's name ends so, finds modules outside of the layers, none within another.
bool can_be_saved(const std::string& name, const std::vector<std::string>& paths) {
  return std::all_of(paths.begin(), paths.end(), [&](const std::string& path) {
    const std::vector<std::string> modules = modules_of(path);
    const auto found = std::count_if(modules.begin(), modules.end(), [&](const auto& m) { return m.ends_with(name); });
    const bool in_layer = std::find(modules.begin(), modules.end(), "*") != modules.end();
    return found <= (in_layer ? 0 : 1);
  });
}

/// One optimizer, or two of which the second trains what the first does not.
std::vector<OptimizerRun> optimizers_of(Tape& tape, const Job& job, const Structure& structure) {
  const Recipe& recipe = job.recipe;
  std::vector<OptimizerRun> runs;
  runs.emplace_back(tape, *recipe.optimizer, recipe.impl, kept_states(job, structure, *recipe.optimizer));
  if (recipe.rest != nullptr)
    runs.emplace_back(tape, *recipe.rest, recipe.rest_impl, kept_states(job, structure, *recipe.rest));
  return runs;
}

}  // namespace

LossPieces loss_pieces(const Job& job) {
  const Dims dims = number_dims(job);
  LossPieces traced;
  traced.chunks = pieces(dims.batch * dims.seq, dims.loss_rows);
  traced.token_tiles = pieces(dims.batch * (dims.seq - 1), kTokenTile);
  traced.vocabulary_tiles = pieces(dims.vocab, kVocabularyTile);
  return traced;
}

Dims number_dims(const Job& job) {
  const Description& d = job.description;
  const Recipe& r = job.recipe;
  Dims dims;
  dims.batch = r.batch;
  dims.seq = r.seq;
  dims.hidden = d.hidden;
  dims.embedding = d.embedding;
  dims.heads = d.heads;
  dims.kv_heads = d.kv_heads;
  dims.head_dim = d.head_dim;
  dims.rotary = d.rotary;
  dims.ffn = d.ffn;
  dims.vocab = d.vocab;
  dims.positions = d.positions;
  dims.token_types = d.token_types;
  dims.labels = d.labels;
  dims.lora_rank = r.lora.rank;
  dims.padded_head_dim = round_up_8(d.head_dim);
  dims.padded_seq = round_up_8(r.seq);
  dims.experts = d.experts;
  dims.experts_per_token = d.experts_per_token;
  dims.shared_ffn = d.shared_ffn;
  dims.bias_row = round_up_16(r.seq);
  dims.target_seq = r.target_seq;
  dims.padded_target = round_up_8(r.target_seq);
  dims.target_bias_row = round_up_16(r.target_seq);
  dims.flash_columns = flash_columns(d, dims.padded_head_dim);
  dims.flash_rows = round_up(dims.seq, kFlashRows);
  dims.loss_rows = loss_rows(d, dims);
  for (const LayerRun& run : d.runs) dims.runs.emplace_back(run.turns());
  for (const LayerRun& run : d.decoder_runs) dims.decoder_runs.emplace_back(run.turns());
  return dims;
}

Dims symbol_dims(const Job& job, Pool& pool, std::vector<int64_t>& values) {
  const Description& d = job.description;
  const Recipe& r = job.recipe;
  Symbols symbol(pool, values);
  Dims dims = number_dims(job);
  dims.batch = symbol("B", r.batch);
  if (d.image == 0) dims.seq = symbol("T", r.seq);  // the patches of an image are a number
  dims.hidden = symbol("C", d.hidden);
  if (d.embedding == d.hidden) dims.embedding = dims.hidden;
  dims.heads = symbol("N", d.heads);
  dims.kv_heads = d.kv_heads == d.heads ? dims.heads : symbol("K", d.kv_heads);
  dims.head_dim = d.head_dim_is_quotient ? exact_div(dims.hidden, dims.heads) : symbol("D", d.head_dim);
  dims.rotary = share_of(dims.head_dim, d.rotary, d.head_dim);
  dims.ffn = d.ffn_is_four_hidden ? 4 * dims.hidden : symbol("F", d.ffn);
  dims.vocab = symbol("V", d.vocab);
  if (r.lora.rank > 0) dims.lora_rank = symbol("R", r.lora.rank);
  if (d.learned_positions) dims.positions = symbol("P", d.positions);
  dims.padded_head_dim = d.head_dim % 8 == 0 ? dims.head_dim : round_up(dims.head_dim, 8);
  dims.padded_seq = r.seq % 8 == 0 ? dims.seq : round_up(dims.seq, 8);
  if (d.experts > 0 && r.experts == Experts::kGrouped) dims.experts = symbol("E", d.experts);
  dims.bias_row = r.seq % 16 == 0 ? dims.seq : round_up(dims.seq, 16);
  if (d.task == Task::kSeq2SeqLm) {
    dims.target_seq = symbol("U", r.target_seq);
    dims.padded_target = r.target_seq % 8 == 0 ? dims.target_seq : round_up(dims.target_seq, 8);
    dims.target_bias_row = r.target_seq % 16 == 0 ? dims.target_seq : round_up(dims.target_seq, 16);
  }
  dims.flash_columns = flash_columns(d, dims.padded_head_dim);
  dims.flash_rows = r.seq % kFlashRows == 0 ? dims.seq : round_up(dims.seq, kFlashRows);
  dims.loss_rows = loss_rows(d, dims);
  if (const LayerRun* run = run_of_any_length(d.runs)) {
    const Expr layers = symbol("L", d.layers);
    put_layers(layers, d.layers, *run, d.runs, dims.runs);
    if (d.decoder_layers == d.layers)
      if (const LayerRun* other = run_of_any_length(d.decoder_runs))
        put_layers(layers, d.layers, *other, d.decoder_runs, dims.decoder_runs);
  }
  return dims;
}

Program built(const Job& job, bool unrolled) {
  const Structure structure = structure_of(job, unrolled);
  const Dims dims = number_dims(job);
  Tape tape;
  tape.begin_phase(0, -1, "model");
  const auto model = find_family(job.description.family)->build({tape, job.description, dims, structure});
  return tape.finish();
}

Division division(const Job& job) {
  Division counts;
  for (const Kept& parameter : kept_states(job, structure_of(job, false), *job.recipe.optimizer))
    ++(parameter.taken ? counts.taken : counts.left);
  return counts;
}

std::vector<std::string> linear_modules(const Job& job) {
  Job adapted = job;
  adapted.recipe.lora = {.rank = 1, .targets = {}, .saved = {}};
  const Program program = built(adapted);
  std::vector<std::string> names;
  for (const ScopeName& scope : program.scopes) {
    if (std::string_view(scope.name) != "lora_A") continue;
    std::string name(Lora::last_name(program.scopes[static_cast<size_t>(scope.parent)].name));
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

std::vector<std::string> modules_to_save(const Job& job) {
  Program program = built(job);
  std::vector<std::string> paths;  // of parameters' modules
  for (const Weight& weight : program.weights) {
    const std::string path = program.path(program.scopes[static_cast<size_t>(weight.scope)].parent);
    if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.push_back(path);
  }
  if (job.description.task == Task::kCausalLm && job.description.tied) paths.emplace_back("lm_head");
  std::vector<std::string> names;
  for (const std::string& path : paths)
    for (const std::string& name : modules_of(path))
      if (can_be_saved(name, paths) && std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(name);
  return names;
}

bool quantizes_linear_layers(const Job& job) {
  const Program program = built(job);
  return std::any_of(program.storages.begin(), program.storages.end(), [](const Storage& storage) {
    return storage.category == Category::kWeights && size_of(storage.dtype) == 1;
  });
}

Program trace_step(const Job& job, const Dims& dims, bool unrolled) {
  const Recipe& recipe = job.recipe;
  const Structure structure = structure_of(job, unrolled);
  Tape tape;
  const Builder builder = {tape, job.description, dims, structure};
  tape.begin_phase(0, -1, "model");
  tape.meta_parameters = is_wrapped(recipe.sharding);
  const std::unique_ptr<Model> model = find_family(job.description.family)->build(builder);
  const Tensor codes = shared_codes(builder);
  std::optional<FullyShard> sharded;
  if (is_wrapped(recipe.sharding)) sharded.emplace(tape, recipe);
  std::optional<DataParallel> parallel;
  if (recipe.ddp.ranks > 1) parallel.emplace(tape, recipe.ddp);
  std::vector<OptimizerRun> optimizers = optimizers_of(tape, job, structure);
  Batches batches(builder, recipe);
  for (const int64_t micro : traced_micro_batches(recipe, unrolled)) {
    if (parallel) parallel->synchronize(!recipe.ddp.no_sync || micro + 1 == recipe.accumulate);
    trace_micro_batch(tape, batches, *model, recipe, static_cast<int32_t>(micro), parallel ? &*parallel : nullptr);
    tape.drop_leaves();
  }
  // Both updates happen while the gradients are there: the first makes the state, the second is the steady one.
  const size_t before = tape.program.phases.size();
  trace_update(tape, optimizers, recipe, 1);
  const std::vector<Phase> steady = later_update(tape, optimizers, recipe, before);
  tape.begin_phase(1, -1, "zero_grad");
  zero_grad(tape);
  Phase cleared = tape.program.phases.back();
  cleared.step = 2;
  if (parallel) parallel->rebuild_buckets();  // in step 2's first forward pass, where no gradients are yet either
  const std::optional<Phase> renewed = renew(tape, batches);
  repeat_micro_batches(tape.program, parallel ? parallel->once() : -1, renewed);
  tape.program.phases.insert(tape.program.phases.end(), steady.begin(), steady.end());
  tape.program.phases.push_back(cleared);
  return tape.finish();
}

}  // namespace peakmem
