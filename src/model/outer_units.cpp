#include "model/outer_units.h"

#include <algorithm>

namespace peakmem {

int32_t outer_unit(const Builder& b, Outer part) {
  if (!b.structure.outer_units) return 0;
  const bool adapts = b.structure.lora != nullptr;
  const bool tied = b.description.tied && b.description.task == Task::kCausalLm;
  const auto unit_of = [&](Outer other) { return b.tape.outer.units[static_cast<size_t>(other)]; };
  switch (part) {
    case Outer::kEmbedding:
      return b.tape.new_unit();
    case Outer::kNorm:
      if (adapts) return 0;
      return tied ? unit_of(Outer::kEmbedding) : b.tape.new_unit();
    case Outer::kHead:
      if (tied) return unit_of(Outer::kEmbedding);
      return adapts ? b.tape.new_unit() : unit_of(Outer::kNorm);
  }
  return 0;
}

Tensor head_weight(const Builder& b, const Tensor& weight) {
  Tape& tape = b.tape;
  const auto& units = tape.outer.units;
  const int32_t head = units[static_cast<size_t>(Outer::kHead)];
  const bool is_alone = std::count(units.begin(), units.end(), head) == 1;
  if (head == 0 || !is_alone || tape.hooks == nullptr) return weight;
  const Expr padded = tape.program.storages[static_cast<size_t>(weight->storage)].bytes;
  const DType kept = b.structure.buffers;
  const Tensor gathered = tape.make({exact_div(padded, Expr(size_of(weight.dtype())))}, kept, "all_gather_into_tensor");
  return tape.look(gathered, weight.shape(), true);
}

}  // namespace peakmem
