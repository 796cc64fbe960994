#include "manual.h"

#include <algorithm>
#include <array>
#include <vector>

#include "examples.h"
#include "own_commands.h"
#include "python.h"

namespace peakmem::cli {
namespace {

constexpr auto kEnvironment = std::to_array<Entry>({
    {"COLUMNS", "how wide answers are, within what reads well; else the terminal says it"},
    {"NO_COLOR", "if it is set, answers have no colours; they have none in files and pipes"},
    {"HF_HOME, HF_HUB_CACHE", "where models of the Hugging Face hub were downloaded to"},
    {"PEAKMEM_PYTHON", "the Python that has the package, for dry-run, verify and --via torch (python3)"},
});

constexpr auto kExit = std::to_array<Entry>({
    {"0", "answered, and it fits if that was asked"},
    {"1", "it does not fit"},
    {"2", "bad usage or bad input: what is wrong, and what to do, is on standard error"},
});

/// As roff reads it: no character is a request or an escape.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  return (out.starts_with('.') || out.starts_with('\'') ? "\\&" : "") + out;
}

std::string bold(std::string_view text) { return "\\fB" + escaped(text) + "\\fR"; }

void section(std::string& page, std::string_view title) { page += ".SH " + std::string(title) + "\n"; }

void entry(std::string& page, const std::string& first, std::string_view text) {
  page += ".TP\n" + first + "\n" + escaped(text) + "\n";
}

void entries(std::string& page, std::span<const Entry> rows) {
  for (const Entry& row : rows) entry(page, bold(row.typed), row.what);
}

/// Which commands take an option, where not all that are about a run do.
std::string taken_by(const OptionRow& option) {
  std::string names;
  for (const CommandRow& row : command_rows()) {
    if (!takes(row.command, option) || row.name == "textbook") continue;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  return takes(Command::kConfig, option) || option.name == "json" ? "" : " (" + names + ")";
}

std::string choices_of(const OptionRow& row) {
  if (row.kind != OptionKind::kChoice || row.name == "gpu" || row.name == "over") return {};
  std::string names;
  for (const std::string_view name : row.choices()) names += (names.empty() ? "" : ", ") + std::string(name);
  return ": " + names;
}

void option(std::string& page, const OptionRow& row) {
  const std::string value = row.value.empty() ? "" : " \\fI" + escaped(row.value) + "\\fR";
  const std::string otherwise = row.otherwise.empty() ? "" : " [" + std::string(row.otherwise) + "]";
  entry(page, bold("--" + std::string(row.name)) + value,
        std::string(row.help) + choices_of(row) + otherwise + taken_by(row));
}

void options(std::string& page) {
  section(page, "OPTIONS");
  std::vector<std::string_view> groups;
  for (const OptionRow& row : option_rows())
    if (std::ranges::find(groups, row.group) == groups.end()) groups.push_back(row.group);
  for (const std::string_view group : groups) {
    page += ".SS " + escaped(group) + "\n";
    for (const OptionRow& row : option_rows())
      if (row.group == group) option(page, row);
  }
  page += ".SS Help\n";
  entry(page, bold("--help"), "what a command takes, the options that most runs need");
  entry(page, bold("--help-all"), "the same with every option");
  entry(page, bold("--version"), "the version");
}

template <class Row>
void command(std::string& page, const Row& row) {
  entry(page, bold(row.synopsis), row.help);
}

void commands(std::string& page) {
  section(page, "COMMANDS");
  for (const CommandRow& row : command_rows()) {
    command(page, row);
    if (const std::string_view note = note_of(row.command); !note.empty()) page += ".IP\n" + escaped(note) + "\n";
  }
  for (const PythonCommand& row : python_commands()) command(page, row);
  for (const OwnCommand& row : own_commands()) command(page, row);
}

void examples(std::string& page) {
  section(page, "EXAMPLES");
  std::vector<Command> done;
  for (const CommandRow& row : command_rows()) {
    if (std::ranges::find(done, row.command) != done.end()) continue;
    done.push_back(row.command);
    entries(page, examples_of(row.command));
  }
}

}  // namespace

std::string manual_text() {
  std::string page = ".TH PEAKMEM 1 \"\" \"peakmem " PEAKMEM_VERSION "\" \"User Commands\"\n";
  section(page, "NAME");
  page += "peakmem \\- predicts the memory of training a Transformer\n";
  section(page, "SYNOPSIS");
  page += bold("peakmem") + " [\\fICOMMAND\\fR] [\\fIMODEL\\fR] [\\fIOPTIONS\\fR]\n";
  section(page, "DESCRIPTION");
  page +=
      "Traces one training step on shapes, the way PyTorch runs it, and says what it takes at its peak, what is live "
      "there and why, the formula of it, and what would fit. Nothing is run and no GPU is needed.\n";
  commands(page);
  section(page, "MODEL");
  entries(page, model_forms());
  section(page, "FILE OF DIFF");
  entries(page, file_forms());
  options(page);
  examples(page);
  section(page, "EXIT STATUS");
  entries(page, kExit);
  section(page, "ENVIRONMENT");
  entries(page, kEnvironment);
  return page;
}

}  // namespace peakmem::cli
