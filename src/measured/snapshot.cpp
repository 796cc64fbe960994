#include "measured/snapshot.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "size/bytes.h"
#include "trace/evaluate.h"

namespace peakmem {
namespace {

using Kind = Objects::Kind;

constexpr int64_t kMostBytes = int64_t{1} << 62;  // of all blocks and events together, so that no sum can overflow
constexpr size_t kMostDevices = 1024;

/// A block that is in use.
struct Block {
  int64_t bytes = 0;  // asked for, where that is known
  ObjectId frames = Objects::none();
};

/// An allocation or a release.
struct Event {
  bool birth = false;
  int64_t address = 0;
  Block block;
};

/// Blocks in use by address.
using InUse = std::unordered_map<int64_t, Block>;

/// One device of a snapshot.
struct Device {
  InUse at_dump;
  std::vector<Event> events;  // the oldest first
  bool in_blocks = false;     // some block does not say what was asked for
  int64_t total = 0;          // of all sizes read
  std::vector<std::string> notes;

  /// Notes a size that was read; false where it is none.
  bool take(int64_t bytes) {
    if (bytes < 0 || bytes > kMostBytes - total - 512) return false;
    total += peakmem::in_blocks(bytes);
    return true;
  }
};

/// A moment of a device's history: after so many events.
struct Highest {
  size_t events = 0;
  int64_t bytes = 0;
};

/// What was asked for; before torch 2.1 a block's newest history entry says it, and before that only its size is known.
int64_t requested(const Object& block, bool& in_blocks) {
  const Object said = block["requested_size"];
  if (said.is(Kind::kInteger)) return said.number();
  const Object history = block["history"];
  if (history.size() > 0 && history.at(0)["real_size"].is(Kind::kInteger)) return history.at(0)["real_size"].number();
  in_blocks = true;
  return block["size"].number();
}

Error damaged(const char* where, int64_t bytes) {
  return {where, "hold a block of " + std::to_string(bytes) + " bytes", "is the snapshot damaged?"};
}

std::optional<Error> read_segment(const Object& segment, std::vector<Device>& devices) {
  const int64_t number = segment["device"].number();
  if (number < 0 || static_cast<size_t>(number) >= kMostDevices)
    return Error{"segments", "are on a device " + std::to_string(number), "is the snapshot damaged?"};
  if (devices.size() <= static_cast<size_t>(number)) devices.resize(static_cast<size_t>(number) + 1);
  Device& device = devices[static_cast<size_t>(number)];
  const Object blocks = segment["blocks"];
  int64_t address = segment["address"].number();
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Object block = blocks.at(i);
    const int64_t size = block["size"].number();
    if (block["address"].is(Kind::kInteger)) address = block["address"].number();
    if (block["state"].text() == "active_allocated") {
      const Block in_use = {requested(block, device.in_blocks), block["frames"].id()};
      if (!device.take(in_use.bytes)) return damaged("segments", in_use.bytes);
      device.at_dump[address] = in_use;
    }
    if (__builtin_add_overflow(address, size, &address)) address = 0;
  }
  return std::nullopt;
}

std::optional<Error> read_trace(const Object& trace, Device& device) {
  for (size_t i = 0; i < trace.size(); ++i) {
    const Object entry = trace.at(i);
    const std::string_view action = entry["action"].text();
    const int64_t size = entry["size"].number();
    if (action == "oom") device.notes.push_back("the run was out of memory when it asked for " + in_binary_units(size));
    if (action != "alloc" && action != "free_requested") continue;
    if (!device.take(size)) return damaged("device_traces", size);
    device.events.push_back({action == "alloc", entry["addr"].number(), {size, entry["frames"].id()}});
  }
  return std::nullopt;
}

/// Undoes all events from the dump backward: what was in use before the first of them.
InUse before_history(const Device& device, size_t& misfits) {
  InUse live = device.at_dump;
  for (size_t i = device.events.size(); i-- > 0;) {
    const Event& event = device.events[i];
    const bool fits = event.birth ? live.erase(event.address) == 1
                                  : live.insert({event.address, {event.block.bytes, Objects::none()}}).second;
    misfits += fits ? 0 : 1;
  }
  return live;
}

int64_t size_in(const Device& device, const Block& block) {
  return device.in_blocks ? in_blocks(block.bytes) : block.bytes;
}

/// Does one event; its change of the bytes in use.
int64_t apply(const Device& device, const Event& event, InUse& live) {
  if (event.birth) {
    Block& block = live[event.address];
    const int64_t before = size_in(device, block);
    block = event.block;
    return size_in(device, block) - before;
  }
  const auto found = live.find(event.address);
  if (found == live.end()) return 0;
  const int64_t bytes = size_in(device, found->second);
  live.erase(found);
  return -bytes;
}

int64_t sum(const Device& device, const InUse& live) {
  int64_t bytes = 0;
  for (const auto& [address, block] : live) bytes += size_in(device, block);
  return bytes;
}

Highest highest_moment(const Device& device, InUse live) {
  int64_t bytes = sum(device, live);
  Highest highest = {0, bytes};
  for (size_t i = 0; i < device.events.size(); ++i) {
    bytes += apply(device, device.events[i], live);
    if (bytes > highest.bytes) highest = {i + 1, bytes};
  }
  return highest;
}

/// Python code of the user's, or of a model's, rather than PyTorch's own or a C++ frame.
bool is_users(const Object& frame) {
  const std::string_view file = frame["filename"].text();
  return file.ends_with(".py") && file.find("/torch/") == std::string_view::npos;
}

/// "modeling_llama.py:153 forward": the innermost frame of the user's code, else the innermost that has a name.
std::string frame_name(const Object& frames) {
  constexpr size_t kDeepest = 1000;
  std::optional<Object> chosen;
  for (size_t i = 0; i < std::min(frames.size(), kDeepest); ++i) {
    const Object frame = frames.at(i);
    if (!chosen && !frame["name"].text().empty()) chosen = frame;
    if (!is_users(frame)) continue;
    chosen = frame;
    break;
  }
  if (!chosen) return "";
  const std::string_view path = (*chosen)["filename"].text();
  const std::string file(path.substr(path.rfind('/') + 1).substr(0, 60));  // npos + 1 is 0
  const std::string name((*chosen)["name"].text().substr(0, 60));
  return file.ends_with(".py") ? file + ":" + std::to_string((*chosen)["line"].number()) + " " + name : name;
}

LiveSet live_set(const Device& device, const InUse& live, const Object& root) {
  std::map<std::pair<int64_t, std::string>, int64_t> groups;
  std::unordered_map<ObjectId, std::string> names;  // one stack stands for many blocks
  LiveSet set;
  for (const auto& [address, block] : live) {
    const auto [name, is_new] = names.try_emplace(block.frames);
    if (is_new) name->second = frame_name(root.other(block.frames));
    if (block.bytes == 0) continue;
    ++groups[{size_in(device, block), name->second}];
    set.bytes += size_in(device, block);
  }
  for (const auto& [group, count] : groups) set.groups.push_back({group.first, count, group.second});
  return set;
}

std::string counted(size_t number, const char* what) {
  return grouped(static_cast<int64_t>(number)) + " " + what + (number == 1 ? "" : "s");
}

/// What a history leaves open.
void write_notes(const Device& device, const InUse& start, const Highest& highest, size_t misfits,
                 std::vector<std::string>& notes) {
  notes = device.notes;
  if (device.events.empty()) {
    notes.emplace_back(
        "it has no history, so this is what was live at the dump, which need not be the peak: call "
        "torch.cuda.memory._record_memory_history() before the run");
    return;
  }
  notes.push_back("its history has " + grouped(static_cast<int64_t>(device.events.size())) +
                  " allocations and releases, the peak after " + grouped(static_cast<int64_t>(highest.events)) +
                  " of them, and begins with " + in_binary_units(sum(device, start)) +
                  " in use: a higher peak before it would not be seen");
  if (misfits > 0)
    notes.push_back(counted(misfits, "event") + " of the history do not fit what was live at the dump, " +
                    "so the live set may be wrong");
  if (device.in_blocks) notes.emplace_back("it does not say what was asked for: sizes are in blocks of 512 bytes");
}

struct Found {
  size_t device = 0;
  InUse start;
  Highest highest;
  size_t misfits = 0;
};

Found fullest(const std::vector<Device>& devices) {
  Found fullest;
  for (size_t i = 0; i < devices.size(); ++i) {
    Found found = {i, {}, {}, 0};
    found.start = before_history(devices[i], found.misfits);
    found.highest = highest_moment(devices[i], found.start);
    if (i == 0 || found.highest.bytes > fullest.highest.bytes) fullest = std::move(found);
  }
  return fullest;
}

}  // namespace

