#include "launch/table.h"

#include <algorithm>
#include <array>
#include <utility>

namespace peakmem {
namespace {

using Fields = std::vector<std::string_view>;

template <class T>
using Names = std::span<const std::pair<std::string_view, T>>;

constexpr std::array<std::pair<std::string_view, KeyType>, 8> kTypes = {{{"any", KeyType::kAny},
                                                                         {"size", KeyType::kSize},
                                                                         {"number", KeyType::kNumber},
                                                                         {"flag", KeyType::kFlag},
                                                                         {"text", KeyType::kText},
                                                                         {"list", KeyType::kList},
                                                                         {"map", KeyType::kMap},
                                                                         {"words", KeyType::kWords}}};
constexpr std::array<std::pair<std::string_view, KeyKind>, 4> kKinds = {{{"used", KeyKind::kUsed},
                                                                         {"harmless", KeyKind::kHarmless},
                                                                         {"doubt", KeyKind::kDoubt},
                                                                         {"refused", KeyKind::kRefused}}};

template <class T, size_t N>
T named(const std::array<std::pair<std::string_view, T>, N>& rows, std::string_view name) {
  for (const auto& [known, value] : rows)
    if (known == name) return value;
  return rows[0].second;
}

Fields split(std::string_view text, char at) {
  Fields fields;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(at, begin), text.size());
    fields.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return fields;
}

/// The entries of a field such as `a|b`; none of an empty one.
Fields entries(std::string_view field) { return field.empty() ? Fields() : split(field, '|'); }

}  // namespace

std::vector<std::vector<std::string_view>> table_lines(std::string_view name) {
  std::vector<Fields> lines;
  for (const ShippedFile& file : launch_tables()) {
    if (file.name != name) continue;
    for (const std::string_view line : split(file.text, '\n')) {
      if (line.empty() || line.front() == '#') continue;
      Fields fields = split(line, '\t');
      for (std::string_view& field : fields)
        if (field == "-") field = {};
      fields.resize(std::max<size_t>(fields.size(), 9));
      lines.push_back(std::move(fields));
    }
  }
  return lines;
}

std::vector<ToolRow> tool_rows() {
  std::vector<ToolRow> rows;
  for (const Fields& f : table_lines("tools"))
    rows.push_back({f[0], f[1], f[2], f[3], entries(f[4]), entries(f[5]), entries(f[6]), entries(f[7]), f[8]});
  return rows;
}

std::vector<KeyRow> key_rows(std::string_view tool) {
  std::vector<KeyRow> rows;
  for (const Fields& f : table_lines(tool))
    rows.push_back({f[0], named(kTypes, f[1]), named(kKinds, f[2]), f[3].empty() ? f[0] : f[3], f[4], entries(f[5]),
                    f[6], f[7], f[8]});
  return rows;
}

}  // namespace peakmem
