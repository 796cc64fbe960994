#include "api/answer.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "api/question.h"
#include "format/json.h"
#include "format/json_writer.h"
#include "report/report_json.h"
#include "request/option_checks.h"
#include "request/trace_file.h"
#include "request/words.h"
#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

using Kind = Value::Kind;
using Names = std::vector<std::string_view>;

/// Where what a request names comes from.
struct Finders {
  FindModel model;
  FindLaunch launch;
  EmitLaunch emit;
};

std::string error_response(const Error& error) {
  JsonWriter out(0);
  out.begin_object();
  write_error(out, error);
  out.end_object();
  return std::move(out).text();
}

std::string format_response(std::string_view format, const std::string& text) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", kSchema);
  out.member("format", format);
  out.member("text", text);
  out.end_object();
  return std::move(out).text();
}

std::optional<Error> check_members(const Value& object, const Names& known) {
  for (const Member& member : object.members)
    if (std::find(known.begin(), known.end(), member.name) == known.end())
      return Error{member.name.substr(0, 60), "is no member here", did_you_mean(member.name, known)};
  return std::nullopt;
}

/// A text, a number or a flag as the command line would be given it.
std::optional<std::string> scalar_text(const Value& value) {
  if (value.kind == Kind::kString) return value.string;
  if (value.kind == Kind::kInteger || value.kind == Kind::kReal || value.kind == Kind::kBool) return to_json(value);
  return std::nullopt;
}

/// The same of a list, its texts with commas between them.
std::optional<std::string> value_text(const Value& value) {
  if (value.kind != Kind::kList) return scalar_text(value);
  std::string all;
  for (const Value& item : value.items) {
    const std::optional<std::string> text = scalar_text(item);
    if (!text) return std::nullopt;
    all += (all.empty() ? "" : ",") + *text;
  }
  return all;
}

Result<OptionValues> read_options(const Value* object) {
  OptionValues options;
  if (object == nullptr || object->is_null()) return options;
  if (object->kind != Kind::kObject) return Error{"options", "must be an object", "such as {\"batch\": 4}"};
  for (const auto& [name, value] : object->members) {
    if (value.is_null()) continue;
    const OptionRow* row = find_option(name);
    if (row != nullptr && row->kind == OptionKind::kFile)
      return Error{"--" + name, "is a file, which only the command line writes",
                   "ask for \"format\": \"" + name + "\""};
    const std::optional<std::string> text = value_text(value);
    if (!text) return Error{"--" + name.substr(0, 60), "must be a text, a number, true, false or a list of them", {}};
    options.push_back({name, *text});
  }
  return in_our_words(std::move(options));
}

Result<std::string> read_text(const Value& object, const char* name, std::string_view otherwise) {
  const Value* text = object.find(name);
  if (text == nullptr || text->is_null()) return std::string(otherwise);
  if (text->kind != Kind::kString) return Error{name, "must be a text", {}};
  return text->string;
}

/// A config, or a trace.
Result<NamedConfig> config_of(const Value& model, const std::string& name) {
  const Value* schema = model.find("schema");
  if (schema == nullptr || schema->kind != Kind::kString || !is_trace_schema(schema->string))
    return named_config(model, name);
  return parse_config(to_json(model, 0), name);
}

Result<std::vector<std::string>> read_files(const Value& request) {
  const Value* files = request.find("files");
  std::vector<std::string> names;
  if (files == nullptr || files->is_null()) return names;
  for (const Value& file : files->items) names.push_back(file.string);
  if (files->kind != Kind::kList || names.empty() || std::find(names.begin(), names.end(), "") != names.end())
    return Error{"files", "must be a list of paths", "such as [\"sft.yaml\"]"};
  return names;
}

Result<Subject> read_subject(const Value& request, const Finders& find) {
  Result<OptionValues> options = read_options(request.find("options"));
  if (!options) return options.error();
  const Result<std::string> name = read_text(request, "name", "config");
  if (!name) return name.error();
  Subject subject = {std::nullopt, std::move(*options)};
  const Result<std::vector<std::string>> files = read_files(request);
  if (!files) return files.error();
  if (!files->empty() && find.launch == nullptr) return Error{"files", "cannot be read here", "pass options"};
  const auto with_files = [&] { return files->empty() ? Result(subject) : find.launch(*files, subject); };
  const Value* model = request.find("model");
  if (model == nullptr || model->is_null()) return with_files();
  if (model->kind != Kind::kString && model->kind != Kind::kObject)
    return Error{"model", "must be a model's name or a config", "such as \"gpt2\""};
  Result<NamedConfig> config = model->kind == Kind::kString ? find.model(model->string) : config_of(*model, *name);
  if (!config) return config.error();
  subject.model = std::move(*config);
  return with_files();
}

