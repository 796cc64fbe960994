// A job: a model and how it is trained, with its sizes and what of them decides which ops run.
#pragma once

#include <memory>
#include <vector>

#include "family/family.h"
#include "recipe/recipe.h"
#include "trace/recording.h"

namespace peakmem {

/// A model and how it is trained; or a step that was traced elsewhere, of which the first two say nothing.
struct Job {
  Description description;
  Recipe recipe;
  std::shared_ptr<const Recording> recording;
  std::vector<int64_t> letters;  // the values of the recording's
  size_t sought = 0;             // which of them is solved for
};

/// What is decided by numbers before anything is traced. `unrolled`: see trace_step.
Structure structure_of(const Job& job, bool unrolled = false);

/// How a length's number stands in a trace: 1 stays a number, and what is a multiple of that which kernels round up to
/// is its own rounding.
struct LengthForm {
  bool is_one = false;
  bool by_8 = false;
  bool by_16 = false;
  bool by_flash_rows = false;
  bool operator==(const LengthForm&) const = default;
};

/// All that a job's batch and lengths decide of its symbolic trace: jobs that differ in these alone, and agree in this,
/// have the same one.
struct JobForm {
  Structure structure;
  Structure evaluation;  // the same with the evaluation's batch
  bool single_sequence = false;
  int64_t completion = 0;  // a number in the trace; 0: all tokens
  LengthForm seq;
  LengthForm target;
  bool operator==(const JobForm&) const = default;
};
JobForm form_of(const Job& job);

/// The job with the evaluation's batch in place of the training's; the same job where nothing is evaluated.
Job evaluation_of(const Job& job);
/// The sizes of the evaluation, those of training being `dims`; its batch is a number.
Dims evaluation_dims(const Job& job, Dims dims);

/// In how many pieces a job's loss would be traced.
LossPieces loss_pieces(const Job& job);

/// Rows of a chunk of Liger's loss, so that its logits are about as large as the hidden states: the power of two from
/// tokens / ⌈vocab / hidden⌉ on, or all tokens where the vocabulary is no larger than the hidden size.
Expr loss_rows(const Description& description, const Dims& dims);

/// The job's sizes as numbers.
Dims number_dims(const Job& job);
/// The job's sizes as symbols of `pool`, with the value of each; a size of 1 stays a number, for PyTorch takes other
/// paths for it. Values are in the order Pool::evaluate takes.
Dims symbol_dims(const Job& job, Pool& pool, std::vector<int64_t>& values);

}  // namespace peakmem
