// peakmem emit: a job as a launch file of another tool.
#include <filesystem>

#include "commands.h"
#include "emitted.h"
#include "launch/emit.h"
#include "output.h"
#include "size/wording.h"
#include "source.h"

namespace peakmem::cli {

Result<Answer> run_emit(Arguments arguments) {
  if (arguments.operands.empty())
    return Error{"FORMAT", "is missing", "such as: peakmem emit trl llama-3.1-8b; known: " + list_of(emit_formats())};
  const std::string format = arguments.operands[0];
  arguments.operands.erase(arguments.operands.begin());
  Result<Subject> subject = subject_of(arguments);
  if (!subject) return subject.error();
  const std::optional<std::string> path = take_option(subject->options, "save");
  const bool json = take_option(subject->options, "json").has_value();
  const bool is_saved = path && *path != "-";
  const std::string name = is_saved ? std::filesystem::path(*path).filename().string() : emitted_name(format);
  Result<EmittedFile> file = emitted_file(format, *subject, name, json);
  if (!file) return file.error();
  if (!is_saved) return std::move(file->answer);
  if (auto wrong = write_file("--save", *path, file->answer.text)) return *wrong;
  const std::string start = file->start.empty() ? "sh " + *path : file->start;
  return Answer{"wrote " + *path + ": " + start + "\n", file->answer.fits};
}

}  // namespace peakmem::cli
