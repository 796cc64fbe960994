#include "model/part.h"

#include "model/dims.h"

namespace peakmem {
namespace {

/// The same choices over heads of other sizes, and sequences that nothing masks.
Structure part_structure(const Builder& whole, const Description& d, int64_t seq) {
  Structure s = whole.structure;
  s.grouped = d.kv_heads != d.heads;
  s.wide_heads = d.head_dim > 256;
  s.attention_kernels = attention_kernels(whole.tape.processor, d.head_dim, d.head_dim);
  s.window_cuts = s.padding_mask = s.single_target = false;
  s.single_token = seq == 1;
  return s;
}

Dims part_dims(const Builder& whole, const Description& d, int64_t rows, int64_t seq) {
  Dims dims = sizes_of(d, rows * whole.dims.batch, seq);
  dims.lora_rank = whole.dims.lora_rank;
  return dims;
}

}  // namespace

Part::Part(const Builder& whole, const Description& description, int64_t rows, int64_t seq)
    : whole_(whole),
      description_(description),
      rows_(rows),
      seq_(seq),
      dims_(part_dims(whole, description, rows, seq)),
      structure_(part_structure(whole, description, seq)),
      builder_{whole.tape, description_, dims_, structure_, nullptr, whole.untied, true} {}

void Part::renew() {
  dims_ = part_dims(whole_, description_, rows_, seq_);
  structure_ = part_structure(whole_, description_, seq_);
}

}  // namespace peakmem
