#include "launch/command_line.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "launch/detect.h"
#include "size/wording.h"

namespace peakmem {
namespace {

using Kind = Value::Kind;
using Words = std::vector<std::string>;

/// Flags of launchers that take no value.
constexpr std::array<std::string_view, 12> kBare = {"standalone", "no_python", "module",        "m",
                                                    "multi_gpu",  "use_fsdp",  "use_deepspeed", "debug",
                                                    "quiet",      "use_cpu",   "cpu",           "same_network"};

/// Whether a word is a flag: dashes and a name, which a negative number has not.
bool is_flag(std::string_view word) {
  const size_t begin = std::min(word.find_first_not_of('-'), word.size());
  if (begin == 0 || begin == word.size()) return false;
  return std::isdigit(static_cast<unsigned char>(word[begin])) == 0 && word[begin] != '.' && word[begin] != '=';
}

/// torchtitan's policy of checkpointing, a word of its own behind the flags.
bool is_policy(std::string_view word) { return word.starts_with("activation-checkpoint:"); }

std::string name_of(std::string_view flag) {
  std::string name(flag.substr(std::min(flag.find_first_not_of('-'), flag.size())));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

Value text_value(std::string_view text) { return {.kind = Kind::kString, .string = std::string(text)}; }

/// Flags from words[at] on. `single`: each takes one value at most, and the first word that is neither ends them.
void take_flags(const Words& words, size_t& at, bool single, Value& flags) {
  while (at < words.size() && is_flag(words[at])) {
    const std::string& word = words[at++];
    const size_t equals = word.find('=');
    const std::string name = name_of(std::string_view(word).substr(0, equals));
    if (equals != std::string::npos) {
      flags.members.push_back({name, text_value(std::string_view(word).substr(equals + 1))});
      continue;
    }
    Value values = {.kind = Kind::kList};
    const bool bare = single && std::find(kBare.begin(), kBare.end(), name) != kBare.end();
    while (!bare && at < words.size() && !is_flag(words[at]) && !is_policy(words[at]) &&
           (!single || values.items.empty()))
      values.items.push_back(text_value(words[at++]));
    if (values.items.empty())
      flags.members.push_back({name, {.kind = Kind::kBool, .boolean = true}});
    else if (values.items.size() == 1)
      flags.members.push_back({name, values.items[0]});
    else
      flags.members.push_back({name, std::move(values)});
  }
}

/// Where a launcher's own flags begin: behind `torchrun`, `accelerate launch`, `deepspeed`; the end where none stands.
size_t launcher_end(const Words& words) {
  const auto base = [&](size_t i) { return std::string_view(words[i]).substr(words[i].rfind('/') + 1); };
  for (size_t i = 0; i < words.size() && !words[i].starts_with("--"); ++i) {
    if (base(i) == "torchrun" || base(i) == "deepspeed") return i + 1;
    if (base(i) == "accelerate" && i + 1 < words.size() && words[i + 1] == "launch") return i + 2;
    if (words[i] == "torch.distributed.run" || words[i] == "torch.distributed.launch" ||
        words[i] == "accelerate.commands.launch")
      return i + 1;
  }
  return words.size();
}

/// The last of what is said twice, as every one of these programs has it.
void drop_overruled(Value& flags) {
  std::vector<Member> kept;
  for (Member& member : flags.members) {
    std::erase_if(kept, [&](const Member& other) { return other.name == member.name; });
    kept.push_back(std::move(member));
  }
  flags.members = std::move(kept);
}

}  // namespace

CommandLine read_command_line(const ShellCommand& command, const std::vector<ToolRow>& tools) {
  CommandLine line;
  const Words& words = command.words;
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : " ") + word;
  line.tool = tool_of_command(joined, tools);
  size_t at = launcher_end(words);
  if (at < words.size())
    take_flags(words, at, true, line.launcher);
  else
    at = 0;
  while (at < words.size()) {
    const std::string& word = words[at];
    const size_t equals = word.find('=');
    if (is_flag(word)) {
      take_flags(words, at, false, line.flags);
    } else if (equals != std::string::npos && equals > 0) {
      line.flags.members.push_back(
          {name_of(std::string_view(word).substr(0, equals)), text_value(std::string_view(word).substr(equals + 1))});
      ++at;
    } else {
      line.words.push_back(words[at++]);
    }
  }
  for (const auto& [name, value] : command.environment) line.environment.members.push_back({name, text_value(value)});
  drop_overruled(line.launcher);
  drop_overruled(line.flags);
  drop_overruled(line.environment);
  return line;
}

Result<CommandLine> training_command(const ShellScript& script, const std::vector<ToolRow>& tools) {
  std::vector<CommandLine> found;
  for (const ShellCommand& command : script.commands) {
    CommandLine line = read_command_line(command, tools);
    if (line.tool == nullptr && command.words[0].starts_with("--")) line.tool = tool_of(line.flags, tools);
    const bool plain = line.tool != nullptr && line.tool->name == "hf";  // python of anything
    if (line.tool != nullptr && !(plain && line.flags.members.empty())) found.push_back(std::move(line));
  }
  if (found.empty()) return Error("", "runs no training that is known", "--from FORMAT says whose it is");
  if (found.size() > 1)
    return Error("", "runs " + std::to_string(found.size()) + " trainings",
                 "give one command: peakmem \"torchrun ...\"");
  return std::move(found[0]);
}

}  // namespace peakmem
