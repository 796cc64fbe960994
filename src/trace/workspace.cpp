#include "trace/workspace.h"

#include <utility>

namespace peakmem {

Tensor workspace(Tape& tape, Expr bytes, const char* made_by) {
  if (identical(bytes, 0)) return Tensor();
  const Category outer = std::exchange(tape.category, Category::kWorkspace);
  Tensor made = tape.make(Shape{bytes}, DType::kUInt8, made_by);
  tape.category = outer;
  return made;
}

void run_product(Tape& tape) { tape.make(Shape{0}, DType::kUInt8, "mm"); }

Expr dense_bytes(const Tensor& tensor) { return tensor.shape().elements() * size_of(tensor.dtype()); }

// Leading dimensions that go are summed over as rows; the others are its columns.
void run_reduction(const Tensor& input, const Shape& sizes) {
  const Shape& shape = input.shape();
  int kept = 0;
  while (kept < sizes.rank && kept < shape.rank && identical(sizes[-1 - kept], shape[-1 - kept])) ++kept;
  Expr rows = 1;
  for (int i = 0; i < shape.rank - kept; ++i) rows = rows * shape[i];
  if (kept == 0 || !is_contiguous(shape) || !identical(shape.elements(), rows * sizes.elements())) return;
  Tape& tape = input.tape();
  const ReductionWorkspace& taken = tape.reductions.find(tape.processor, rows, sizes.elements(), tape.symbol_values);
  const Tensor buffer = workspace(tape, taken.buffer, "sum");
  const Tensor semaphores = workspace(tape, taken.semaphores, "sum");
}

}  // namespace peakmem
