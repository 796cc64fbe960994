#include "launch/settings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "format/json.h"
#include "format/json_writer.h"
#include "format/yaml.h"
#include "size/nearest.h"
#include "size/text.h"
#include "size/wording.h"

namespace peakmem {
namespace {

using Kind = Value::Kind;

constexpr std::array<std::string_view, 6> kTrue = {"y", "yes", "t", "true", "on", "1"};  // transformers' str_to_bool
constexpr std::array<std::string_view, 6> kFalse = {"n", "no", "f", "false", "off", "0"};

bool is_one_of(std::string_view word, const std::array<std::string_view, 6>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

Value text_value(std::string_view text) { return {.kind = Kind::kString, .string = std::string(text)}; }

/// A number, also one that stands in a text: YAML 1.1 takes `2e-5` for one.
std::optional<double> as_number(const Value& value) {
  if (value.kind == Kind::kInteger || value.kind == Kind::kReal) return value.real;
  if (value.kind != Kind::kString || value.string.empty()) return std::nullopt;
  if (value.string.find_first_not_of("0123456789.eE+-_") != std::string::npos) return std::nullopt;
  std::string digits = value.string;
  std::erase(digits, '_');
  char* end = nullptr;
  const double number = std::strtod(digits.c_str(), &end);
  return end == digits.c_str() + digits.size() && std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::optional<bool> as_flag(const Value& value) {
  if (value.kind == Kind::kBool) return value.boolean;
  if (value.kind == Kind::kInteger && (value.integer == 0 || value.integer == 1)) return value.integer == 1;
  if (value.kind != Kind::kString) return std::nullopt;
  const std::string word = lower(value.string);
  if (is_one_of(word, kTrue)) return true;
  if (is_one_of(word, kFalse)) return false;
  return std::nullopt;
}

bool is_nothing(const Value& value) {
  const std::string word = lower(value.string);
  return value.is_null() || (value.kind == Kind::kList && value.items.empty()) ||
         (value.kind == Kind::kString && (word.empty() || word == "none" || word == "null"));
}

bool is_auto(const Value& value) { return value.kind == Kind::kString && value.string == "auto"; }

Value list_value(const Value& value) {
  Value list = {.kind = Kind::kList};
  if (value.kind == Kind::kList) {
    for (const Value& item : value.items) list.items.push_back(text_value(shown(item)));
    return list;
  }
  const std::string text = shown(value);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find_first_of(", ", begin), text.size());
    if (end > begin) list.items.push_back(text_value(std::string_view(text).substr(begin, end - begin)));
    begin = end + 1;
  }
  return list;
}

/// The value as its key's type has it; none where it is of another kind.
std::optional<Value> typed(KeyType type, const Value& value) {
  if (type == KeyType::kAny || is_nothing(value)) return is_nothing(value) ? Value{} : value;
  switch (type) {
    case KeyType::kSize: {
      const std::optional<double> number = as_number(value);
      if (!number || std::trunc(*number) != *number || std::fabs(*number) > 9e15) return std::nullopt;
      return Value{.kind = Kind::kInteger, .integer = static_cast<int64_t>(*number), .real = *number};
    }
    case KeyType::kNumber: {
      const std::optional<double> number = as_number(value);
      return number ? std::optional(Value{.kind = Kind::kReal, .real = *number}) : std::nullopt;
    }
    case KeyType::kFlag: {
      const std::optional<bool> flag = as_flag(value);
      return flag ? std::optional(Value{.kind = Kind::kBool, .boolean = *flag}) : std::nullopt;
    }
    case KeyType::kText:
      if (value.kind == Kind::kObject || value.kind == Kind::kList) return std::nullopt;
      return text_value(shown(value));
    case KeyType::kList:
      return value.kind == Kind::kObject ? std::nullopt : std::optional(list_value(value));
    case KeyType::kWords: {
      const std::optional<bool> flag = as_flag(value);
      if (flag) return *flag ? list_value(text_value("true")) : Value{};
      return value.kind == Kind::kObject ? std::nullopt : std::optional(list_value(value));
    }
    case KeyType::kMap:
    case KeyType::kAny:
      break;
  }
  return value.kind == Kind::kObject ? std::optional(value) : std::nullopt;
}

std::string_view wanted(KeyType type) {
  switch (type) {
    case KeyType::kSize:
      return "a whole number";
    case KeyType::kNumber:
      return "a number";
    case KeyType::kFlag:
      return "true or false";
    case KeyType::kMap:
      return "a mapping";
    default:
      return "a text";
  }
}

/// A name as tables have it: dashes are underscores.
std::string plain_name(std::string_view name) {
  std::string plain(name.substr(std::min(name.find_first_not_of('-'), name.size())));
  std::replace(plain.begin(), plain.end(), '-', '_');
  return plain;
}

/// A tool's keys and its parents', the nearest first.
std::vector<KeyRow> keys_of(const ToolRow& tool) {
  std::vector<KeyRow> keys = key_rows(tool.name);
  if (tool.parent.empty()) return keys;
  for (const ToolRow& row : tool_rows())
    if (row.name == tool.parent)
      for (const KeyRow& key : keys_of(row)) keys.push_back(key);
  return keys;
}

const KeyRow* find_key(const std::vector<KeyRow>& keys, std::string_view name) {
  for (const KeyRow& row : keys)
    if (row.key == name) return &row;
  return nullptr;
}

/// Hears one tool's object.
class Hearing {
 public:
  Hearing(const ToolRow& tool, const Source& source, Settings& settings)
      : tool_(tool), source_(source), settings_(settings), keys_(keys_of(tool)) {}

