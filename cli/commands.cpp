#include "commands.h"

#include <algorithm>

#include "api/request_of.h"
#include "launch/own.h"
#include "output.h"
#include "request/option_checks.h"
#include "request/recorded.h"
#include "request/trace_file.h"
#include "size/nearest.h"
#include "size/wording.h"
#include "source.h"
#include "terminal.h"

namespace peakmem::cli {
namespace {

/// A command that was meant where a MODEL stands, as a hint; else `otherwise`.
std::string command_hint(std::string_view word, const std::string& otherwise) {
  std::vector<std::string_view> names;
  for (const CommandRow& row : command_rows()) names.push_back(row.name);
  const auto near = nearest(word, names);
  return near ? "did you mean the command " + std::string(*near) + "? it comes first" : otherwise;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (size_t begin = text.find_first_not_of(' '); begin != std::string_view::npos;) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(' ', end);
  }
  return words;
}

/// The second set-up of `compare`: the first one's model and options with those of --with in their place.
Result<Subject> other_subject(const Arguments& arguments, const Subject& first) {
  const std::string* with = Options(arguments.options).text("with");
  if (with == nullptr) return Error{"--with", "is missing", "such as --with \"--precision bf16 --checkpointing full\""};
  Result<Arguments> other = parse_words(*arguments.row, words_of(*with));
  if (!other) return other.error();
  for (const OptionValue& option : arguments.options)
    if (option.name != "with" && !Options(other->options).has(option.name)) other->options.push_back(option);
  Result<Subject> subject = subject_of(*other);
  if (subject && other->operands.empty()) subject->model = first.model;
  return subject;
}

/// The question without the options that are the command line's own.
Result<Question> question_of(const Arguments& arguments) {
  Result<Subject> subject = subject_of(arguments);
  if (!subject) return subject.error();
  Question question = {std::move(*subject), {}, Form::kText, terminal_style()};
  if (Options(arguments.options).flag("json")) question.form = Form::kJson;
  if (arguments.row->command != Command::kCompare) return question;
  Result<Subject> other = other_subject(arguments, question.subject);
  if (!other) return other.error();
  question.other = std::move(*other);
  drop_option(question.subject.options, "with");
  return question;
}

/// An answer that an option asked to have in a file.
struct FileAnswer {
  std::string field;
  std::string path;
  Answer answer;
};

/// The files that are asked for, each the same answer in another form.
Result<std::vector<FileAnswer>> file_answers(const Arguments& arguments, Question question) {
  std::vector<FileAnswer> files;
  for (const FormRow& row : form_rows()) {
    const OptionRow* option = find_option(row.name);
    const std::string* path = Options(arguments.options).text(row.name);
    if (path == nullptr || option->kind != OptionKind::kFile) continue;
    question.form = row.form;
    Result<Answer> answer = answer_question(*arguments.row, question);
    if (!answer) return answer.error();
    files.push_back({"--" + std::string(row.name), *path, std::move(*answer)});
  }
  return files;
}

/// What stands on standard output in place of the answer: the one file that is called `-`.
Result<const FileAnswer*> on_standard_output(const Arguments& arguments, const std::vector<FileAnswer>& files) {
  const FileAnswer* found = nullptr;
  for (const FileAnswer& file : files) {
    if (file.path != "-") continue;
    const bool json = Options(arguments.options).flag("json");
    if (json || found != nullptr)
      return Error{file.field, "- and " + (json ? "--json" : found->field + " -") + " both are standard output",
                   "name a file for one of them"};
    found = &file;
  }
  return found;
}

/// An operand that is a model, beside those that are launch files.
struct Operands {
  std::vector<std::string> models;
  std::vector<LaunchText> texts;
};

/// A command line has spaces; a file is told by its content.
Result<Operands> sort_operands(const std::vector<std::string>& operands, bool is_launch) {
  Operands sorted;
  for (const std::string& operand : operands) {
    Result<std::optional<LaunchText>> text = find_launch_text(operand, is_launch && sorted.texts.empty());
    if (!text) return text.error();
    if (*text)
      sorted.texts.push_back(std::move(**text));
    else
      sorted.models.push_back(operand);
  }
  return sorted;
}

/// The options as a file of one's own, written where they can be answered.
Result<Answer> save_options(const std::string& path, const Question& question, const Arguments& arguments) {
  if (path.ends_with(kTraceEnding))
    return Error{"--save", "keeps the options, and " + path + " is called as a trace is",
                 "peakmem trace MODEL --save " + path + " keeps the trace"};
  Result<Answer> answer = answer_question(*arguments.row, question);
  if (!answer) return answer;
  OptionValues options = question.subject.options;
  take_option(options, "json");
  const bool launched = !question.subject.launch.files.empty() || arguments.operands.size() != 1;
  const std::string named = question.subject.model ? question.subject.model->name : std::string();
  const std::string model = launched ? named : arguments.operands[0];
  if (auto wrong = write_file("--save", path, own_text(model, options))) return *wrong;
  return answer;
}

/// What peakmem verify measured, how long rows are, and a grid are files here, and their texts for the core.
std::optional<Error> read_files(OptionValues& options) {
  for (OptionValue& option : options) {
    const bool is_context = option.name == "context" && option.text.ends_with(".json");
    const bool is_lengths = option.name == "lengths" && option.text.find_first_of("=,") == std::string::npos;
    if (!is_context && !is_lengths && option.name != "grid") continue;
    Result<std::string> text = read_text(option.text);
    if (!text) return text.error();
    option.text = std::move(*text);
  }
  return std::nullopt;
}

/// Whether a plan is to be written as a launch file.
bool writes_plan(const Arguments& arguments) {
  const Options asked(arguments.options);
  return asked.has("emit") || asked.has("save");
}

}  // namespace

