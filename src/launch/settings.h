// What launch files say, in one vocabulary: the fields of transformers' TrainingArguments and of what stands around
// them. Rules read these settings; they know no tool's spelling.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "estimate/launch_notes.h"
#include "format/value.h"
#include "launch/table.h"
#include "size/result.h"

namespace peakmem {

/// Where keys stand: a file by its name, and its text, in which a key's line can be looked up. What a command line says
/// is heard before what a file does.
struct Source {
  std::string name;
  std::string_view text;
  bool is_command = false;
};

/// One thing that is said: a slot with its value, by which key of which source. `source` is null for what a tool takes
/// by itself, and for what a rule made of it. Whether a rule read it tells which defaults the answer rests on.
struct Setting {
  std::string slot;
  Value value;
  std::string key;
  const Source* source = nullptr;
  bool is_made = false;
  mutable bool is_read = false;
};

/// All that is said, and what became of each key.
struct Settings {
  std::vector<Setting> all;
  LaunchNotes notes;
  std::vector<std::string> refused;  // what makes another job, as sentences

  /// The setting of that slot, or null. A null value that somebody wrote is a setting.
  const Setting* find(std::string_view slot) const;
  /// Whether it was said, rather than left to the tool.
  bool says(std::string_view slot) const;
  std::optional<int64_t> size(std::string_view slot) const;
  std::optional<double> number(std::string_view slot) const;
  bool flag(std::string_view slot) const;
  /// A text; a number or flag as text too. Empty where there is none.
  std::string text(std::string_view slot) const;
  std::vector<std::string> list(std::string_view slot) const;
  /// Puts a rule's own result in the place of what was said.
  void put(std::string_view slot, Value value);
  void put(std::string_view slot, std::string_view text);
};

/// "sft.yaml, line 4", or the name alone where the key is not found in the text.
std::string place_of(const Source& source, std::string_view key);
/// A value as a note may show it: on one line, of a bounded length.
std::string shown(const Value& value);

/// Hears every key of `object` by the tool's table and its parents'. Refused are values of the wrong kind, and what
/// another source of the same standing says otherwise.
std::optional<Error> hear(const ToolRow& tool, const Value& object, const Source& source, Settings& settings);
/// Fills in what the tool takes by itself where nothing was said. A tool heard first has the say.
void take_defaults(const ToolRow& tool, Settings& settings);
/// Notes the defaults that rules have read.
void note_defaults(Settings& settings);

}  // namespace peakmem