  std::optional<Error> hear(const Value& object, const std::string& prefix) {
    for (const Member& member : object.members) {
      const std::string name = plain_name(member.name);
      if (auto wrong = hear_key(prefix, name, member.value)) return wrong;
    }
    return std::nullopt;
  }

 private:
  std::optional<Error> hear_key(const std::string& prefix, const std::string& name, const Value& value) {
    const KeyRow* row = find_key(keys_, prefix + name);
    // accelerate and transformers take `fsdp_version` for `version` within what is of FSDP.
    if (row == nullptr && !prefix.empty()) row = find_key(keys_, prefix + unprefixed(prefix, name));
    if (row == nullptr && name.starts_with("no_") && prefix.empty()) {
      row = find_key(keys_, name.substr(3));
      if (row != nullptr && row->type == KeyType::kFlag) return hear_row(*row, name, negated(value));
      row = nullptr;
    }
    if (row == nullptr) return hear_unknown(prefix + name, value), std::nullopt;
    return hear_row(*row, prefix + name, value);
  }

  static std::string unprefixed(const std::string& prefix, const std::string& name) {
    const std::string word = prefix.substr(0, prefix.find('_')) + "_";
    const std::string whole = prefix.substr(0, prefix.size() - 1) + "_";
    for (const std::string& start : {whole, word, std::string("stage3_")})
      if (name.starts_with(start)) return name.substr(start.size());
    return name;
  }

  static Value negated(const Value& value) {
    const std::optional<bool> flag = as_flag(value);
    return {.kind = Kind::kBool, .boolean = flag && !*flag};
  }

  std::string at(std::string_view key) const { return place_of(source_, key); }

  /// A key that no table has is never dropped in silence; its value, which may be a secret, is not shown.
  void hear_unknown(const std::string& name, const Value& value) {
    if (is_nothing(value) || (value.kind == Kind::kBool && !value.boolean)) {
      settings_.notes.harmless.push_back(name.substr(0, 60));
      return;
    }
    std::vector<std::string_view> known;
    for (const KeyRow& row : keys_) known.push_back(row.key);
    const auto near = nearest(name, known);
    settings_.notes.not_understood.push_back(name.substr(0, 60) + ": is not known to " + std::string(tool_.title) +
                                             " as read here" +
                                             (near ? " (did you mean " + std::string(*near) + "?)" : ""));
  }