Result<Subject> subject_of(const Arguments& arguments) {
  Subject subject = {std::nullopt, arguments.options};
  const std::vector<std::string>& operands = arguments.operands;
  Result<NamedConfig> model = operands.size() == 1 ? find_model(operands[0]) : Result<NamedConfig>(Error{});
  const std::vector<std::string_view> letters = letter_names(model ? &*model : nullptr);
  if (auto wrong = check_options(arguments.options, arguments.row->command, letters)) return *wrong;
  if (auto wrong = read_files(subject.options)) return *wrong;
  if (operands.empty()) return subject;
  if (arguments.row->command == Command::kTable) {
    if (operands.size() > 1) return Error{operands[1], "is too much: rows are told apart by one word", {}};
    subject.model = NamedConfig{.name = operands[0], .config = {}, .recording = nullptr, .stands_for = {}};
    return subject;
  }
  Result<Operands> sorted = sort_operands(operands, Options(arguments.options).has("from"));
  if (!sorted) return sorted.error();
  if (!sorted->texts.empty() && sorted->models.size() < 2) {
    if (!sorted->models.empty()) {
      Result<NamedConfig> model = find_model(sorted->models[0]);
      if (!model) return model.error();
      subject.model = std::move(*model);
    }
    return launch_subject(std::move(sorted->texts), std::move(subject));
  }
  if (operands.size() > 1)
    return Error{"MODEL", "is given twice: " + in_quotes(operands[0]) + " and " + in_quotes(operands[1]),
                 command_hint(operands[0], command_hint(operands[1], {}))};
  if (!model) {
    Error error = model.error();
    if (error.field == "MODEL" && !error.hint.starts_with("did you mean"))
      error.hint = command_hint(operands[0], error.hint);
    return error;
  }
  subject.model = std::move(*model);
  return subject;
}

Result<Answer> run(const Arguments& arguments) {
  if (arguments.row->command == Command::kDiff) return run_diff(arguments);
  if (arguments.row->command == Command::kExplain) return run_explain(arguments);
  if (arguments.row->command == Command::kTrace) return run_trace(arguments);
  if (arguments.row->command == Command::kEmit) return run_emit(arguments);
  if (arguments.row->command == Command::kPlan && writes_plan(arguments)) return run_plan_emit(arguments);
  if (arguments.row->answer == nullptr) return run_accuracy(arguments);
  Result<Question> question = question_of(arguments);
  if (!question) return question.error();
  if (const auto path = take_option(question->subject.options, "save"))
    return save_options(*path, *question, arguments);
  if (arguments.row->command == Command::kSweep)
    if (const std::optional<Result<Answer>> large = run_large_sweep(arguments, *question)) return *large;
  const Result<std::vector<FileAnswer>> files = file_answers(arguments, *question);
  if (!files) return files.error();
  const Result<const FileAnswer*> printed = on_standard_output(arguments, *files);
  if (!printed) return printed.error();
  for (const FileAnswer& file : *files)
    if (file.path != "-")
      if (auto wrong = write_file(file.field, file.path, file.answer.text)) return *wrong;
  return *printed != nullptr ? (*printed)->answer : answer_question(*arguments.row, *question);
}

}  // namespace peakmem::cli
