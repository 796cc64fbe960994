#include "train/zero_layout.h"

#include <algorithm>
#include <array>
#include <string>

namespace peakmem {
namespace {

constexpr int64_t kAlignment = 2;

/// Whether the text has the word where a dot or its end follows; before it stands its beginning, a dot or, unless
/// `whole`, anything.
bool has_part(std::string_view text, std::string_view word, bool whole) {
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    const bool begins = !whole || at == 0 || text[at - 1] == '.';
    if (begins && (end == text.size() || text[end] == '.')) return true;
  }
  return false;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

void add(std::vector<ZeroGroup>& groups, bool decays, size_t parameter, int64_t elements) {
  ZeroGroup& group = groups[decays ? 0 : 1];
  group.members.push_back({parameter, group.flat, elements});
  group.flat += elements;
}

}  // namespace

bool is_decayed(std::string_view name, int rank) {
  const std::string text = lower(name);
  for (const std::string_view part : {"bias", "layernorm", "rmsnorm"})
    if (text.find(part) != std::string::npos) return false;
  if (has_part(text, "norm", true) || has_part(text, "_norm", false)) return false;
  return rank != 1 || !text.ends_with("weight");  // nn.LayerNorm, whatever it is called
}

std::vector<ZeroGroup> zero_groups(const Tape& tape, const Zero& zero) {
  std::vector<ZeroGroup> groups(2);
  for (size_t i = 0; i < tape.parameters.size(); ++i) {
    const Parameter& parameter = tape.parameters[i];
    const KeptShape& shape = parameter.value.shape();
    const bool decays = zero.one_group || is_decayed(tape.program.path(parameter.scope), shape.rank);
    add(groups, decays, i, shape.elements().number());
  }
  std::erase_if(groups, [](const ZeroGroup& group) { return group.members.empty(); });
  const int64_t step = kAlignment * zero.ranks;
  for (ZeroGroup& group : groups) {
    group.flat = (group.flat + step - 1) / step * step;
    group.part = group.flat / zero.ranks;
  }
  return groups;
}

std::vector<ZeroSlice> slices(const ZeroGroup& group, const ZeroMember& member) {
  std::vector<ZeroSlice> found;
  const int64_t end = member.begin + member.elements;
  for (int64_t at = member.begin; at < end;) {
    const int64_t rank = at / group.part;
    const int64_t next = std::min((rank + 1) * group.part, end);
    found.push_back({rank, next - at});
    at = next;
  }
  return found;
}

int64_t elements_of(const ZeroGroup& group, const ZeroMember& member, int64_t rank) {
  const int64_t first = std::max(member.begin, rank * group.part);
  const int64_t last = std::min(member.begin + member.elements, (rank + 1) * group.part);
  return std::max<int64_t>(0, last - first);
}

}  // namespace peakmem
