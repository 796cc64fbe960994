// Polynomials below and above a formula, and whether one formula is never less than another within bounds.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "size/expr.h"

namespace peakmem {

/// What a letter may be: from `least` (at least 1) to `most`.
struct LetterRange {
  std::string letter;
  int64_t least = 1;
  int64_t most = 1;
};

/// A sum of products of letters' powers, each with a factor.
using Envelope = std::map<std::vector<int32_t>, double>;

/// A formula of a pool lies between the two wherever the letters are within their ranges. Roundings up to a multiple
/// lie within one step of the quotient; what is not known better, between 0 and the sum of its parts.
struct Envelopes {
  Envelope below;
  Envelope above;
};
Envelopes envelopes_of(Expr formula, const std::vector<LetterRange>& ranges);

/// Whether `a` is at least `b` everywhere within the ranges; false where that is not certain.
bool surely_at_least(const Envelope& a, const Envelope& b, const std::vector<LetterRange>& ranges);

}  // namespace peakmem
