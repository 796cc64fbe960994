#include "model/block_masks.h"

#include <array>

namespace peakmem {
namespace {

Tensor boolean(const Builder& b, const Shape& sizes, const char* op) { return b.tape.make(sizes, DType::kBool, op); }

/// The places of batch, heads, queries and keys.
std::array<Tensor, 4> make_ranges(const Builder& b) {
  Tape& tape = b.tape;
  const auto offset = [&] {
    const Tensor range = tape.make({b.dims.seq}, DType::kInt64, "arange");
    return tape.make({b.dims.seq}, DType::kInt64, "add");
  };
  std::array<Tensor, 4> ranges;
  ranges[0] = tape.make({b.dims.batch}, DType::kInt64, "arange");
  ranges[1] = tape.make({1}, DType::kInt64, "arange");
  ranges[2] = offset();
  ranges[3] = offset();
  return ranges;
}

/// Whether queries and keys are of one block; each has its block's number at hand. `heads`: the rank has their 1.
Tensor same_block(const Builder& b, bool heads) {
  const Expr rows = b.dims.batch;
  const Expr seq = b.dims.seq;
  Tape& tape = b.tape;
  const Tensor queries = tape.make(heads ? Shape{rows, 1, seq, 1} : Shape{rows, seq}, DType::kInt64, "index");
  const Tensor keys = tape.make(heads ? Shape{rows, 1, 1, seq} : Shape{rows, seq}, DType::kInt64, "index");
  const Shape square = heads ? Shape{rows, 1, seq, seq} : Shape{rows, seq, seq};
  const Tensor equal = boolean(b, square, "eq");
  const Tensor is_block = boolean(b, queries.shape(), "ge");
  return boolean(b, square, "bitwise_and");
}

/// As attention takes it.
Tensor as_asked(const Builder& b, Tensor visible, DType dtype) {
  if (b.structure.attention == Attention::kSdpa) return visible;
  const Tensor zero = b.tape.make({}, dtype, "zeros");
  const Tensor lowest = b.tape.make({}, dtype, "scalar_tensor");
  return b.tape.make({b.dims.batch, 1, b.dims.seq, b.dims.seq}, dtype, "where");
}

}  // namespace

Tensor block_mask(const Builder& b, DType dtype) {
  const NoGrad no_grad(b.tape);
  const Scope scope(b.tape, "causal_mask");
  const Expr seq = b.dims.seq;
  Tensor visible;
  {
    const std::array<Tensor, 4> ranges = make_ranges(b);
    Tensor causal;
    {
      const Tensor no = boolean(b, {}, "new_zeros");
      const Tensor before = boolean(b, {1, 1, seq, seq}, "le");
      causal = boolean(b, {1, 1, seq, seq}, "bitwise_or");
    }
    const Tensor block = same_block(b, true);
    visible = boolean(b, {b.dims.batch, 1, seq, seq}, "bitwise_or");
  }
  return as_asked(b, std::move(visible), dtype);
}

Tensor windowed_block_mask(const Builder& b, DType dtype) {
  const NoGrad no_grad(b.tape);
  const Scope scope(b.tape, "causal_mask");
  const Expr seq = b.dims.seq;
  const Shape square = {b.dims.batch, seq, seq};
  Tensor visible;
  {
    const std::array<Tensor, 4> ranges = make_ranges(b);
    {
      Tensor yes = boolean(b, {seq}, "new_ones");
      Tensor either;
      {
        Tensor causal;
        {
          const Tensor no = boolean(b, {seq}, "new_zeros");
          const Tensor before = boolean(b, {seq, seq}, "le");
          causal = boolean(b, {seq, seq}, "bitwise_or");
        }
        const Tensor block = same_block(b, false);
        either = boolean(b, square, "bitwise_or");
      }
      visible = boolean(b, square, "bitwise_and");
    }
    Tensor inside;
    {
      const Tensor edge = b.tape.make({seq}, DType::kInt64, "sub");
      inside = boolean(b, {seq, seq}, "gt");
    }
    visible = boolean(b, square, "bitwise_and");
  }
  return as_asked(b, unsqueeze(std::move(visible), 1), dtype);
}

}  // namespace peakmem
