#include "launch/detect.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <string>

namespace peakmem {
namespace {

/// Whether the object has the key, which may lead into mappings by points. Flags have dashes for underscores.
bool has_key(const Value& object, std::string_view key) {
  const size_t point = key.find('.');
  for (const Member& member : object.members) {
    std::string name = member.name.substr(std::min(member.name.find_first_not_of('-'), member.name.size()));
    std::replace(name.begin(), name.end(), '-', '_');
    if (name == key) return true;
    if (point != std::string_view::npos && name == key.substr(0, point) && has_key(member.value, key.substr(point + 1)))
      return true;
  }
  return false;
}

bool is_word_of(std::string_view words, std::string_view program) {
  const auto boundary = [&](size_t at) {
    return at >= words.size() || words[at] == ' ' || words[at] == '/' || words[at] == '.';
  };
  for (size_t at = words.find(program); at != std::string_view::npos; at = words.find(program, at + 1)) {
    const bool open_end = program.back() == '/';
    if ((at == 0 || words[at - 1] == ' ' || words[at - 1] == '/') && (open_end || boundary(at + program.size())))
      return true;
  }
  return false;
}

/// The first lines of a text that are neither empty nor a comment.
std::vector<std::string_view> first_lines(std::string_view text, size_t most) {
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin < text.size() && lines.size() < most;) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    const size_t start = line.find_first_not_of(" \t\r");
    if (start != std::string_view::npos && line[start] != '#') lines.push_back(line);
    begin = end + 1;
  }
  return lines;
}

bool name_ends(std::string_view name, std::string_view ending) { return name.ends_with(ending); }

/// `import x`, `from x import y`, `a = 3`, a docstring.
bool looks_like_python(const std::vector<std::string_view>& lines) {
  return std::any_of(lines.begin(), lines.end(), [](std::string_view line) {
    return line.starts_with("import ") ||
           (line.starts_with("from ") && line.find(" import ") != std::string_view::npos) ||
           line.starts_with("\"\"\"") ||
           (line.find(" = ") != std::string_view::npos && line[0] != '[' && line[0] != '-');
  });
}

bool looks_like_yaml(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == 0 || colon == std::string_view::npos) return line.starts_with("- ") || line.starts_with("---");
  const bool plain = std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.' || c == '"' ||
           c == '\'';
  });
  return plain && (colon + 1 == line.size() || line[colon + 1] == ' ' || line[colon + 1] == '\r');
}

}  // namespace

const ToolRow* tool_of(const Value& object, const std::vector<ToolRow>& tools) {
  const auto has = [&](std::string_view key) { return has_key(object, key); };
  for (const ToolRow& tool : tools) {
    const bool told = !tool.all.empty() || !tool.any.empty();
    if (told && std::all_of(tool.all.begin(), tool.all.end(), has) &&
        std::none_of(tool.none.begin(), tool.none.end(), has) &&
        (tool.any.empty() || std::any_of(tool.any.begin(), tool.any.end(), has)))
      return &tool;
  }
  return nullptr;
}

const ToolRow* tool_of_command(std::string_view words, const std::vector<ToolRow>& tools) {
  for (const ToolRow& tool : tools)
    for (const std::string_view program : tool.programs)
      if (is_word_of(words, program)) return &tool;
  return nullptr;
}

const ToolRow* tool_named(std::string_view name, const std::vector<ToolRow>& tools) {
  for (const ToolRow& tool : tools)
    if (tool.name == name) return &tool;
  return nullptr;
}

TextForm form_of(std::string_view text, std::string_view name) {
  if (text.find('\0') != std::string_view::npos) return TextForm::kBinary;
  const std::vector<std::string_view> lines = first_lines(text, 40);
  if (text.starts_with("#!") || name_ends(name, ".sh")) return TextForm::kShell;
  if (lines.empty()) return TextForm::kYaml;
  const std::string_view first = lines[0];
  if (first[first.find_first_not_of(' ')] == '{') return TextForm::kJson;
  if (name_ends(name, ".toml")) return TextForm::kToml;
  if (name_ends(name, ".py") || name_ends(name, ".ipynb")) return TextForm::kPython;
  if (looks_like_yaml(first)) return TextForm::kYaml;
  if (first.starts_with('[') && first.find(']') != std::string_view::npos) return TextForm::kToml;
  const bool runs = text.find(" --") != std::string_view::npos || text.starts_with("--");
  if (!runs && looks_like_python(lines)) return TextForm::kPython;
  return TextForm::kShell;
}

}  // namespace peakmem
