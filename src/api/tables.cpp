#include "report/tables.h"

#include <array>

#include "api/request_of.h"
#include "request/option_checks.h"
#include "size/nearest.h"
#include "size/text.h"

namespace peakmem {
namespace {

/// What an option's value is, by name.
std::string_view name_of(OptionKind kind) {
  constexpr std::array<std::string_view, 5> kNames = {"size", "choice", "flag", "text", "file"};
  return kNames[static_cast<size_t>(kind)];
}

Cell commands_cell(const OptionRow& option) {
  std::vector<std::string_view> names;
  for (const CommandRow& row : command_rows())
    if (takes(row.command, option)) names.push_back(row.name);
  return list_cell(names);
}

Table options_table() {
  Table table = {"options",
                 {{"name", "option"},
                  {"kind", "kind"},
                  {"value", "value"},
                  {"default", "default"},
                  {"symbol", "symbol"},
                  {"group", "group"},
                  {"help", "help", Shown::kBelow},
                  {"choices", "choices", Shown::kBelow},
                  {"commands", "commands", Shown::kBelow}},
                 {}};
  for (const OptionRow& row : option_rows())
    table.rows.push_back({text_cell(row.name), text_cell(name_of(row.kind)), text_cell(row.value),
                          text_cell(row.otherwise), text_cell(row.symbol), text_cell(row.group), text_cell(row.help),
                          list_cell(row.choices == nullptr ? std::vector<std::string_view>() : row.choices()),
                          commands_cell(row)});
  return table;
}

/// Of a table the rows whose name has that word in it.
std::optional<Error> filter(Table& table, std::string_view word) {
  const std::string low = lower(word);
  std::vector<std::string_view> names;
  for (const std::vector<Cell>& row : table.rows) names.push_back(row[0].text);
  const auto near = nearest(word, names);
  Error none = {std::string(word), "is in no name of these " + std::string(table.name),
                near ? "did you mean " + std::string(*near) + "?" : ""};
  std::erase_if(table.rows,
                [&](const std::vector<Cell>& row) { return lower(row[0].text).find(low) == std::string::npos; });
  return table.rows.empty() ? std::optional(none) : std::nullopt;
}

Result<Answer> table_answer(Table table, const Question& question) {
  if (auto wrong = check_options(question.subject.options, Command::kTable)) return *wrong;
  if (question.subject.model)
    if (auto wrong = filter(table, question.subject.model->name)) return *wrong;
  if (wants_json(question)) return json_answer(table_json(table));
  return Answer{table_text(table, Options(question.subject.options).flag("sources"), question.style)};
}

}  // namespace

Result<Answer> answer_options(const Question& question) { return table_answer(options_table(), question); }
Result<Answer> answer_models(const Question& question) { return table_answer(models_table(), question); }
Result<Answer> answer_gpus(const Question& question) { return table_answer(gpus_table(), question); }
Result<Answer> answer_optimizers(const Question& question) { return table_answer(optimizers_table(), question); }
Result<Answer> answer_families(const Question& question) { return table_answer(families_table(), question); }

}  // namespace peakmem
