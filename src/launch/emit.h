// A job as a launch file of another tool: the way back of launch.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launch/launch.h"
#include "request/named_config.h"
#include "request/options.h"

namespace peakmem {

/// What is to be written: the job by its model and options, and as whose file.
struct EmitQuestion {
  std::string format;
  NamedConfig model;
  OptionValues options;
};

/// A launch file, and what it was read back as.
struct Emitted {
  std::string text;
  std::string start;                 // the command that starts it; empty where the text is that command
  OptionValues beside;               // what the file cannot say: lengths of rows, ranks
  std::vector<std::string> instead;  // what was not asked and the tool has otherwise: "--loss chunked"
  Launch launch;                     // the same job, of which the answer speaks
};

/// The formats that can be written.
std::vector<std::string_view> emit_formats();

/// Writes the file and reads it again. Refused is what was asked and would be read otherwise, by its option. The name
/// of the file is `name`.
Result<Emitted> emit_launch(const EmitQuestion& question, const std::string& name, const FindModel& find_model);

}  // namespace peakmem
