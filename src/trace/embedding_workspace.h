// What the gradient of an embedding takes for itself where its tokens are many: they are sorted, so that rows of one
// token lie together and are added up by parts (EmbeddingBackwardKernel.cu, Embedding.cu, torch 2.13).
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// The gradient, in `dtype`, of a weight [rows, width] of which `tokens` rows were looked up, made with all that
/// embedding_dense_backward takes meanwhile; that is nothing up to 3,072 tokens.
Tensor run_embedding_backward(Tape& tape, Expr tokens, const Shape& weight, DType dtype);

}  // namespace peakmem