Result<Measurement> read_snapshot(const Object& root) {
  const Object segments = root["segments"];
  const Object traces = root["device_traces"];
  if (!segments.is(Kind::kList))
    return Error{"segments", "is missing: this is no snapshot",
                 "torch.cuda.memory._dump_snapshot(\"snapshot.pickle\") writes one"};
  std::vector<Device> devices(std::clamp<size_t>(traces.size(), 1, kMostDevices));
  for (size_t i = 0; i < segments.size(); ++i)
    if (auto error = read_segment(segments.at(i), devices)) return *error;
  for (size_t i = 0; i < std::min(traces.size(), devices.size()); ++i)
    if (auto error = read_trace(traces.at(i), devices[i])) return *error;
  Found found = fullest(devices);
  const Device& device = devices[found.device];
  Measurement measurement;
  measurement.format = "snapshot";
  measurement.in_blocks = device.in_blocks;
  measurement.has_workspaces = true;
  write_notes(device, found.start, found.highest, found.misfits, measurement.notes);
  if (devices.size() > 1)
    measurement.notes.push_back("of " + std::to_string(devices.size()) + " devices this is number " +
                                std::to_string(found.device) + ", the fullest");
  InUse live = std::move(found.start);
  for (size_t i = 0; i < found.highest.events; ++i) apply(device, device.events[i], live);
  measurement.peak.live = live_set(device, live, root);
  if (measurement.peak.live.bytes == 0)
    return Error{"segments", "hold no block that is in use", "dump the snapshot while the run still holds its memory"};
  return measurement;
}

}  // namespace peakmem
