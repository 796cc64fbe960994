#include "help.h"

#include <algorithm>
#include <vector>

#include "examples.h"
#include "own_commands.h"
#include "python.h"

namespace peakmem::cli {
namespace {

constexpr size_t kNarrow = 64;      // below it what an option does stands under its name
constexpr size_t kColumn = 30;      // of what an option does
constexpr size_t kCommand = 15;     // of what a command answers
constexpr size_t kFewChoices = 12;  // more of them only in a whole help

using Rows = std::vector<const OptionRow*>;

/// `first` with `text` beside it, or below it where there is no room.
void write_entry(Page& page, const std::string& first, std::string_view text, size_t column) {
  const size_t indent = page.width() < kNarrow ? 6 : column;
  if (text.empty() || columns(first) + 1 > indent) page.line(first);
  if (!text.empty()) page.paragraph(columns(first) + 1 > indent ? std::string(indent, ' ') : left(first, indent), text);
}

std::string choices_of(const OptionRow& row, Options shown) {
  if (row.kind != OptionKind::kChoice || row.name == "gpu" || row.name == "over") return {};
  const std::vector<std::string_view> choices = row.choices();
  if (shown == Options::kMostUsed && choices.size() > kFewChoices) return {};
  std::string names;
  for (const std::string_view name : choices) names += (names.empty() ? "" : " | ") + std::string(name);
  return names;
}

void write_option(Page& page, const OptionRow& row, Options shown) {
  const std::string otherwise = row.otherwise.empty() ? std::string() : " [" + std::string(row.otherwise) + "]";
  const std::string value = row.value.empty() ? std::string() : " " + std::string(row.value);
  write_entry(page, "  --" + std::string(row.name) + value, std::string(row.help) + otherwise, kColumn);
  const std::string names = choices_of(row, shown);
  if (!names.empty()) write_entry(page, "", names, kColumn);
}

void write_options(Page& page, std::string_view title, const Rows& rows, Options shown) {
  if (rows.empty()) return;
  page.heading(title);
  for (const OptionRow* row : rows) write_option(page, *row, shown);
}

Rows options_of(Command command) {
  Rows rows;
  for (const OptionRow& row : option_rows())
    if (takes(command, row)) rows.push_back(&row);
  return rows;
}

/// The names alone: who looks for an option, or asks for it in a script, finds it without --help-all.
void write_names(Page& page, const Rows& rows) {
  if (rows.empty()) return;
  std::string names;
  for (const OptionRow* row : rows) names += (names.empty() ? "--" : ", --") + std::string(row->name);
  page.heading("Further options, which --help-all explains");
  page.paragraph("  ", names);
}

/// What a command has and the estimate has not, then what most runs need, then the names of the rest; how many those
/// are.
size_t write_most_used(Page& page, const CommandRow& command) {
  Rows own;
  Rows used;
  for (const OptionRow* row : options_of(command.command))
    if (!takes(Command::kEstimate, *row)) own.push_back(row);
  for (const std::string_view name : most_used())
    if (const OptionRow* row = find_option(name); row != nullptr && takes(command.command, *row)) used.push_back(row);
  write_options(page, "Options of " + std::string(command.name), own, Options::kMostUsed);
  write_options(page, own.empty() ? "Options that most runs need" : "Options of the run, those that most need", used,
                Options::kMostUsed);
  Rows rest = options_of(command.command);
  const auto has = [](const Rows& rows, const OptionRow* row) { return std::ranges::find(rows, row) != rows.end(); };
  std::erase_if(rest, [&](const OptionRow* row) { return has(own, row) || has(used, row); });
  write_names(page, rest);
  return rest.size();
}

/// Every option, each group once.
void write_all(Page& page, Command command) {
  std::vector<std::string_view> groups;
  for (const OptionRow* row : options_of(command))
    if (std::ranges::find(groups, row->group) == groups.end()) groups.push_back(row->group);
  for (const std::string_view group : groups) {
    Rows rows = options_of(command);
    std::erase_if(rows, [&](const OptionRow* row) { return row->group != group; });
    write_options(page, group, rows, Options::kAll);
  }
}

void write_help_options(Page& page, const CommandRow& command, size_t hidden) {
  const std::string name = command.command == Command::kEstimate ? "" : std::string(command.name) + " ";
  write_entry(page, "  --help", "this help", kColumn);
  if (hidden > 0)
    write_entry(page, "  --help-all", std::to_string(hidden) + " options more: peakmem " + name + "--help-all",
                kColumn);
  write_entry(page, "  --version", "the version", kColumn);
}

void write_entries(Page& page, std::string_view title, std::span<const Entry> entries) {
  if (entries.empty()) return;
  page.heading(title);
  for (const Entry& entry : entries) write_entry(page, "  " + std::string(entry.typed), entry.what, kColumn);
}

/// A line that is typed stands whole, with what it answers below.
void write_examples(Page& page, const std::vector<Entry>& examples) {
  if (examples.empty()) return;
  page.heading("Examples");
  for (const Entry& example : examples) {
    page.line("  " + std::string(example.typed));
    if (!example.what.empty()) page.paragraph("      ", example.what);
  }
}

void write_commands(Page& page) {
  page.heading("Commands (peakmem help COMMAND says more)");
  const auto write = [&](std::string_view name, std::string_view help) {
    write_entry(page, "  " + std::string(name), help, kCommand);
  };
  for (const CommandRow& row : command_rows()) write(row.name, row.help);
  for (const PythonCommand& row : python_commands()) write(row.name, row.help);
  for (const OwnCommand& row : own_commands()) write(row.name, row.help);
}

void write_synopsis(Page& page, const CommandRow& row) {
  if (row.command == Command::kEstimate) page.line("peakmem: predicts the memory of training a Transformer");
  if (row.command == Command::kEstimate) page.line();
  page.line("Usage: " + std::string(row.synopsis));
  if (row.command == Command::kEstimate) return write_commands(page);
  page.paragraph("  ", row.help);
  if (const std::string_view note = note_of(row.command); !note.empty()) {
    page.line();
    page.paragraph("", note);
  }
}

}  // namespace

std::string help_text(const CommandRow& row, Options shown, const Style& style) {
  Page page(style);
  write_synopsis(page, row);
  if (row.command == Command::kDiff) write_entries(page, "FILE is one of", file_forms());
  if (row.command != Command::kTable && row.command != Command::kAccuracy)
    write_entries(page, "MODEL is one of", model_forms());
  write_examples(page, examples_of(row.command));
  size_t hidden = 0;
  if (shown == Options::kMostUsed)
    hidden = write_most_used(page, row);
  else
    write_all(page, row.command);
  page.line();
  write_help_options(page, row, hidden);
  if (row.command == Command::kEstimate) {
    page.line();
    page.paragraph("", "Exit codes: 0 answered (and it fits, if asked), 1 does not fit, 2 bad usage or bad input.");
  }
  return std::move(page).text();
}

}  // namespace peakmem::cli
