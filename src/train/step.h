// The script of one training step, as a plain PyTorch loop runs it.
#pragma once

#include "recipe/job.h"
#include "recipe/optimizers.h"

namespace peakmem {

/// Trace two steps of
///
///     for micro in range(accumulate):
///         outputs = model(**batch) ; loss = outputs.loss ; loss.backward()
///     clip_grad_norm_(parameters) ; optimizer.step() ; optimizer.zero_grad(set_to_none=True)
///
/// where the names live until they are bound again, or, frugally, `loss = model(**batch).loss` in a function of its
/// own.
///
/// Phases are "model" (step 0; before it "load" where loading takes more), then "input", "forward", "backward", "clip",
/// "optimizer" of step 1 and of step 2, which is the steady step: its optimizer finds its state made. Where the recipe
/// evaluates, "evaluate" follows it.
///
/// Of a recording: what it recorded, with the dims' letters.
///
/// `unrolled` traces every layer (and every micro-batch) for itself, to check what repeats stand for.
Program trace_step(const Job& job, const Dims& dims, bool unrolled = false);

/// How many of the trained parameters the recipe's optimizer takes, of all layers, and how many it leaves to another.
struct Division {
  int64_t taken = 0;
  int64_t left = 0;
};
Division division(const Job& job);

}  // namespace peakmem
