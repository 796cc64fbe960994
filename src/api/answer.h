// The one place where a question in JSON gets its answer.
#pragma once

#include <string>
#include <string_view>

#include "api/question.h"

namespace peakmem {

/// What launch files come to, with a model and options beside them; null where no files can be read.
using FindLaunch = Result<Subject> (*)(const std::vector<std::string>& files, Subject beside);

/// A subject as a launch file of a tool, as `peakmem emit --json` prints it; null where none can be written.
using EmitLaunch = Result<Answer> (*)(const std::string& tool, const Subject& subject);

/// The response to `request`, both JSON texts. A request is
///
///     {"command": "estimate", "model": "gpt2", "options": {"batch": 4, "precision": "bf16"}, "format": "json"}
///
/// `command` is a row of command_rows() ("estimate" if there is none); `model` a name, a config, or null where options
/// describe it, with "name" to call a config by; "files" launch files by their paths, or command lines; `options` those
/// of the command line, their values texts, numbers, flags, or lists ("values": [1, 2, 4]), null being not given.
/// `emit` takes a "tool" besides. `compare` takes {"a": {"model", "name", "options"}, "b": {…}} instead. The response
/// is what the command line prints with --json, byte for byte. With another `format`
/// ("text", and "svg", "csv", "perfetto" of a timeline) it is {"schema", "format", "text"}.
///
/// What cannot be answered is {"error": {"field", "problem", "hint"}}.
std::string answer(std::string_view request, FindModel find_model = shipped_config, FindLaunch find_launch = nullptr,
                   EmitLaunch emit_launch = nullptr);

}  // namespace peakmem
