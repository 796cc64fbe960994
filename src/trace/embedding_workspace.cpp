#include "trace/embedding_workspace.h"

#include "trace/workspace.h"

namespace peakmem {
namespace {

constexpr const char* kName = "embedding_dense_backward";
constexpr int64_t kFewTokens = 3072;  // up to which nothing is sorted
constexpr int64_t kPartRows = 10;     // of the gradient that are added up in one go
constexpr int64_t kIndex = 8;         // bytes
constexpr int64_t kFloat = 4;
constexpr int64_t kSmallTemporary =
    1279;  // of CUB's unique and scan up to some 20,000 tokens on an A100: five times 256

/// Of CUB's radix sort of index pairs: a second copy of keys and values, histograms of 8 bits a pass, and the state of
/// every tile, each rounded up to 256 (dispatch_radix_sort.cuh, onesweep). Which bits are sorted is said by the
/// weight's rows, of which 256 at least are taken for two passes.
Expr sort_bytes(const Processor& processor, Expr tokens, Expr rows) {
  constexpr int64_t kPart = 256;
  const Expr third_pass = floor_div(rows - 1, 1 << 16);  // and a fourth past 2^24 rows, which no vocabulary has
  const Expr passes = 2 + least(1, third_pass);
  const Expr copies = 2 * round_up(tokens * kIndex, kPart);
  return copies + passes * 8 * kPart + ceil_div(tokens, processor.sort_tile) * 4 * kPart + kPart + kPart - 1;
}

}  // namespace

Tensor run_embedding_backward(Tape& tape, Expr tokens, const Shape& weight, DType dtype) {
  const Expr are_many = least(1, floor_div(tokens, kFewTokens + 1));
  const auto take = [&](Expr bytes) { return workspace(tape, are_many * bytes, kName); };
  const Expr segments = least(tokens, weight[0]);
  const Expr parts = floor_div(tokens, kPartRows) + segments;
  const Tensor sorted = take(tokens * kIndex);
  const Tensor original = take(tokens * kIndex);
  {
    const Tensor range = take(tokens * kIndex);
    const Tensor sort = take(sort_bytes(tape.processor, tokens, weight[0]));
  }
  Tensor gradient = tape.make(contiguous(weight), dtype, kName);
  const Tensor segment_offsets = take(tokens * kIndex);
  const Tensor count = take(kIndex);
  {
    const Tensor keys = take(tokens * kIndex);
    const Tensor unique = take(kSmallTemporary);
  }
  const Tensor parts_of_segments = take(segments * kIndex);
  const Tensor part_offsets = take(segments * kIndex);
  take(kSmallTemporary);
  const Tensor part_count = take(kIndex);
  const Tensor part_starts = take(parts * kIndex);
  const Tensor part_gradients = take(parts * weight[1] * kFloat);
  return gradient;
}

}  // namespace peakmem
