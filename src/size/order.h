// Rows in the order of a number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace peakmem {

/// The places of the numbers, the smallest first; equals keep their order.
std::vector<size_t> order_of(std::span<const int64_t> numbers);

/// Sorts rows by `number(row)`, the smallest first; equals keep their order. Rows of every kind share one sort: a sort
/// for each would be a twentieth of the WebAssembly module.
template <class Row, class Number>
void sort_by(std::vector<Row>& rows, const Number& number) {
  std::vector<int64_t> numbers;
  numbers.reserve(rows.size());
  for (const Row& row : rows) numbers.push_back(number(row));
  std::vector<Row> sorted;
  sorted.reserve(rows.size());
  for (const size_t place : order_of(numbers)) sorted.push_back(std::move(rows[place]));
  rows = std::move(sorted);
}

}  // namespace peakmem
