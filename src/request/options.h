// The options: one table that the command line, Python and the web page all read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "request/option_values.h"
#include "size/result.h"

namespace peakmem {

/// What can be asked for; the bits say which commands take an option.
enum class Command : uint16_t {
  kEstimate = 1,
  kFormula = 2,
  kSolve = 4,
  kTable = 8,
  kAccuracy = 16,
  kTimeline = 32,
  kCompare = 64,
  kSweep = 128,
  kConfig = 256,
  kDiff = 512,
  kExplain = 1024,
  kTrace = 2048,
  kEmit = 4096,
  kAdvise = 8192,
  kPlan = 16384,
  kTime = 32768
};

/// What an option's value is; a file is written by the command line alone.
enum class OptionKind : uint8_t { kSize, kChoice, kFlag, kText, kFile };

/// One option. `symbol`: its letter in formulas, for a size that a formula may leave open.
struct OptionRow {
  std::string_view name;  // "batch" is --batch
  OptionKind kind = OptionKind::kText;
  std::string_view value;  // what stands for its value in help: "N"
  std::vector<std::string_view> (*choices)() = nullptr;
  std::string_view otherwise;  // the default as text; empty where it depends on the model
  std::string_view group;
  std::string_view help;
  uint16_t commands = 0;
  std::string_view symbol;
};

std::span<const OptionRow> option_rows();
const OptionRow* find_option(std::string_view name);
constexpr bool takes(Command command, const OptionRow& row) {
  return (row.commands & static_cast<uint16_t>(command)) != 0;
}

}  // namespace peakmem