  std::optional<Error> hear_row(const KeyRow& row, const std::string& name, const Value& given) {
    if (row.kind == KeyKind::kHarmless && row.type != KeyType::kMap) {
      settings_.notes.harmless.push_back(name);
      return std::nullopt;
    }
    Value value = given;
    if (row.type == KeyType::kMap) {
      if (value.kind == Kind::kString && value.string.starts_with('{')) {
        Result<Value> inner = parse_json(value.string);
        if (!inner) return Error{at(name), inner.error().problem, inner.error().hint};
        value = std::move(*inner);
      }
      if (value.kind == Kind::kObject) return hear_map(row, name, value);
    }
    const bool is_path = row.type == KeyType::kMap && value.kind == Kind::kString && !is_nothing(value);
    std::optional<Value> read = is_path || is_auto(value) ? std::optional(value) : typed(row.type, value);
    if (!read)
      return Error{at(name) + ": " + name,
                   "must be " + std::string(wanted(row.type)) + ", is " + in_quotes(shown(value)),
                   value.kind == Kind::kString && value.string.starts_with('$')
                       ? "only running the script would tell: write the value in its place"
                       : ""};
    return keep(row, name, std::move(*read));
  }

  std::optional<Error> hear_map(const KeyRow& row, const std::string& name, const Value& value) {
    const bool empty = value.members.empty();
    if (row.kind == KeyKind::kRefused && !empty)
      settings_.refused.push_back(at(name) + ": " + name + " " + std::string(row.note));
    if (row.kind == KeyKind::kHarmless) settings_.notes.harmless.push_back(name);
    if (row.kind == KeyKind::kUsed)
      if (auto wrong = say(row, name, {.kind = Kind::kBool, .boolean = !empty})) return wrong;
    const std::string prefix = std::string(row.key) + ".";
    const bool has_rows =
        std::any_of(keys_.begin(), keys_.end(), [&](const KeyRow& key) { return key.key.starts_with(prefix); });
    return row.kind == KeyKind::kRefused || !has_rows ? std::nullopt : hear(value, prefix);
  }

  static bool is_at(const KeyRow& row, const Value& value) {
    const std::string text = shown(value);
    for (const std::string_view harmless : row.at) {
      if (harmless == "none" ? is_nothing(value) : harmless == text) return true;
      const std::optional<double> number = as_number(value);
      if (number && as_number(text_value(harmless)) == number) return true;
    }
    return is_nothing(value);
  }

  std::optional<Error> keep(const KeyRow& row, const std::string& name, Value value) {
    if (row.kind == KeyKind::kUsed) return say(row, name, std::move(value));
    const std::string line = name + ": " + shown(value);
    if (is_at(row, value))
      settings_.notes.harmless.push_back(name);
    else if (row.kind == KeyKind::kDoubt)
      settings_.notes.not_understood.push_back(line + ": " + std::string(row.note));
    else
      settings_.refused.push_back(at(name) + ": " + line + " " + std::string(row.note));
    return std::nullopt;
  }

  std::optional<Error> say(const KeyRow& row, const std::string& name, Value value) {
    const auto other = std::find_if(settings_.all.begin(), settings_.all.end(),
                                    [&](const Setting& setting) { return setting.slot == row.slot; });
    const std::string line = name + ": " + shown(value);
    Setting setting = {std::string(row.slot), std::move(value), name, &source_};
    if (other == settings_.all.end()) {
      if (row.type != KeyType::kMap) settings_.notes.used.push_back(line);
      settings_.all.push_back(std::move(setting));
      return std::nullopt;
    }
    if (shown(other->value) == shown(setting.value) || is_auto(setting.value)) return std::nullopt;
    if (is_auto(other->value)) {  // transformers fills it in from the arguments
      settings_.notes.used.push_back(line);
      *other = std::move(setting);
      return std::nullopt;
    }
    if (other->source->is_command == source_.is_command)
      return Error{at(name),
                   name + " is " + in_quotes(shown(setting.value)) + ", and " + place_of(*other->source, other->key) +
                       " has " + other->key + " as " + in_quotes(shown(other->value)),
                   "drop one of them"};
    if (!source_.is_command) return std::nullopt;
    settings_.notes.used.push_back(line + " (in place of " + shown(other->value) + ")");
    *other = std::move(setting);
    return std::nullopt;
  }

