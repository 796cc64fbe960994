// peakmem plan --emit FORMAT ID: a plan as a launch file.
#include "plan/plan.h"
#include "api/request_of.h"
#include "commands.h"

namespace peakmem::cli {

Result<Answer> run_plan_emit(Arguments arguments) {
  const std::optional<std::string> asked = take_option(arguments.options, "emit");
  if (!asked) return Error{"--save", "keeps a plan as a launch file, and none is asked for", "add --emit FORMAT ID"};
  std::string format = *asked;
  std::string number;
  const size_t colon = format.find(':');
  if (colon != std::string::npos) {
    number = format.substr(colon + 1);
    format.resize(colon);
  } else if (arguments.operands.size() > 1) {
    number = arguments.operands.back();
    arguments.operands.pop_back();
  }
  const std::optional<std::string> path = take_option(arguments.options, "save");
  const Result<Subject> subject = subject_of(arguments);
  if (!subject) return subject.error();
  const NamedConfig* model = subject->model ? &*subject->model : nullptr;
  const Result<PlanSpace> space = space_of(model, subject->options);
  if (!space) return space.error();
  const Result<int64_t> id = parse_plan_id(number, *space, "--emit");
  if (!id) return id.error();
  Arguments emitted = {find_command("emit"), arguments.operands, options_at(*space, *id)};
  emitted.operands.insert(emitted.operands.begin(), format);
  if (Options(arguments.options).flag("json")) emitted.options.push_back({"json", "true"});
  if (path) emitted.options.push_back({"save", *path});
  return run_emit(std::move(emitted));
}

}  // namespace peakmem::cli
