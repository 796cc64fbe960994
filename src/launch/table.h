// The tables of data/launch: which tools are known and by what their files are told apart, and what each key of them
// means.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "request/shipped.h"

namespace peakmem {

/// The files of data/launch, in order of name.
std::span<const ShippedFile> launch_tables();

/// What a key's value is read as. kWords: a flag, or words in a text or list.
enum class KeyType : uint8_t { kAny, kSize, kNumber, kFlag, kText, kList, kMap, kWords };

/// What a key does to the answer: it is read, it changes no byte, it may change some in a way that is not understood,
/// or it makes another job. The last two hold but at the values of `at`.
enum class KeyKind : uint8_t { kUsed, kHarmless, kDoubt, kRefused };

/// A key of a tool: a row of its table. Keys of a mapping within are joined by a point.
struct KeyRow {
  std::string_view key;
  KeyType type = KeyType::kAny;
  KeyKind kind = KeyKind::kUsed;
  std::string_view slot;             // the setting it says, of those that the rules know
  std::string_view fallback;         // the tool's default as text; empty where there is none
  std::vector<std::string_view> at;  // harmless values as texts
  std::string_view since;            // the tool's version that brought it
  std::string_view until;            // the last that has it
  std::string_view note;             // of a doubt or refusal: why
};

/// A tool whose files are known: a row of tools.tsv. Keys it does not have are looked up in its parent's table.
struct ToolRow {
  std::string_view name;
  std::string_view title;
  std::string_view version;
  std::string_view parent;                 // empty where it has none
  std::vector<std::string_view> all;       // keys that its files have, each of them
  std::vector<std::string_view> any;       // and of these one
  std::vector<std::string_view> none;      // and of these none
  std::vector<std::string_view> programs;  // words by which a command line is its
  std::string_view missing;                // of what is told but not modelled: what would be needed
};

/// Every tool, in the order in which they are tried.
std::vector<ToolRow> tool_rows();
/// The keys of a tool's own table, none where it has no table.
std::vector<KeyRow> key_rows(std::string_view tool);
/// The lines of a table as fields, a lone `-` being empty.
std::vector<std::vector<std::string_view>> table_lines(std::string_view name);

}  // namespace peakmem
