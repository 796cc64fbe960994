// Our error on records of real PyTorch steps.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/record.h"

namespace peakmem {

/// The errors of one group of records (a file, a family), as shares of the measured bytes.
struct Accuracy {
  std::string name;
  std::vector<double> errors;                 // of tensor_bytes, steady step and step 1, signed
  size_t exact = 0;                           // of those, to the byte
  size_t parameters_differ = 0;               // records whose parameter count is another
  std::map<std::string, size_t> not_covered;  // why -> records

  /// One number held to what was measured.
  void add(int64_t got, int64_t measured);
  double median() const;  // of the absolute errors; of an even number the mean of the middle two
  double p95() const;
  double worst() const;
  size_t under_predicted() const;  // by more than 2 %
};

/// Hold the estimates to the lines of a .jsonl file; one group for each family.
/// A line that is no JSON is an error that names it.
Result<std::vector<Accuracy>> hold_to_records(std::string_view jsonl);

/// The groups as a Markdown table.
std::string accuracy_table(const std::vector<Accuracy>& groups);

}  // namespace peakmem
