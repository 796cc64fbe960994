#include "model/dims.h"

namespace peakmem {

Expr flash_columns(const Description& d, Expr padded_head_dim) {
  const int64_t padded = round_up_8(d.head_dim);
  if (padded > 192) return 256;
  return padded % 32 == 0 ? padded_head_dim : round_up(padded_head_dim, 32);
}

Expr sdpa_columns(const Description& d, Expr padded_head_dim) {
  const int64_t padded = round_up_8(d.head_dim);
  const int64_t step = flash_column_step(padded);
  return padded % step == 0 ? padded_head_dim : round_up(padded_head_dim, step);
}

Dims sizes_of(const Description& d, Expr batch, int64_t seq) {
  Dims dims;
  dims.examples = dims.batch = batch;
  dims.seq = dims.completion = seq;
  dims.scored = dims.seq - 1;
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
  dims.padded_head_dim = round_up_8(d.head_dim);
  dims.padded_seq = round_up_8(seq);
  dims.experts = d.experts;
  dims.experts_per_token = d.experts_per_token;
  dims.shared_ffn = d.shared_ffn;
  dims.dense_ffn = d.dense_ffn;
  dims.value_dim = d.value_dim;
  dims.query_latents = d.query_latents;
  dims.value_latents = d.value_latents;
  dims.expert_groups = d.expert_groups;
  dims.groups_per_token = d.groups_per_token;
  dims.bias_row = round_up_16(seq);
  dims.sdpa_columns = sdpa_columns(d, dims.padded_head_dim);
  dims.flash_columns = flash_columns(d, dims.padded_head_dim);
  dims.flash_rows = round_up(dims.seq, kFlashRows);
  for (const LayerRun& run : d.runs) dims.runs.emplace_back(run.turns());
  for (const LayerRun& run : d.decoder_runs) dims.decoder_runs.emplace_back(run.turns());
  return dims;
}

}  // namespace peakmem
