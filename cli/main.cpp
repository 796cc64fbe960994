// peakmem: predicts the memory of training a Transformer.
#include <csignal>
#include <cstdio>
#include <string>

#include "commands.h"
#include "help.h"

namespace peakmem::cli {
namespace {

/// A reader that has seen enough (`peakmem … | head`) is no mistake.
void write_all(const std::string& text, std::FILE* to) {
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

int fail(const Error& error) {
  std::string text = "peakmem: " + error.field + (error.field.empty() ? "" : ": ") + error.problem + "\n";
  if (!error.hint.empty()) text += "  " + error.hint + "\n";
  write_all(text, stderr);
  return static_cast<int>(Exit::kBadInput);
}

Result<Answer> answer(int count, const char* const* words) {
  const Result<Arguments> arguments = parse_arguments(count, words);
  if (!arguments) return arguments.error();
  if (arguments->help) return Answer{help_text(*arguments->row)};
  if (arguments->version) return Answer{"peakmem " PEAKMEM_VERSION "\n"};
  if (count < 2) return Error{"", "MODEL is missing", "such as: peakmem gpt2    (peakmem --help shows more)"};
  return run(*arguments);
}

}  // namespace
}  // namespace peakmem::cli

int main(int count, char** words) {
  using namespace peakmem::cli;
  std::signal(SIGPIPE, SIG_IGN);
  const peakmem::Result<peakmem::Answer> result = answer(count, words);
  if (!result) return fail(result.error());
  write_all(result->text, stdout);
  return static_cast<int>(result->fits ? Exit::kAnswered : Exit::kDoesNotFit);
}
