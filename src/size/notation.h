// How each notation writes the parts of a formula; only for print.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "size/print.h"

namespace peakmem {

/// Text with what it is: a looser kind inside a tighter one needs parentheses.
struct Piece {
  enum class Kind { kFactor, kProduct, kQuotient, kSum };
  std::string text;
  Kind kind = Kind::kFactor;
};

/// Writes parts of a formula one way. Arguments are already written, parentheses are the writer's own matter.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual std::string symbol(const std::string& letters) const = 0;
  virtual std::string number(int64_t value) const = 0;
  virtual std::string parentheses(const std::string& inner) const = 0;
  virtual std::string times() const = 0;
  virtual std::string power(const std::string& base, int64_t exponent) const = 0;
  virtual std::string quotient(const Piece& numerator, const Piece& divisor) const = 0;
  virtual std::string ceiling(const std::string& inner) const = 0;
  /// `max(a, b)`.
  virtual std::string call(const std::string& name, const std::string& left, const std::string& right) const = 0;
  /// The smallest power of two from `inner` on.
  virtual std::string power_of_two(const std::string& inner) const = 0;
  virtual std::string plus() const = 0;
  virtual std::string minus() const = 0;
  virtual std::string negative(const std::string& term) const = 0;
  virtual std::string whole(const std::string& formula) const { return formula; }

  /// In parentheses if it is looser than `limit`.
  std::string inside(const Piece& piece, Piece::Kind limit) const {
    return piece.kind > limit ? parentheses(piece.text) : piece.text;
  }
};

std::unique_ptr<Writer> writer_of(Notation notation);

}  // namespace peakmem
