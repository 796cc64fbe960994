// Our error on records of real PyTorch steps.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "measured/record.h"

namespace peakmem {

/// A number of a record that is not met: where the record is (file:line), which number, ours and the measured one.
struct Difference {
  std::string where;
  std::string_view what;
  int64_t ours = 0;
  int64_t measured = 0;
};

/// The errors of one group of records (a file, a family), as shares of the measured bytes.
struct Accuracy {
  std::string name;
  std::vector<double> errors;                 // of tensor_bytes, steady step and step 1, signed
  std::vector<Difference> differences;        // of those, the numbers that are not met
  size_t exact = 0;                           // of those, to the byte
  size_t parameters_differ = 0;               // records whose parameter count is another
  std::map<std::string, size_t> not_covered;  // why -> records

  /// One number held to what was measured.
  void add(Difference number);
  /// What other records of the same group say.
  void add(const Accuracy& more);
  double median() const;  // of the absolute errors; of an even number the mean of the middle two
  double p95() const;
  double worst() const;
  size_t under_predicted() const;  // by more than 2 %
  size_t records_not_covered() const;
};

/// Adds what is held to one record of the first oracle, at `where`, to the group of its family.
void hold_to_record(const Value& line, const std::string& where, std::vector<Accuracy>& groups);

/// The groups as a Markdown table.
std::string accuracy_table(const std::vector<Accuracy>& groups);
/// A line for each reason of what is not covered.
std::string not_covered_lines(const Accuracy& all);

}  // namespace peakmem
