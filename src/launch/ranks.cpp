// Who trains together: DDP, FSDP2 and HSDP are taken, what else there is is refused by name.
#include <algorithm>
#include <tuple>

#include "launch/understanding.h"
#include "size/wording.h"

namespace peakmem {
namespace {

bool has(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool given_ranks(const Understanding& u) { return u.is_given("fsdp") || u.is_given("hsdp") || u.is_given("ddp"); }

/// What is kept on the host, as `, its optimizer on the host`.
std::string offloaded(const Settings& s) {
  std::string what;
  for (const auto& [slot, name] : {std::pair("zero.offload_optimizer.device", "its optimizer"),
                                   std::pair("zero.offload_param.device", "its parameters")})
    if (const std::string device = s.text(slot); !device.empty() && device != "none")
      what += ", " + std::string(name) + " on the " + (device == "cpu" ? "host" : device);
  return what;
}

/// The sizes that transformers fills in for "auto" (5.23, integrations/deepspeed.py), from the width h.
void take_auto(Understanding& u) {
  const Settings& s = u.settings;
  const int64_t h = u.hidden;
  for (const auto& [slot, size, rule] : {std::tuple("zero.reduce_bucket_size", h * h, "h²"),
                                         std::tuple("zero.prefetch_bucket_size", h * h / 10 * 9, "0.9 h²"),
                                         std::tuple("zero.param_persistence_threshold", 10 * h, "10 h")})
    if (s.text(slot) == "auto")
      u.assumptions.push_back(std::string(slot + 5) + ": auto, " + rule +
                              (h > 0 ? " = " + std::to_string(size) + " elements" : ""));
}

void refuse_deepspeed(Understanding& u, std::optional<int64_t> ranks) {
  const std::string stage = u.settings.text("zero.stage");
  u.settings.refused.push_back("DeepSpeed's ZeRO " + (stage.empty() ? "" : stage + " ") + "over " +
                               (ranks ? std::to_string(*ranks) + " ranks" : "its ranks") + offloaded(u.settings) +
                               " is not modelled yet (--fsdp 8 has FSDP2, which shards as ZeRO 3 does)");
  take_auto(u);
}

/// The options ask for other sharding than the files: said, and refused where something is on the host.
void replace_deepspeed(Understanding& u) {
  if (const std::string what = offloaded(u.settings); !what.empty())
    u.settings.refused.push_back("DeepSpeed has" + what.substr(1) + ", which is not modelled");
  u.assumptions.push_back("DeepSpeed's ZeRO " + u.settings.text("zero.stage") +
                          " of the files taken as the options say");
}

/// The words of `fsdp` that shard otherwise than FSDP2's two ways.
void check_fsdp_words(Understanding& u) {
  for (const std::string& word : u.settings.list("fsdp"))
    if (word == "offload" || word == "no_shard") u.refuse("fsdp", "is not modelled: " + word);
}

void understand_fsdp(Understanding& u, std::optional<int64_t> ranks) {
  const Settings& s = u.settings;
  const std::vector<std::string> words = s.list("fsdp");
  const bool hybrid = has(words, "hybrid_shard") || has(words, "hybrid_shard_zero2") ||
                      s.text("fsdp_config.sharding_strategy").starts_with("HYBRID");
  check_fsdp_words(u);
  if (s.size("fsdp_config.version").value_or(2) == 1 && !given_ranks(u))
    u.refuse("fsdp_config.version", "is FSDP1, whose flat parameters are not modelled (--fsdp N takes it as FSDP2)");
  if (!given_ranks(u)) {
    if (hybrid)
      u.missing.emplace_back("the mesh of copies and shards (--hsdp 2x4)");
    else if (ranks)
      u.set("fsdp", *ranks);
    else
      u.missing.emplace_back("over how many ranks it shards (--fsdp 8)");
  }
  const bool gathered = s.text("fsdp_config.reshard_after_forward") == "false" || has(words, "shard_grad_op") ||
                        s.text("fsdp_config.sharding_strategy") == "SHARD_GRAD_OP";
  if (gathered) u.set("no-reshard-after-forward", "true");
}

void understand_ddp(Understanding& u, std::optional<int64_t> ranks) {
  const Settings& s = u.settings;
  const bool given = u.is_given("ddp");
  if (!ranks && !given)
    u.assumptions.emplace_back("ranks: 1, for the files name no launcher (--ddp 8 or --fsdp 8 for more)");
  if (!given && ranks.value_or(1) == 1) return;
  if (!given) u.set("ddp", *ranks);
  if (const auto mib = s.size("ddp_bucket_cap_mb")) u.set("bucket-mb", *mib);
  if (s.says("ddp_find_unused_parameters")) u.set("find-unused", s.flag("ddp_find_unused_parameters") ? "yes" : "no");
  if (s.size("gradient_accumulation_steps").value_or(1) > 1) u.set("no-sync", "true");
}

}  // namespace

std::optional<int64_t> ranks_said(const Understanding& u) {
  const Settings& s = u.settings;
  if (const auto ranks = s.size("ranks")) return ranks;
  const std::string per_node = s.text("nproc_per_node");
  const std::string nodes = s.text("nnodes");
  if (per_node.empty()) return std::nullopt;
  const Result<int64_t> of_node = parse_size(per_node, "nproc_per_node");
  const Result<int64_t> many = parse_size(nodes.empty() ? "1" : nodes, "nnodes");
  if (!of_node || !many || *of_node > (1 << 20) || *many > (1 << 20)) return std::nullopt;  // "gpu", "1:4"
  return *of_node * *many;
}

void understand_ranks(Understanding& u) {
  const Settings& s = u.settings;
  const std::optional<int64_t> ranks = ranks_said(u);
  const std::string type = s.text("distributed_type");
  const bool zero = s.flag("deepspeed") || s.says("zero.stage") || type == "DEEPSPEED";
  const bool shards =
      !s.list("fsdp").empty() || type == "FSDP" || s.flag("use_fsdp") || u.is_given("fsdp") || u.is_given("hsdp");
  if (zero && !given_ranks(u)) return refuse_deepspeed(u, ranks);
  if (zero) replace_deepspeed(u);
  if (shards && !u.is_given("ddp")) return understand_fsdp(u, ranks);
  understand_ddp(u, ranks);
}

}  // namespace peakmem