/// Reads the subject, or the two of `compare`.
std::optional<Error> read_subjects(const Value& request, Command command, const Finders& find, Question& question) {
  if (command != Command::kCompare) {
    if (auto wrong = check_members(request, {"command", "files", "format", "model", "name", "options"})) return wrong;
    Result<Subject> subject = read_subject(request, find);
    if (!subject) return subject.error();
    question.subject = std::move(*subject);
    return std::nullopt;
  }
  if (auto wrong = check_members(request, {"command", "format", "a", "b"})) return wrong;
  for (const char* name : {"a", "b"}) {
    const Value* each = request.find(name);
    if (each == nullptr || each->kind != Kind::kObject)
      return Error{name, "must be an object", "such as {\"model\": \"gpt2\", \"options\": {\"batch\": 4}}"};
    if (auto wrong = check_members(*each, {"files", "model", "name", "options"})) return wrong;
    Result<Subject> subject = read_subject(*each, find);
    if (!subject) return subject.error();
    (name[0] == 'a' ? question.subject : question.other) = std::move(*subject);
  }
  return std::nullopt;
}

Result<const CommandRow*> read_command(const Value& request) {
  const Result<std::string> name = read_text(request, "command", "estimate");
  if (!name) return name.error();
  const CommandRow* row = find_command(*name);
  if (row != nullptr && row->answer != nullptr) return row;
  Names known;
  for (const CommandRow& each : command_rows())
    if (each.answer != nullptr) known.push_back(each.name);
  return Error{"command", in_quotes(*name) + " is not known", did_you_mean(*name, known)};
}

/// The form asked for, among those the command has.
Result<FormRow> read_form(const Value& request, Command command) {
  const Result<std::string> name = read_text(request, "format", "json");
  if (!name) return name.error();
  Names known;
  for (const FormRow& row : form_rows()) {
    const OptionRow* file = find_option(row.name);
    if (file != nullptr && file->kind == OptionKind::kFile && !takes(command, *file)) continue;
    if (row.name == *name) return row;
    known.push_back(row.name);
  }
  return Error{"format", in_quotes(*name) + " is no form of this answer", did_you_mean(*name, known)};
}

/// {"command": "emit", "tool": "trl", "model", …}
Result<std::string> respond_emitted(const Value& request, const Finders& find) {
  if (auto wrong = check_members(request, {"command", "files", "format", "model", "name", "options", "tool"}))
    return *wrong;
  const Result<std::string> tool = read_text(request, "tool", "");
  if (!tool) return tool.error();
  const Result<Subject> subject = read_subject(request, find);
  if (!subject) return subject.error();
  if (auto wrong = check_options(subject->options, Command::kEmit)) return *wrong;
  Result<Answer> answer = find.emit(*tool, *subject);
  return answer ? Result<std::string>(std::move(answer->text)) : answer.error();
}

Result<std::string> respond(const Value& request, const Finders& find) {
  if (request.kind != Kind::kObject) return Error{"request", "must be an object", "such as {\"model\": \"gpt2\"}"};
  const Value* command = request.find("command");
  if (find.emit != nullptr && command != nullptr && command->string == "emit") return respond_emitted(request, find);
  const Result<const CommandRow*> row = read_command(request);
  if (!row) return row.error();
  const Result<FormRow> form = read_form(request, (*row)->command);
  if (!form) return form.error();
  Question question;
  question.form = form->form;
  if (auto wrong = read_subjects(request, (*row)->command, find, question)) return *wrong;
  Result<Answer> answer = answer_question(**row, question);
  if (!answer) return answer.error();
  return form->form == Form::kJson ? std::move(answer->text) : format_response(form->name, answer->text);
}

}  // namespace

std::string answer(std::string_view request, FindModel find_model, FindLaunch find_launch, EmitLaunch emit_launch) {
  const Result<Value> read = parse_json(request);
  if (!read) return error_response(read.error());
  Result<std::string> response = respond(*read, {find_model, find_launch, emit_launch});
  return response ? std::move(*response) : error_response(response.error());
}

}  // namespace peakmem
