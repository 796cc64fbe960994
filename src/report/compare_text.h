// Two set-ups side by side.
#pragma once

#include <string>

#include "estimate/compare.h"
#include "report/page.h"
#include "request/request.h"

namespace peakmem {

/// A set-up and its report.
struct Compared {
  const Request& request;
  const Report& report;
};

std::string compare_text(const Compared& a, const Compared& b, const Style& style);
/// {"schema", "compare": {"a", "b", "difference", "ledger"}}: both reports in short, and the ledger's rows that differ.
std::string compare_json(const Compared& a, const Compared& b);

}  // namespace peakmem
