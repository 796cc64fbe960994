// Rows in the order of a number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace peakmem {

/// The places 0 to `count` - 1 in the order that `before(a, b)` says; equals keep their order.
std::vector<size_t> order_of(size_t count, const std::function<bool(size_t, size_t)>& before);

/// Sorts rows so that `before(a, b)` holds for neighbours; equals keep their order. Rows of every kind share one sort:
/// a sort for each would be a twentieth of the WebAssembly module.
template <class Row, class Before>
void sort_rows(std::vector<Row>& rows, const Before& before) {
  std::vector<Row> sorted;
  sorted.reserve(rows.size());
  for (const size_t i : order_of(rows.size(), [&](size_t a, size_t b) { return before(rows[a], rows[b]); }))
    sorted.push_back(std::move(rows[i]));
  rows = std::move(sorted);
}

/// Sorts rows by `number(row)`, the smallest first; equals keep their order.
template <class Row, class Number>
void sort_by(std::vector<Row>& rows, const Number& number) {
  sort_rows(rows, [&](const Row& a, const Row& b) { return number(a) < number(b); });
}

}  // namespace peakmem
