// peakmem: predicts the memory of training a Transformer.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "commands.h"
#include "help.h"
#include "output.h"
#include "own_commands.h"
#include "python.h"
#include "terminal.h"

namespace peakmem::cli {
namespace {

/// One line whatever stands in it: control characters of a name are written as \x0a.
std::string on_one_line(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string line;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code >= 0x20 && code != 0x7f)
      line += c;
    else
      line += std::string("\\x") + kDigits[code >> 4U] + kDigits[code & 15U];
  }
  return line;
}

/// A family that is not modelled can be traced.
Error with_offer(Error error) {
  if (error.field == "model_type" && error.problem.find("is not known") != std::string::npos)
    error.hint += std::string(error.hint.empty() ? "" : "; ") +
                  "PyTorch's own code can be traced: the same with --via torch (Python with torch and transformers)";
  return error;
}

int fail(const Error& error) {
  std::string text = "peakmem: " + on_one_line(error.field + (error.field.empty() ? "" : ": ") + error.problem) + "\n";
  if (!error.hint.empty()) text += "  " + on_one_line(error.hint) + "\n";
  write_all(text, stderr, {});  // there is nobody to tell if that fails
  return static_cast<int>(Exit::kBadInput);
}

Result<Answer> answer_own(const OwnCommand& command, const std::vector<std::string>& words) {
  const bool help = std::ranges::any_of(words, [](const std::string& word) { return word.starts_with("--help"); });
  if (help) return Answer{"Usage: " + std::string(command.synopsis) + "\n  " + std::string(command.help) + "\n"};
  Result<std::string> text = command.answer(std::span(words).subspan(1));
  return text ? Result<Answer>(Answer{std::move(*text)}) : text.error();
}

Result<Answer> answer(const std::vector<std::string>& typed) {
  const Result<std::vector<std::string>> asked = words_for_help(typed);
  if (!asked) return asked.error();
  const std::vector<std::string>& words = *asked;
  if (!words.empty())
    if (const OwnCommand* command = find_own_command(words[0])) return answer_own(*command, words);
  if (!words.empty())
    if (const PythonCommand* command = find_python_command(words[0])) return become_python(*command, words);
  const Result<std::vector<std::string>> traced = words_for_tracer(words);
  if (!traced) return traced.error();
  if (!traced->empty()) return become_python(tracer(), *traced);
  const Result<Arguments> arguments = parse_arguments(words);
  if (!arguments) return arguments.error();
  if (arguments->help_all) return Answer{help_text(*arguments->row, Options::kAll, help_style())};
  if (arguments->help) return Answer{help_text(*arguments->row, Options::kMostUsed, help_style())};
  if (arguments->version) return Answer{"peakmem " PEAKMEM_VERSION "\n"};
  if (words.empty()) return Error{"", "MODEL is missing", "such as: peakmem gpt2    (peakmem --help shows more)"};
  return run(*arguments);
}

}  // namespace
}  // namespace peakmem::cli

int main(int count, char** words) {
  using namespace peakmem::cli;
  for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);  // errors of the write, as a full disk is
  const peakmem::Result<peakmem::Answer> result = answer({words + std::min(count, 1), words + count});
  if (!result) return fail(with_offer(result.error()));
  if (auto wrong = write_all(result->text, stdout, "standard output"))
    return errno == EPIPE ? static_cast<int>(Exit::kBadInput) : fail(*wrong);  // who reads, as head, has had enough
  return static_cast<int>(result->fits ? Exit::kAnswered : Exit::kDoesNotFit);
}
