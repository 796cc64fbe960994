// peakmem trace: a model's trace as a file.
#include <algorithm>

#include "commands.h"
#include "output.h"

namespace peakmem::cli {

Result<Answer> run_trace(const Arguments& arguments) {
  Result<Subject> subject = subject_of(arguments);
  if (!subject) return subject.error();
  const std::string* path = Options(arguments.options).text("save");
  drop_option(subject->options, "save");
  Result<Answer> answer = arguments.row->answer({std::move(*subject), {}, Form::kJson, {}});
  if (!answer || path == nullptr || *path == "-") return answer;
  if (auto wrong = write_file("--save", *path, answer->text)) return *wrong;
  return Answer{"wrote " + *path + ": peakmem " + *path + " answers about it\n"};
}

}  // namespace peakmem::cli
