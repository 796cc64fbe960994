#include "layout/zero_layout.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "size/text.h"

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

/// _round_robin_reorder: every so manieth from the first one on, then from the second one on, and so forth.
std::vector<ZeroMember> dealt(const std::vector<ZeroMember>& members, int64_t ranks) {
  std::vector<ZeroMember> result;
  const auto step = static_cast<size_t>(ranks);
  for (size_t first = 0; first < std::min(step, members.size()); ++first)
    for (size_t i = first; i < members.size(); i += step) result.push_back(members[i]);
  return result;
}

/// Members end to end, padded to a multiple of twice the ranks.
void lay_out(ZeroGroup& group, int64_t ranks) {
  for (ZeroMember& member : group.members) {
    member.begin = group.flat;
    group.flat += member.elements;
  }
  const int64_t step = kAlignment * ranks;
  group.flat = (group.flat + step - 1) / step * step;
  group.part = group.flat / ranks;
}

/// ZeRO 3: each member is cut by itself, and padded to the ranks.
void cut_members(ZeroGroup& group, int64_t ranks) {
  for (ZeroMember& member : group.members) {
    member.begin = ranks * group.part;
    group.part += (member.elements + ranks - 1) / ranks;
  }
  group.flat = ranks * group.part;
}

/// _create_fp16_sub_groups: a group's members until their parts are that many elements.
std::vector<ZeroGroup> sub_groups(const ZeroGroup& group, const Zero& zero) {
  std::vector<ZeroGroup> subs;
  int64_t elements = 0;
  for (const ZeroMember& member : group.members) {
    if (elements == 0) subs.emplace_back();
    subs.back().members.push_back(member);
    elements += (member.elements + zero.ranks - 1) / zero.ranks;
    if (elements >= zero.sub_group) elements = 0;
  }
  for (ZeroGroup& sub : subs) cut_members(sub, zero.ranks);
  return subs;
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
    groups[decays ? 0 : 1].members.push_back({i, 0, shape.elements().number()});
  }
  std::erase_if(groups, [](const ZeroGroup& group) { return group.members.empty(); });
  if (zero.stage == 3) {
    std::vector<ZeroGroup> all;
    for (const ZeroGroup& group : groups)
      for (ZeroGroup& sub : sub_groups(group, zero)) all.push_back(std::move(sub));
    return all;
  }
  for (ZeroGroup& group : groups) {
    if (zero.round_robin) group.members = dealt(group.members, zero.ranks);
    lay_out(group, zero.ranks);
  }
  return groups;
}

std::vector<ZeroGroup> zero_groups(const Job& job) {
  const Structure structure = structure_of(job);
  const Dims dims = number_dims(job);
  Tape tape;
  tape.begin_phase(0, -1, "model");
  tape.meta_parameters = true;
  const std::unique_ptr<Model> model =
      find_family(job.description.family)->build({tape, job.description, dims, structure});
  return zero_groups(tape, job.recipe.zero);
}

std::vector<int64_t> touched_by_rank(const std::vector<ZeroGroup>& groups, int64_t ranks) {
  std::vector<int64_t> touched(static_cast<size_t>(ranks));
  for (const ZeroGroup& group : groups)
    for (const ZeroMember& member : group.members)
      for (const ZeroSlice& slice : slices(group, member)) touched[static_cast<size_t>(slice.rank)] += member.elements;
  return touched;
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
