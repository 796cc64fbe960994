// torchtitan 0.2: its TOML as options of --stack torchtitan.
#include <algorithm>

#include "launch/prepare.h"
#include "launch/table.h"
#include "request/options.h"

namespace peakmem {
namespace {

constexpr int64_t kMostDegree = 1 << 15;  // of four, whose product so stays a number; the stack refuses fewer ranks

/// Sets an option where this build knows it, and refuses a degree over 1 where it does not.
void set_degree(Understanding& u, const char* slot, std::string_view option, std::string_view what) {
  const int64_t degree = u.settings.size(slot).value_or(1);
  if (degree <= 1) return;
  if (find_option(option) == nullptr)
    return u.refuse(slot, "is " + std::string(what) + ", which is not modelled with --stack torchtitan");
  u.set(option, degree);
}

/// FSDP's shards: as many as are said, or what the other degrees leave of the ranks (-1).
void understand_mesh(Understanding& u) {
  const Settings& s = u.settings;
  const auto degree = [&s](const char* slot) { return std::clamp<int64_t>(s.size(slot).value_or(1), 1, kMostDegree); };
  set_degree(u, "titan.tp", "tp", "tensor parallelism");
  set_degree(u, "titan.pp", "pp", "a pipeline");
  set_degree(u, "titan.cp", "cp", "context parallelism");
  set_degree(u, "titan.ep", "ep", "expert parallelism");
  set_degree(u, "titan.etp", "etp", "tensor parallelism of experts");
  if (u.is_given("fsdp") || u.is_given("hsdp")) return;
  const int64_t replicas = degree("titan.replicas");
  int64_t shards = s.size("titan.shards").value_or(-1);
  if (shards < 0) {
    const std::optional<int64_t> ranks = ranks_said(u);
    const int64_t others = replicas * degree("titan.tp") * degree("titan.pp") * degree("titan.cp");
    if (!ranks)
      return u.missing.emplace_back(replicas > 1 ? "over how many ranks it shards (--hsdp 2x8)"
                                                 : "over how many ranks it shards (--fsdp 8)"),
             void();
    if (*ranks % others != 0)
      return u.refuse("titan.shards", "leaves no whole number of shards: " + std::to_string(*ranks) +
                                          " ranks, and the other degrees take " + std::to_string(others));
    shards = *ranks / others;
  }
  if (replicas > 1) return u.set("hsdp", std::to_string(replicas) + "x" + std::to_string(shards));
  if (shards > 1) u.set("fsdp", shards);
}

void understand_recompute(Understanding& u) {
  const Settings& s = u.settings;
  const std::string mode = s.text("titan.recompute");
  if (mode == "none") return;
  if (mode == "full") return u.set("recompute", "full");
  if (mode != "selective") return u.refuse("titan.recompute", "is not modelled: none, selective and full are");
  u.set("recompute", "selective");
  const std::string option = s.text("titan.recompute_option");
  if (option != "op") u.set("recompute-every", option);
}

void understand_pipeline(Understanding& u) {
  const Settings& s = u.settings;
  const bool is_piped = s.size("titan.pp").value_or(1) > 1;
  if (is_piped) {
    const std::string schedule = s.text("titan.schedule");
    u.set("pp-schedule", schedule.empty() ? "1F1B" : schedule);
    if (const auto rows = s.size("titan.microbatch")) u.set("pp-microbatch", *rows);
  }
  const std::string reshard = s.text("titan.reshard");
  if (reshard == "never") u.set("no-reshard-after-forward", "true");
  if (reshard == "always" && is_piped)
    u.refuse("titan.reshard", "is not modelled with a pipeline, whose default is never");
}

/// Micro-batches of a step: a global batch over the ranks that differ in data.
void doubt_accumulation(Understanding& u, int64_t rows) {
  const Settings& s = u.settings;
  const int64_t all = s.size("titan.global_batch").value_or(-1);
  if (all > rows)
    u.doubt(
        "training.global_batch_size: " + std::to_string(all) +
        ": where it is more than a batch of every rank, gradients stay between micro-batches, which is not modelled");
}

}  // namespace

void name_torchtitan(Settings& s) {
  for (const std::vector<std::string_view>& line : table_lines("torchtitan_models"))
    if (line[0] == s.text("titan.model") && line[1] == s.text("titan.flavor")) s.put("model", line[2]);
}

void understand_torchtitan(Understanding& u) {
  Settings& s = u.settings;
  if (s.text("model").empty() && s.says("titan.model"))
    u.refuse("titan.model", "with flavor " + s.text("titan.flavor") + " is none of the models that come with peakmem");
  const bool is_newer = s.says("titan.module") || s.text("words").find("activation-checkpoint:") != std::string::npos;
  if (is_newer)
    s.refused.emplace_back(
        "torchtitan 0.3, by its flags: its registries take the loss in chunks, which is not modelled (TOML of 0.2 is)");
  u.set("stack", "torchtitan");
  const int64_t rows = s.size("titan.batch").value_or(8);
  u.set("batch", rows);
  if (const auto seq = s.size("titan.seq")) u.set("seq", *seq);
  if (s.text("titan.dtype") == "bfloat16") u.set("precision", "bf16");
  understand_mesh(u);
  understand_recompute(u);
  understand_pipeline(u);
  if (s.flag("titan.whole_loss") && s.size("titan.tp").value_or(1) > 1) u.set("disable-loss-parallel", "true");
  doubt_accumulation(u, rows);
}

}  // namespace peakmem
