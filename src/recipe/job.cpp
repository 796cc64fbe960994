#include "recipe/job.h"

#include <algorithm>
#include <numeric>

#include "model/dims.h"
#include "recipe/images.h"

namespace peakmem {
namespace {

/// part / whole of an expression.
Expr share_of(Expr expression, int64_t part, int64_t whole) {
  const int64_t common = std::gcd(part, whole);
  return part == whole ? expression : exact_div(part / common * expression, whole / common);
}

LengthForm form_of(int64_t length) {
  return {length == 1, length % 8 == 0, length % 16 == 0, length % kFlashRows == 0};
}

int64_t pieces(Expr all, Expr each) { return std::clamp<int64_t>(ceil_div(all, each).number(), 1, 3); }

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

/// Liger's models make logits where they do not train, unless Trainer tells them that the loss is all it wants
/// (5.23, Trainer.prediction_step, skip_logits).
LossKernel evaluated_loss(const Recipe& recipe) {
  const bool wants_loss_alone = recipe.trainer->is_transformers_loop && !recipe.eval_logits;
  const bool skips_logits = recipe.kernels.loss != LossKernel::kFusedLinear || wants_loss_alone;
  return skips_logits ? recipe.kernels.loss : LossKernel::kHf;
}

Dims recorded_numbers(const Job& job) {
  Dims dims;
  dims.letters.assign(job.letters.begin(), job.letters.end());
  return dims;
}

Dims recorded_symbols(const Job& job, Pool& pool, std::vector<int64_t>& values) {
  Dims dims;
  for (const Letter& letter : job.recording->letters) dims.letters.push_back(pool.symbol(letter.name));
  values = job.letters;
  dims.symbol_values = values;
  return dims;
}

/// That run has what the letter leaves to it.
void put_layers(Expr letter, int64_t layers, const LayerRun& run, const std::vector<LayerRun>& runs,
                std::vector<Expr>& turns) {
  const Expr own = letter - Expr(layers - run.layers);
  turns[static_cast<size_t>(&run - runs.data())] = exact_div(own, run.period);
}

BatchKind batch_kind(const Recipe& recipe) {
  const bool is_scored = recipe.reference == Reference::kPrecomputed;
  switch (recipe.objective) {
    case Objective::kDpo:
      return is_scored ? BatchKind::kScoredPairs : BatchKind::kPairs;
    case Objective::kReward:
      return BatchKind::kRankedPairs;
    case Objective::kKto:
      return is_scored ? BatchKind::kScoredRated : BatchKind::kRated;
    case Objective::kOrpo:
    case Objective::kCpo:
    case Objective::kSimpo:
      return BatchKind::kSides;
    case Objective::kGrpo:
      return BatchKind::kCompletions;
    case Objective::kTask:
      break;
  }
  return BatchKind::kLabelled;
}

}  // namespace

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
  s.multiprocessors = r.processor.multiprocessors;
  s.loss = loss_pieces(job);
  s.imbalance = r.imbalance;
  s.weights = compute_dtype(r);
  s.casts_weights = r.sharding.casts_parameters;
  s.grouped = d.kv_heads != d.heads;
  s.wide_heads = d.head_dim > 256;
  s.attention_kernels = attention_kernels(r.processor, d.head_dim, d.value_dim > 0 ? d.value_dim : d.head_dim);
  s.window_cuts = r.seq >= d.window;  // a windowed mask without a window (Qwen2 MoE) is made as one that cuts
  s.single_token = r.seq == 1;
  s.images = takes_any_size(d) ? r.batch * r.images : 0;
  s.single_target = r.target_seq == 1;
  s.casts_inputs = r.sharding.casts_parameters && !r.sharding.flat.runs;
  s.outer_units = r.sharding.by_accelerate && !r.sharding.flat.runs;
  s.unrolled = unrolled || is_cut_by_numbers(r);
  s.quantize = r.quantize;
  s.double_quant = r.double_quant;
  s.dequantizes_forward = dequantizes_forward(r);
  s.dequantizes_experts = dequantizes_experts(r, d);
  s.compute = product_dtype(r);
  s.packed = packed_dtype(r);
  s.batch = batch_kind(r);
  if (r.reference != Reference::kNone && r.objective != Objective::kGrpo) s.outputs = TokenOutputs::kMetricsAndLogits;
  s.buffers = r.quantize == Quantize::kNone ? r.weights : s.packed;
  if (r.quantize != Quantize::kNone && !r.sharding.casts_parameters) s.weights = frozen_dtype(r);
  s.norms = r.quantize != Quantize::kNone && r.upcast == Upcast::kNorms ? DType::kFloat32 : s.weights;
  s.padding_mask = r.trainer->is_transformers_loop && !d.has_fixed_length();
  s.lora = r.lora.rank > 0 ? &r.lora : nullptr;
  s.freeze = r.freeze.patterns.empty() ? nullptr : &r.freeze;
  return s;
}

Job evaluation_of(const Job& job) {
  Job evaluation = job;
  if (job.recipe.eval_batch == 0) return evaluation;
  evaluation.recipe.batch = job.recipe.eval_batch;
  evaluation.recipe.kernels.loss = evaluated_loss(job.recipe);
  evaluation.recipe.checkpointing = Checkpointing::kNone;  // layers are checkpointed in training mode alone
  return evaluation;
}

Dims evaluation_dims(const Job& job, Dims dims) {
  dims.examples = job.recipe.eval_batch;
  dims.batch = job.recipe.choices * dims.examples;
  dims.loss_rows = loss_rows(job.description, dims);
  return dims;
}

