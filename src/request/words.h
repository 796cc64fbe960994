// The words of other tools for what the options say: taken where they can mean one thing only, else a hint.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "request/options.h"

namespace peakmem {

/// What `optim` of transformers' TrainingArguments names: our optimizer and, where the name says it, its
/// implementation.
struct OptimizerWord {
  std::string_view name;
  std::string_view optimizer;
  std::string_view implementation;
};
std::span<const OptimizerWord> optimizer_words();

/// The options in our words: `--optimizer adamw_torch_fused`, `--precision bfloat16`, `--attention flash_attention_2`.
OptionValues in_our_words(OptionValues values);

/// What to pass for an option of another tool, as an Error's hint; empty where none is known.
std::string_view hint_for_option(std::string_view name);

}  // namespace peakmem
