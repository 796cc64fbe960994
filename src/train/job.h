// A job: a model and how it is trained, with its sizes and what of them decides which ops run.
#pragma once

#include "model/family.h"
#include "train/recipe.h"

namespace peakmem {

/// A model and how it is trained.
struct Job {
  Description description;
  Recipe recipe;
};

/// What is decided by numbers before anything is traced. `unrolled`: see trace_step.
Structure structure_of(const Job& job, bool unrolled = false);

/// In how many pieces a job's loss would be traced.
LossPieces loss_pieces(const Job& job);

/// The job's sizes as numbers.
/// Rows of a chunk of Liger's loss.
Expr loss_rows(const Description& description, const Dims& dims);

Dims number_dims(const Job& job);
/// The job's sizes as symbols of `pool`, with the value of each; a size of 1 stays a number, for PyTorch takes other
/// paths for it. Values are in the order Pool::evaluate takes.
Dims symbol_dims(const Job& job, Pool& pool, std::vector<int64_t>& values);

}  // namespace peakmem
