// Launch files that people have, as a question: TrainingArguments, TRL, accelerate, DeepSpeed and others, as files or
// as the command line that starts them. Nothing is run or fetched.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "estimate/launch_notes.h"
#include "request/named_config.h"
#include "request/options.h"
#include "size/result.h"

namespace peakmem {

inline constexpr size_t kLaunchMaxBytes = size_t{1} << 20;

/// A file's text, or a command line's, by the name that errors call it.
struct LaunchText {
  std::string name;
  std::string text;
};

/// What is asked: the texts that belong together; the format of the first where its content leaves doubt; the options
/// asked for beside, which stand in the place of what files say; the model, where it was named beside.
struct LaunchQuestion {
  std::vector<LaunchText> texts;
  std::string from;
  OptionValues options;
  std::optional<NamedConfig> model;
};

/// What was understood: the model, every option, and what became of each key.
struct Launch {
  NamedConfig model;
  OptionValues options;
  LaunchNotes notes;
  std::vector<std::string> assumptions;
};

/// The text of a file that another one names, none where it is not there.
using FindText = std::function<std::optional<std::string>(const std::string& path)>;

/// Whether a text is to be read as a launch file: it is no JSON, or JSON of a known tool and no model's config.
bool is_launch_text(std::string_view text, std::string_view name);
/// The names that --from takes.
std::vector<std::string_view> launch_formats();

/// Refused are texts that are of no known tool, what contradicts itself, what is not modelled (all of it, by name), and
/// what no file and no option says (all of it, with the option that would).
Result<Launch> read_launch(const LaunchQuestion& question, const FindModel& find_model, const FindText& find_text);

}  // namespace peakmem
