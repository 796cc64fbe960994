#include "megatron/job.h"

namespace peakmem::mcore {

Place place_of(const Degrees& degrees, int64_t rank) {
  const int64_t of_stage = rank % (degrees.tp * degrees.copies());
  return {.tensor = rank % degrees.tp,
          .context = of_stage / degrees.tp % degrees.cp,
          .data = of_stage / degrees.tp,
          .stage = rank / (degrees.tp * degrees.copies()),
          .expert = of_stage / degrees.expert_tp() % degrees.ep,
          .expert_data = of_stage / (degrees.expert_tp() * degrees.ep)};
}

// get_transformer_layer_offset and get_num_layers_to_build (transformer_layer.py, transformer_block.py).
Chunk chunk_of(const Job& job, int64_t stage, int64_t number) {
  const Degrees& d = job.degrees;
  const Training& t = job.training;
  const int64_t uneven = (t.first_layers > 0 ? 1 : 0) + (t.last_layers > 0 ? 1 : 0);
  const int64_t rest = job.model.layers - t.first_layers - t.last_layers;
  const int64_t each = d.pp > uneven ? rest / (d.pp - uneven) : 0;
  const bool is_first = stage == 0;
  const bool is_last = stage == d.pp - 1;
  Chunk chunk;
  if (is_first && t.first_layers > 0)
    chunk.layers = t.first_layers / d.vpp;
  else if (is_last && t.last_layers > 0)
    chunk.layers = t.last_layers / d.vpp;
  else
    chunk.layers = each / d.vpp;
  chunk.first = number * (job.model.layers / d.vpp) + stage * (each / d.vpp);
  if (t.first_layers > 0 && !is_first) chunk.first += (t.first_layers - each) / d.vpp;
  chunk.embeds = is_first && number == 0;
  chunk.heads = is_last && number == d.vpp - 1;
  return chunk;
}

}  // namespace peakmem::mcore
