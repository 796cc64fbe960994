// A trace of the oracle: every allocation and release of a measured run, as text.
#pragma once

#include "measured/measurement.h"

namespace peakmem {

/// Reads
///
///     # {"task": "causal-lm", ...}                      the case
///     === forward of step 1, 516032 bytes live
///     +8192        #42    bfloat16 [2,32,64]  embedding
///     -8192        #42    after add.Tensor
///
/// and replays it to the peak of a step. What was made before the trace begins has no names, only a sum. A trace whose
/// lines do not sum to its headings is an Error. `choice.record` means nothing here.
Result<Measurement> read_oracle_trace(std::string_view text, const MeasurementChoice& choice);

}  // namespace peakmem
