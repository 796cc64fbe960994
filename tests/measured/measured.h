// Our own trace written in the formats that measurements come in.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "trace/program.h"

namespace peakmem::testing {

/// The events of a phase, of a program that unrolls its layers; those of tensors, which is all that an oracle sees.
inline std::vector<Event> events_of(const Program& program, const Phase& phase) {
  std::vector<Event> events;
  for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
    const Segment& segment = program.segments[static_cast<size_t>(s)];
    events.insert(events.end(), program.events.begin() + segment.first, program.events.begin() + segment.last);
  }
  std::erase_if(events, [&](const Event& event) {
    return program.storages[static_cast<size_t>(event.storage)].category == Category::kWorkspace;
  });
  return events;
}

inline std::vector<Event> events_of(const Program& program) {
  std::vector<Event> events;
  for (const Phase& phase : program.phases) {
    const std::vector<Event> of_phase = events_of(program, phase);
    events.insert(events.end(), of_phase.begin(), of_phase.end());
  }
  return events;
}

inline int64_t bytes_of(const Program& program, const Event& event) {
  return program.storages[static_cast<size_t>(event.storage)].bytes.number();
}

/// "forward of step 1.01"
inline std::string heading_of(const Phase& phase) {
  const std::string micro = phase.micro > 0 ? (phase.micro < 10 ? ".0" : ".") + std::to_string(phase.micro) : "";
  return std::string(phase.name) + " of step " + std::to_string(phase.step) + micro;
}

/// As oracle/report.py writes a trace.
inline std::string as_trace(const Program& program, const std::string& what) {
  std::string text = "# " + what + "\n";
  int64_t live = 0;
  auto heading = [&](const std::string& of) { text += "=== " + of + ", " + std::to_string(live) + " bytes live\n"; };
  for (const Phase& phase : program.phases) {
    if (phase.step > 0 && std::string_view(phase.name) != "zero_grad") heading(heading_of(phase));
    for (const Event& event : events_of(program, phase)) {
      const int64_t bytes = bytes_of(program, event);
      live += event.birth ? bytes : -bytes;
      if (phase.step > 0)
        text += (event.birth ? "+" : "-") + std::to_string(bytes) + "  #" + std::to_string(event.storage) + "  op\n";
    }
  }
  heading("end of step 2");
  return text;
}

/// As torch.cuda.memory._snapshot() describes a run whose history was recorded from event `first` on and that was
/// dumped before event `dump`. Every storage has an address of its own.
inline std::string as_snapshot(const Program& program, size_t first, size_t dump) {
  std::map<int32_t, int64_t> live;
  std::string history;
  const std::vector<Event> events = events_of(program);
  for (size_t i = 0; i < dump; ++i) {
    const int64_t bytes = bytes_of(program, events[i]);
    if (events[i].birth)
      live[events[i].storage] = bytes;
    else
      live.erase(events[i].storage);
    if (i < first) continue;
    history += std::string(history.empty() ? "" : ",") + R"({"action": ")" +
               (events[i].birth ? "alloc" : "free_requested") + R"(", "addr": )" + std::to_string(events[i].storage) +
               R"(, "size": )" + std::to_string(bytes) + "}";
  }
  std::string blocks;
  for (const auto& [storage, bytes] : live)
    blocks += std::string(blocks.empty() ? "" : ",") + R"({"state": "active_allocated", "address": )" +
              std::to_string(storage) + R"(, "size": )" + std::to_string((bytes + 511) / 512 * 512) +
              R"(, "requested_size": )" + std::to_string(bytes) + "}";
  return R"({"segments": [{"device": 0, "address": 0, "blocks": [)" + blocks + R"(]}], "device_traces": [[)" + history +
         "]]}";
}

}  // namespace peakmem::testing
