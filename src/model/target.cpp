#include "model/target.h"

#include "model/dims.h"

namespace peakmem {

Dims target_dims(const Dims& dims) {
  Dims decoder = dims;
  decoder.seq = dims.target_seq;
  decoder.padded_seq = dims.padded_target;
  decoder.bias_row = dims.target_bias_row;
  decoder.flash_rows = round_up(dims.target_seq, kFlashRows);
  decoder.runs = dims.decoder_runs;
  return decoder;
}

Structure target_structure(Structure structure) {
  structure.single_token = structure.single_target;
  structure.padding_mask = false;
  return structure;
}

Tensor shift_right(const Tensor& labels) {
  Tape& tape = labels.tape();
  Tensor shifted = tape.make(labels.shape(), DType::kInt64, "new_zeros");
  {
    const Tensor rest = tape.make({labels.size(0), labels.size(1) - 1}, DType::kInt64, "clone");
  }
  const Tensor ignored = tape.make(labels.shape(), DType::kBool, "eq");
  return shifted;
}

}  // namespace peakmem
