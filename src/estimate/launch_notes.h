// What was read of launch files, beside the answer it led to.
#pragma once

#include <string>
#include <vector>

namespace peakmem {

/// What became of every key of the launch files that a question was asked with; empty where there was none. A line is a
/// key, with its value where it was used; no line has a value that may be a secret.
struct LaunchNotes {
  std::vector<std::string> files;           // "sft.yaml: SFTConfig of TRL 1.16"
  std::vector<std::string> used;            // "max_length: 2048"
  std::vector<std::string> defaults;        // what the tool takes where the files say nothing: "max_grad_norm: 1.0"
  std::vector<std::string> harmless;        // keys that change no byte
  std::vector<std::string> not_understood;  // keys that were not used and may change the answer, with the reason
  std::string command;                      // the same question by options alone
};

}  // namespace peakmem