  const ToolRow& tool_;
  const Source& source_;
  Settings& settings_;
  std::vector<KeyRow> keys_;
};

}  // namespace

std::string shown(const Value& value) {
  std::string text;
  switch (value.kind) {
    case Kind::kNull:
      return "none";
    case Kind::kString:
      text = value.string;
      break;
    case Kind::kList:
      for (const Value& item : value.items) add_to_list(text, shown(item));
      break;
    case Kind::kObject:
      return value.members.empty() ? "{}" : "a mapping";
    default:
      text = to_json(value);
  }
  if (text.size() > 400) text = text.substr(0, 400) + " …";
  return text;
}

std::string place_of(const Source& source, std::string_view key) {
  const std::string_view last = key.substr(key.rfind('.') + 1);
  size_t line = 1;
  for (size_t begin = 0; begin < source.text.size() && !last.empty(); ++line) {
    const size_t end = std::min(source.text.find('\n', begin), source.text.size());
    std::string text(source.text.substr(begin, end - begin));
    std::replace(text.begin(), text.end(), '-', '_');
    for (size_t at = text.find(last); at < text.size(); at = text.find(last, at + 1)) {
      const auto word = [&](size_t i) {
        return i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) != 0);
      };
      const bool comment = text.find('#') < at;
      if (!comment && !word(at + last.size()) && (at == 0 || !word(at - 1)))
        return source.name + ", line " + std::to_string(line);
    }
    begin = end + 1;
  }
  return source.name;
}

const Setting* Settings::find(std::string_view slot) const {
  for (const Setting& setting : all) {
    if (setting.slot != slot) continue;
    setting.is_read = true;
    return &setting;
  }
  return nullptr;
}

void note_defaults(Settings& settings) {
  for (const Setting& setting : settings.all)
    if (setting.source == nullptr && setting.is_read && !setting.is_made)
      settings.notes.defaults.push_back(setting.key + ": " + shown(setting.value));
}

bool Settings::says(std::string_view slot) const {
  const Setting* setting = find(slot);
  return setting != nullptr && setting->source != nullptr && !setting->value.is_null();
}

std::optional<int64_t> Settings::size(std::string_view slot) const {
  const Setting* setting = find(slot);
  if (setting == nullptr || setting->value.kind != Kind::kInteger) return std::nullopt;
  return setting->value.integer;
}

std::optional<double> Settings::number(std::string_view slot) const {
  const Setting* setting = find(slot);
  return setting == nullptr ? std::nullopt : as_number(setting->value);
}

bool Settings::flag(std::string_view slot) const {
  const Setting* setting = find(slot);
  return setting != nullptr && setting->value.kind == Kind::kBool && setting->value.boolean;
}

std::string Settings::text(std::string_view slot) const {
  const Setting* setting = find(slot);
  return setting == nullptr || setting->value.is_null() ? std::string() : shown(setting->value);
}

std::vector<std::string> Settings::list(std::string_view slot) const {
  const Setting* setting = find(slot);
  std::vector<std::string> words;
  if (setting != nullptr)
    for (const Value& item : setting->value.items) words.push_back(item.string);
  return words;
}

void Settings::put(std::string_view slot, Value value) {
  for (Setting& setting : all)
    if (setting.slot == slot) {
      setting.value = std::move(value);
      return;
    }
  all.push_back({std::string(slot), std::move(value), std::string(slot), nullptr, true});
}

void Settings::put(std::string_view slot, std::string_view text) { put(slot, text_value(text)); }

std::optional<Error> hear(const ToolRow& tool, const Value& object, const Source& source, Settings& settings) {
  return Hearing(tool, source, settings).hear(object, "");
}

void take_defaults(const ToolRow& tool, Settings& settings) {
  for (const KeyRow& row : keys_of(tool)) {
    if (row.fallback.empty() || settings.find(row.slot) != nullptr) continue;
    const std::optional<Value> value = typed(row.type, text_value(row.fallback));
    if (!value) continue;
    settings.all.push_back({std::string(row.slot), *value, std::string(row.key), nullptr});
  }
}

}  // namespace peakmem