JobForm form_of(const Job& job) {
  if (job.recording) return {};
  const Recipe& r = job.recipe;
  const Structure structure = structure_of(job);
  Structure evaluation = structure_of(evaluation_of(job));
  evaluation.lora = structure.lora;  // of the copy that is gone
  evaluation.freeze = structure.freeze;
  return {structure,      evaluation,           r.batch == 1, r.completion == r.seq ? 0 : r.completion,
          form_of(r.seq), form_of(r.target_seq)};
}

Expr loss_rows(const Description& d, const Dims& dims) {
  const Expr tokens = dims.batch * dims.seq;
  return d.vocab <= d.hidden ? tokens : power_of_two(ceil_div(tokens, ceil_div(dims.vocab, dims.hidden)));
}

LossPieces loss_pieces(const Job& job) {
  const Dims dims = number_dims(job);
  LossPieces traced;
  traced.chunks = pieces(dims.batch * dims.seq, dims.loss_rows);
  traced.token_tiles = pieces(dims.batch * dims.scored, kTokenTile);
  traced.vocabulary_tiles = pieces(dims.vocab, kVocabularyTile);
  return traced;
}

namespace {

/// Behind a prompt every token has a label, and the first one's prediction counts; else the first token has no
/// prediction.
void set_completion(const Recipe& recipe, Dims& dims) {
  const bool all = recipe.completion == 0 || recipe.completion == recipe.seq;
  dims.completion = all ? dims.seq : Expr(recipe.completion);
  dims.scored = all ? dims.seq - 1 : dims.completion;
}

}  // namespace

Dims number_dims(const Job& job) {
  if (job.recording) return recorded_numbers(job);
  const Description& d = job.description;
  const Recipe& r = job.recipe;
  Dims dims = sizes_of(d, r.choices * Expr(r.batch), r.seq);
  dims.examples = r.batch;
  set_completion(r, dims);
  dims.images = r.images;
  dims.lora_rank = r.lora.rank;
  dims.target_seq = r.target_seq;
  dims.padded_target = round_up_8(r.target_seq);
  dims.target_bias_row = round_up_16(r.target_seq);
  dims.loss_rows = loss_rows(d, dims);
  return dims;
}

Dims symbol_dims(const Job& job, Pool& pool, std::vector<int64_t>& values) {
  if (job.recording) return recorded_symbols(job, pool, values);
  const Description& d = job.description;
  const Recipe& r = job.recipe;
  const LengthForm seq = form_of(r.seq);
  const LengthForm target = form_of(r.target_seq);
  Symbols symbol(pool, values);
  const auto of_model = [&](const char* name, int64_t value) {
    return is_cut_by_numbers(r) ? Expr(value) : symbol(name, value);
  };
  Dims dims = number_dims(job);
  // Images of any size are seen one by one: how many there are is a number.
  if (!takes_any_size(d)) dims.examples = symbol("B", r.batch);
  dims.batch = r.choices * dims.examples;
  if (!d.has_fixed_length()) dims.seq = symbol("T", r.seq);  // patches of an image, frames of a sound are a number
  set_completion(r, dims);
  dims.hidden = of_model("C", d.hidden);
  if (d.embedding == d.hidden) dims.embedding = dims.hidden;
  dims.heads = of_model("N", d.heads);
  dims.kv_heads = d.kv_heads == d.heads ? dims.heads : of_model("K", d.kv_heads);
  dims.head_dim = d.head_dim_is_quotient ? exact_div(dims.hidden, dims.heads) : of_model("D", d.head_dim);
  dims.rotary = share_of(dims.head_dim, d.rotary, d.head_dim);
  dims.ffn = d.ffn_is_four_hidden ? 4 * dims.hidden : of_model("F", d.ffn);
  dims.vocab = of_model("V", d.vocab);
  if (r.lora.rank > 0) dims.lora_rank = of_model("R", r.lora.rank);
  if (d.learned_positions) dims.positions = of_model("P", d.positions);
  dims.padded_head_dim = d.head_dim % 8 == 0 ? dims.head_dim : round_up(dims.head_dim, 8);
  dims.padded_seq = seq.by_8 ? dims.seq : round_up(dims.seq, 8);
  if (d.experts > 0 && r.experts == Experts::kGrouped) dims.experts = of_model("E", d.experts);
  dims.bias_row = seq.by_16 ? dims.seq : round_up(dims.seq, 16);
  if (d.task == Task::kSeq2SeqLm) {
    dims.target_seq = symbol("U", r.target_seq);
    dims.padded_target = target.by_8 ? dims.target_seq : round_up(dims.target_seq, 8);
    dims.target_bias_row = target.by_16 ? dims.target_seq : round_up(dims.target_seq, 16);
  }
  dims.sdpa_columns = sdpa_columns(d, dims.padded_head_dim);
  dims.flash_columns = flash_columns(d, dims.padded_head_dim);
  dims.flash_rows = seq.by_flash_rows ? dims.seq : round_up(dims.seq, kFlashRows);
  dims.loss_rows = loss_rows(d, dims);
  if (const LayerRun* run = is_cut_by_numbers(r) ? nullptr : run_of_any_length(d.runs)) {
    const Expr layers = symbol("L", d.layers);
    put_layers(layers, d.layers, *run, d.runs, dims.runs);
    if (d.decoder_layers == d.layers)
      if (const LayerRun* other = run_of_any_length(d.decoder_runs))
        put_layers(layers, d.layers, *other, d.decoder_runs, dims.decoder_runs);
  }
  dims.symbol_values = values;
  return dims;
}

}  // namespace peakmem
