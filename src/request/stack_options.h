// What the options of the stacks that run rank by rank have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "request/option_values.h"

namespace peakmem {

/// An option that only stacks other than transformers' have, of those that were given; empty where there is none.
std::string_view stack_option(const Options& asked);

/// An error for an option that is in none of the lists.
std::optional<Error> check_known(const OptionValues& values, std::span<const std::string_view> own,
                                 std::string_view stack);

/// A size that a degree must divide.
struct Divided {
  const char* option;
  int64_t degree;
  int64_t size;
  const char* what;
};
std::optional<Error> check_division(const Divided& d);

/// A degree of parallelism, and the option that gives it.
struct RanksAsked {
  std::string_view option;
  int64_t ranks = 1;
};
/// Together they are no more ranks than other jobs may have.
std::optional<Error> check_ranks(std::span<const RanksAsked> asked);

/// Layers and micro-batches are traced one by one, so they are bounded. `option`: what gives the micro-batches.
std::optional<Error> check_counts(int64_t layers, int64_t microbatches, std::string_view option);

/// --rank of so many ranks, if it was given.
Result<std::optional<int64_t>> read_rank_number(const Options& asked, int64_t ranks);

}  // namespace peakmem
