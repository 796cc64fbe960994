#include "request/recorded.h"
#include "request/gpu_choice.h"

#include <algorithm>
#include <array>

#include "request/headroom.h"
#include "request/letters.h"
#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

/// Options that a trace takes like every model, beside its letters and those of the form of an answer.
constexpr std::array<std::string_view, 16> kTaken = {"gpu",      "headroom", "alloc-conf", "reserved", "at",   "json",
                                                     "simplify", "letters",  "latex",      "for",      "with", "over",
                                                     "values",   "step",     "phase",      "list"};

constexpr int kTracedCapability = 80;  // an A100's, whose kernels are traced where no GPU is named

/// Whether kernels are the same on both, and take the same for themselves; null is what is traced where none is named.
bool run_the_same(const Gpu* a, const Gpu* b) {
  const auto capability = [](const Gpu* gpu) { return gpu == nullptr ? kTracedCapability : gpu->compute_capability; };
  const auto processor = [](const Gpu* gpu) { return gpu == nullptr ? Processor{} : processor_of(*gpu); };
  return capability(a) == capability(b) && processor(a) == processor(b);
}

/// Reads the options; see recorded_request.
class Reader {
 public:
  Reader(const NamedConfig& model, const OptionValues& values, Command command, Request& request)
      : recording_(*model.recording), values_(values), command_(command), asked_(values), request_(request) {
    request_.name = model.name;
    request_.job.recording = model.recording;
    request_.job.letters = recording_.values();
  }

  std::optional<Error> read() {
    if (auto wrong = check_taken()) return wrong;
    if (auto wrong = read_options_of_letters()) return wrong;
    if (auto wrong = read_at()) return wrong;
    if (auto wrong = check_values(recording_, request_.job.letters)) return wrong;
    if (auto wrong = read_card()) return wrong;
    if (auto wrong = read_headroom(asked_, request_)) return wrong;
    if (auto wrong = read_allocator()) return wrong;
    say_what_it_is();
    return std::nullopt;
  }

 private:
  std::optional<Error> check_taken() const {
    for (const OptionValue& value : values_) {
      const OptionRow* row = find_option(value.name);
      const bool file = row->kind == OptionKind::kFile;
      if (file || std::find(kTaken.begin(), kTaken.end(), value.name) != kTaken.end()) continue;
      if (find_letter(recording_, value.name) >= 0) continue;
      return Error{"--" + value.name, "is not for a trace: the step was traced as it is, without it",
                   "drop it, or trace the step again with it"};
    }
    return std::nullopt;
  }

  std::optional<Error> set(std::string_view name, std::string_view text, const std::string& field) {
    const int32_t letter = find_letter(recording_, name);
    if (letter < 0) return Error{field, in_quotes(name) + " is no letter of this trace", known_letters(name)};
    const Result<int64_t> value = parse_size(text, field);
    if (!value) return value.error();
    request_.job.letters[static_cast<size_t>(letter)] = *value;
    return std::nullopt;
  }
  std::string known_letters(std::string_view name) const {
    std::vector<std::string_view> names;
    for (const Letter& letter : recording_.letters) names.push_back(letter.name);
    return names.empty() ? "it has none" : did_you_mean(name, names);
  }

  /// A symbol in place of a size is how the letter is written.
  std::optional<Error> read_options_of_letters() {
    for (const OptionValue& value : values_) {
      const int32_t letter = find_letter(recording_, value.name);
      if (letter < 0 || recording_.letters[static_cast<size_t>(letter)].option != value.name) continue;
      if (is_symbol(value.text))
        request_.letters.insert_or_assign(recording_.letters[static_cast<size_t>(letter)].name, value.text);
      else if (auto wrong = set(value.name, value.text, "--" + value.name))
        return wrong;
    }
    std::vector<std::string_view> names;
    for (const Letter& letter : recording_.letters) names.push_back(letter.name);
    const Result<Letters> shown = read_letters(asked_, names, std::move(request_.letters));
    if (!shown) return shown.error();
    request_.letters = *shown;
    return std::nullopt;
  }

