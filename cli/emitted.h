// A job as a launch file of another tool, with what it comes to: what `peakmem emit` prints, and Python gets.
#pragma once

#include <string>

#include "api/question.h"

namespace peakmem::cli {

/// A file as it is printed, and the command that starts it; empty where the file is that command.
struct EmittedFile {
  Answer answer;
  std::string start;
};

/// The file of that format under that name, with a comment of its peak, or as JSON.
Result<EmittedFile> emitted_file(const std::string& format, const Subject& subject, const std::string& name, bool json);
/// The same as JSON, under the format's usual name.
Result<Answer> emitted_json(const std::string& format, const Subject& subject);
/// The name that a file of that format has unless told.
std::string emitted_name(const std::string& format);

}  // namespace peakmem::cli
