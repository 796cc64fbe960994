// The formulas in circulation, on a job's sizes, beside what the trace gives for the same thing.
#pragma once

#include <string>
#include <vector>

#include "train/step.h"

namespace peakmem {

/// A formula in circulation, on the same sizes.
struct Textbook {
  std::string name;
  std::string formula;  // as printed, with the letters of its source
  std::string latex;
  std::string source;
  std::string assumptions;
  double bytes = 0;          // what it gives at the job's sizes
  double reference = 0;      // what the trace gives for the same thing; 0 where it is of nothing the trace has
  std::string reference_of;  // "activations kept for the backward pass", "peak", ...
  double printed = 0;        // the formula's own value, before it was made bytes
  std::string unit;          // of `printed`: "elements", "bytes", "times M_model"
};

/// Empty where the sizes pass 62 bits.
std::vector<Textbook> textbook(const Job& job);

}  // namespace peakmem
