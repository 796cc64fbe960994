// What --for takes: sizes of the run and of the model, and numbers of cards.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "model/description.h"

namespace peakmem {

/// An unknown that is an option of its own: where its value stands in a description, if it does.
struct OptionUnknown {
  std::string_view name;
  int64_t Description::* own;
};
inline constexpr std::array<OptionUnknown, 9> kOptionUnknowns = {{{"layers", &Description::layers},
                                                                  {"hidden", &Description::hidden},
                                                                  {"heads", &Description::heads},
                                                                  {"kv-heads", &Description::kv_heads},
                                                                  {"head-dim", &Description::head_dim},
                                                                  {"ffn", &Description::ffn},
                                                                  {"vocab", &Description::vocab},
                                                                  {"num-experts", &Description::experts},
                                                                  {"lora-rank", nullptr}}};
/// Letters of every trace.
inline constexpr std::array<std::string_view, 3> kUnknownLetters = {"batch", "seq", "target-seq"};
/// Of these the smallest that fits is sought.
inline constexpr std::array<std::string_view, 5> kFewest = {"accumulate", "fsdp", "gpus", "ranks", "zero"};

/// Names that --for takes of a model, a recording's letters beside: sizes of the run and of the model, and numbers of
/// cards. "gpu", which asks for the card, is none of them.
std::vector<std::string_view> unknown_names();

}  // namespace peakmem
