// peakmem explain: the message may be an argument, or stand on standard input.
#include <algorithm>

#include "commands.h"
#include "source.h"
#include "terminal.h"

namespace peakmem::cli {
namespace {

constexpr size_t kMessageMaxBytes = size_t{16} << 20;

/// The message is the operand that reads like one, or the first of two; there may be none.
std::optional<std::string> take_message(std::vector<std::string>& operands) {
  const auto reads_like_one = [](const std::string& operand) {
    return operand == "-" || operand.find("Tried to allocate") != std::string::npos;
  };
  auto found = std::find_if(operands.begin(), operands.end(), reads_like_one);
  if (found == operands.end() && operands.size() > 1) found = operands.begin();
  if (found == operands.end()) return std::nullopt;
  std::string message = std::move(*found);
  operands.erase(found);
  return message;
}

}  // namespace

Result<Answer> run_explain(Arguments arguments) {
  std::optional<std::string> message = take_message(arguments.operands);
  const bool is_option = Options(arguments.options).has("message");
  if (is_option && message) return Error{"--message", "and the argument both say the message", "drop one of them"};
  Result<Subject> subject = subject_of(arguments);
  if (!subject) return subject.error();
  if (!is_option && (!message || *message == "-")) {
    const Result<std::string> text = read_text("-", kMessageMaxBytes);
    if (!text) return text.error();
    message = *text;
  }
  if (message) subject->options.push_back({"message", std::move(*message)});
  Question question = {std::move(*subject), {}, Form::kText, terminal_style()};
  if (Options(arguments.options).flag("json")) question.form = Form::kJson;
  return arguments.row->answer(question);
}

}  // namespace peakmem::cli
