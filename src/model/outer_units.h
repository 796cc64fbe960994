// Which units what is outside of layers is in, as accelerate divides a model for FSDP2
// (accelerate 1.15, utils/fsdp_utils.py, fsdp2_prepare_model):
//
//     embedding | layers | last norm, head | all else: the model's own
//     tied:       layers | embedding = head, last norm | all else
//
// The last norm is looked for among the children of the model's body: beside adapters PEFT's model hides that, and the
// norm is the model's own. Only models that have one (get_output_embeddings) have a head there.
#pragma once

#include "model/modules.h"

namespace peakmem {

/// The unit of a part that is made now; 0 where what is outside of layers is one unit.
int32_t outer_unit(const Builder& b, Outer part);

/// What `make` makes of such a part, its parameters in the part's unit.
template <class Make>
auto in_outer_unit(const Builder& b, Outer part, Make make) {
  const int32_t unit = std::exchange(b.tape.unit, outer_unit(b, part));
  b.tape.outer.units[static_cast<size_t>(part)] = b.tape.unit;
  auto made = make();
  b.tape.unit = unit;
  return made;
}

/// The head's weight for who multiplies with it and does not call the head. Where no other part of its unit has run, it
/// is gathered for that alone, as it is kept (DTensor.full_tensor).
Tensor head_weight(const Builder& b, const Tensor& weight);

/// Its call, in that unit.
template <class Call>
auto call_in_outer_unit(Tape& tape, Outer part, Call call) {
  const OuterUnit unit(tape, part);
  return call();
}

}  // namespace peakmem
