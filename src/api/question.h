// What can be asked, and one function per command that answers it: the command line, Python and the page all call
// these.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "report/page.h"
#include "request/request.h"

namespace peakmem {

/// What an answer is written as; a picture and points are forms of some answers alone.
enum class Form : uint8_t { kText, kJson, kSvg, kCsv, kPerfetto, kJsonLines };

/// A model (none where options describe it) and how it is trained; what of that was read of launch files, and what was
/// taken for granted of them.
struct Subject {
  std::optional<NamedConfig> model;
  OptionValues options;
  LaunchNotes launch;
  std::vector<std::string> assumptions;
};

/// A question to one command.
struct Question {
  Subject subject;
  Subject other;  // what `compare` holds it against
  Form form = Form::kJson;
  Style style = {};  // of text
};

/// Whether this build answers in JSON alone: the page draws for itself, and need not carry what prints.
#ifdef PEAKMEM_JSON_ALONE
inline constexpr bool kJsonAlone = true;
#else
inline constexpr bool kJsonAlone = false;
#endif
constexpr bool wants_json(const Question& question) { return kJsonAlone || question.form == Form::kJson; }

/// What a command has to say. `fits` is false where a GPU was named and the run does not fit on it.
struct Answer {
  std::string text;
  bool fits = true;
};

/// A command by its name. `answer` is null where only the command line, which reads files, has one.
struct CommandRow {
  std::string_view name;
  Command command;
  Result<Answer> (*answer)(const Question& question);
  std::string_view synopsis;
  std::string_view help;
};
std::span<const CommandRow> command_rows();
/// The command of that name, or null.
const CommandRow* find_command(std::string_view name);

/// The command's answer; where --gpu names several cards, an answer of them side by side, or one after the other.
Result<Answer> answer_question(const CommandRow& row, const Question& question);

/// The forms by name.
struct FormRow {
  Form form;
  std::string_view name;
};
std::span<const FormRow> form_rows();

Result<Answer> answer_estimate(const Question& question);
Result<Answer> answer_formula(const Question& question);
/// The formulas in circulation: `formula` with --textbook.
Result<Answer> answer_textbook(const Question& question);
Result<Answer> answer_solve(const Question& question);
/// What would make it fit.
Result<Answer> answer_advise(const Question& question);
/// How long a step takes, about.
Result<Answer> answer_time(const Question& question);
/// Every way to train a model on a number of cards, ranked.
Result<Answer> answer_plan(const Question& question);
/// Which allocation of the trace a message of PyTorch's speaks of.
Result<Answer> answer_explain(const Question& question);
Result<Answer> answer_timeline(const Question& question);
/// The trace as a text that every command takes for a model.
Result<Answer> answer_trace(const Question& question);
Result<Answer> answer_compare(const Question& question);
Result<Answer> answer_sweep(const Question& question);
/// What was understood of a config, its defaults filled in.
Result<Answer> answer_config(const Question& question);
/// Every parameter of a model, by name, shape and dtype.
Result<Answer> answer_parameters(const Question& question);
Result<Answer> answer_options(const Question& question);
Result<Answer> answer_models(const Question& question);
Result<Answer> answer_gpus(const Question& question);
Result<Answer> answer_optimizers(const Question& question);
Result<Answer> answer_families(const Question& question);

}  // namespace peakmem