  std::optional<Error> read_at() {
    std::vector<std::string> seen;
    for (const std::string& pair : asked_.list("at")) {
      const size_t equals = pair.find('=');
      if (equals == std::string::npos)
        return Error{"--at", in_quotes(pair) + " is no letter with a value", "write them as B=4,T=2048"};
      const std::string name = pair.substr(0, equals);
      const int32_t letter = find_letter(recording_, name);
      const bool by_option = letter >= 0 && !recording_.letters[static_cast<size_t>(letter)].option.empty() &&
                             asked_.has(recording_.letters[static_cast<size_t>(letter)].option);
      if (by_option || std::find(seen.begin(), seen.end(), name) != seen.end())
        return Error{"--at", name + " is given twice", "give it once"};
      if (auto wrong = set(name, std::string_view(pair).substr(equals + 1), "--at")) return wrong;
      seen.push_back(name);
    }
    return std::nullopt;
  }

  /// The GPU that it was traced for, unless another is asked for whose kernels take the same.
  std::optional<Error> read_card() {
    const Gpu* traced = recording_.gpu.empty() ? nullptr : find_gpu(recording_.gpu);
    request_.gpu = traced;
    if (auto wrong = read_gpu(asked_, request_)) return wrong;
    if (request_.gpu_count > 1) return Error{"--gpu", "is several cards, and a trace is of one rank", "name one"};
    if (!asked_.has("gpu")) {
      if (traced != nullptr) request_.assumptions.push_back("gpu: " + std::string(traced->name) + ", as traced");
      return std::nullopt;
    }
    if (run_the_same(request_.gpu, traced)) return std::nullopt;
    request_.warnings.push_back("traced for " +
                                (traced == nullptr ? std::string("an A100") : std::string(traced->title)) +
                                ": on another GPU kernels may be others, and take other memory for themselves");
    return std::nullopt;
  }

  std::optional<Error> read_allocator() {
    const std::string* text = asked_.text("alloc-conf");
    const std::string* reserved = asked_.text("reserved");
    const bool bounds = reserved != nullptr && *reserved == "bounds";
    if (bounds && text != nullptr)
      return Error{"--alloc-conf", "says how to replay, but --reserved bounds does not", "drop one"};
    if (text != nullptr || !recording_.alloc_conf.empty()) {
      const Result<AllocatorOptions> options =
          parse_alloc_conf(text != nullptr ? *text : recording_.alloc_conf, "--alloc-conf");
      if (!options) return options.error();
      request_.allocator = *options;
    }
    const bool can_be = can_be_replayed(recording_, request_.job.letters);
    const bool replays = takes(command_, *find_option("reserved"));
    if (replays && !bounds && !can_be)
      request_.assumptions.emplace_back(
          "reserved: only bounded, for the file does not write the steps out at these sizes");
    if (bounds || !can_be) request_.allocator.reset();
    return std::nullopt;
  }

  void say_what_it_is() {
    std::string versions;
    for (const auto& [name, version] : recording_.versions) add_to_list(versions, name + " " + version);
    const std::string by = recording_.made_by.empty() ? "somebody else" : recording_.made_by;
    request_.assumptions.push_back("trace: as the file says, made by " + by +
                                   (versions.empty() ? "" : " with " + versions));
    if (recording_.world_size > 1)
      request_.assumptions.push_back("ranks: this is one of " + std::to_string(recording_.world_size));
    for (const std::string& note : recording_.notes) request_.assumptions.push_back(note);
    for (const std::string& warning : recording_.warnings) request_.warnings.push_back(warning);
  }

  const Recording& recording_;
  const OptionValues& values_;
  Command command_;
  Options asked_;
  Request& request_;
};

}  // namespace

std::vector<std::string_view> letter_names(const NamedConfig* model) {
  std::vector<std::string_view> names;
  if (model == nullptr || !model->recording) return names;
  for (const Letter& letter : model->recording->letters) {
    names.push_back(letter.name);
    if (!letter.option.empty()) names.push_back(letter.option);
  }
  return names;
}

int32_t find_letter(const Recording& recording, std::string_view name) {
  for (size_t i = 0; i < recording.letters.size(); ++i)
    if (recording.letters[i].name == name || recording.letters[i].option == name) return static_cast<int32_t>(i);
  return -1;
}

Result<Request> recorded_request(const NamedConfig& model, const OptionValues& values, Command command) {
  if (command == Command::kConfig || command == Command::kTrace)
    return Error{"MODEL", in_quotes(model.name) + " is a trace, which has neither config nor recipe",
                 "estimate, formula, solve, sweep, timeline, compare, explain and diff take one"};
  Request request;
  if (auto wrong = Reader(model, values, command, request).read()) return *wrong;
  return request;
}

}  // namespace peakmem
