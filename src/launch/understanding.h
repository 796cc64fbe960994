// From settings to options: what the rules come to.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launch/settings.h"
#include "request/options.h"

namespace peakmem {

/// What rules read and write. `given` are the options asked for beside the files, which stand in the place of what
/// files say. `missing` is what no file says and no option: a phrase each, with the option that would.
struct Understanding {
  Settings& settings;
  const OptionValues& given;
  std::string model_type;  // of the model's config; empty where it is not known
  int64_t hidden = 0;      // its width; 0 where it is not known
  std::string_view tool;   // the front: whose defaults are taken
  OptionValues options;
  std::vector<std::string> missing;
  std::vector<std::string> assumptions;
  std::string nearest;  // of a job that is refused for one thing: what the same without it is called

  /// Sets an option, unless it was given.
  void set(std::string_view name, std::string_view text);
  void set(std::string_view name, int64_t size);
  /// Whether that option is given, or is what is solved for or varied.
  bool is_given(std::string_view name) const;
  void doubt(std::string_view line);
  void refuse(std::string_view slot, std::string_view why);
};

/// What a tool has of its own, put in the words of transformers' stack.
void prepare(Understanding& u);

/// The rules of transformers' stack, in the order in which they are asked.
void understand_sizes(Understanding& u);
void understand_optimizer(Understanding& u);
void understand_checkpointing(Understanding& u);
void understand_attention(Understanding& u);
void understand_kernels(Understanding& u);
void understand_evaluation(Understanding& u);
void understand_adapters(Understanding& u);
/// The ranks that a launcher says: of accelerate in all, of torchrun a node's times the nodes.
std::optional<int64_t> ranks_said(const Understanding& u);
/// Whether the ranks shard, by what is set already.
bool is_sharded(const Understanding& u);
/// Whether Trainer's loop over shards is taken: where accelerate divides the model and all of the job was measured.
bool takes_trainer_over_shards(const Understanding& u);
/// Who trains together, and with it in which dtypes: FSDP2 as accelerate makes it has a policy in autocast's place.
void understand_ranks(Understanding& u);
void understand_precision(Understanding& u);
void understand_loop(Understanding& u);

}  // namespace peakmem
