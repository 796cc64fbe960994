#include "launch/emit.h"

#include <algorithm>

#include "format/json_writer.h"
#include "format/yaml.h"
#include "format/yaml_writer.h"
#include "launch/table.h"
#include "request/choices.h"
#include "request/request.h"
#include "request/settled.h"
#include "request/words.h"
#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

using Kind = Value::Kind;
using Line = std::vector<std::string_view>;

/// How a format is written.
enum class Style : uint8_t { kFlags, kYaml, kJson };

/// A format: a row of emit_formats.tsv. `says` are the options of a file that stands beside others; none: all.
struct Format {
  std::string_view name;
  Style style = Style::kFlags;
  std::string_view trainer;
  std::string_view says;
  std::string_view start;
};

std::vector<Format> formats() {
  std::vector<Format> all;
  for (const Line& line : table_lines("emit_formats"))
    all.push_back({line[0],
                   line[1] == "yaml"   ? Style::kYaml
                   : line[1] == "json" ? Style::kJson
                                       : Style::kFlags,
                   line[2], line[3], line[4]});
  return all;
}

/// What transformers calls an optimizer; empty where it has no such one.
std::string_view optimizer_word_of(const Recipe& recipe) {
  for (const OptimizerWord& word : optimizer_words()) {
    const Optimizer* optimizer = find_optimizer(word.optimizer);
    if (optimizer != recipe.optimizer) continue;
    const OptimizerImpl impl = word.implementation == "fused" ? OptimizerImpl::kFused : optimizer->usual;
    if (impl == recipe.impl) return word.name;
  }
  return {};
}

/// What tables ask for beside the options: words that several options come to.
void add_words(const Job& job, const std::string& model, OptionValues& settled) {
  const Recipe& recipe = job.recipe;
  const Kernels& kernels = recipe.kernels;
  const auto add = [&](const char* name, std::string_view text) {
    if (!text.empty()) settled.push_back({name, std::string(text)});
  };
  const std::optional<DType> autocast = asked_autocast(recipe);
  const bool half = recipe.weights != DType::kFloat32 && !autocast;
  const std::string_view mixed = autocast == DType::kBFloat16 ? "bf16" : autocast == DType::kFloat16 ? "fp16" : "no";
  const bool fused = kernels.norm == Kernel::kFused || kernels.mlp == Kernel::kFused ||
                     kernels.rope == Kernel::kFused || kernels.loss == LossKernel::kFusedLinear;
  const bool shards = is_wrapped(recipe.sharding);
  add("model", model);
  add("optim", optimizer_word_of(recipe));
  add("trains", recipe.lora.rank > 0 ? "adapters" : "all");
  add("adapter", recipe.lora.rank == 0 ? "" : in_4_bits(recipe.quantize) ? "qlora" : "lora");
  add("liger", fused ? "all" : "");
  add("mixed", shards && recipe.sharding.casts_parameters
                   ? (recipe.sharding.param_dtype == DType::kBFloat16 ? "bf16" : "fp16")
                   : mixed);
  add("dtype", autocast                             ? std::string(mixed) + "-autocast"
               : recipe.weights == DType::kFloat32  ? "fp32"
               : recipe.weights == DType::kBFloat16 ? "bf16"
                                                    : "fp16");
  add("pure", half && recipe.weights == DType::kBFloat16 ? "bf16" : "");
  const bool flat = recipe.sharding.flat.runs;
  add("strategy", !flat ? "" : recipe.sharding.reshard_after_forward ? "FULL_SHARD" : "SHARD_GRAD_OP");
  add("wrap", flat ? "fsdp1" : shards ? "fsdp" : recipe.ddp.ranks > 1 ? "ddp" : "none");
  add("processes", std::to_string(ranks_of(recipe)));
}

/// What TRL 1.16 starts a kind with: a script of the package, or for what is experimental one of its repository.
std::string script_of(std::string_view objective) {
  if (objective == "orpo") return "examples/scripts/orpo.py";
  if (takes_logits(value_in(kObjectives, objective))) return "examples/scripts/cpo.py";
  return "-m trl.scripts." + std::string(objective);
}

bool covers(std::string_view at, std::string_view text) {
  if (at == "*") return true;
  if (at.starts_with('!')) return at.substr(1) != text;
  for (size_t begin = 0; begin <= at.size();) {
    const size_t end = std::min(at.find('|', begin), at.size());
    if (at.substr(begin, end - begin) == text) return true;
    begin = end + 1;
  }
  return false;
}

/// Whether a row applies: its option's text is one of those before `;`, and each other option that is named behind it
/// (`objective=grpo`, `none` where it is not said) is as it says.
bool applies(std::string_view at, std::string_view text, const OptionValues& words) {
  const size_t end = std::min(at.find(';'), at.size());
  if (!covers(at.substr(0, end), text)) return false;
  if (end == at.size()) return true;
  const std::string_view other = at.substr(end + 1);
  const size_t equals = std::min(other.find('='), other.size() - 1);
  const std::string* said = Options(words).text(other.substr(0, equals));
  return covers(other.substr(equals + 1), said == nullptr ? "none" : *said);
}

Value list_value(std::string_view text) {
  Value list = {.kind = Kind::kList};
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    list.items.push_back({.kind = Kind::kString, .string = std::string(text.substr(begin, end - begin))});
    begin = end + 1;
  }
  return list;
}

/// A row's value with the option's text in it: `[a]` is a list, a scalar what YAML takes it for.
Value value_of(std::string_view pattern, const std::string& text) {
  const bool list = pattern.starts_with('[') && pattern.ends_with(']');
  const std::string_view inside = list ? pattern.substr(1, pattern.size() - 2) : pattern;
  if (inside.size() > 1 && inside.starts_with('\'') &&
      inside.ends_with('\''))  // a word that YAML would take for a flag
    return {.kind = Kind::kString, .string = std::string(inside.substr(1, inside.size() - 2))};
  const std::string filled = inside == "*" ? text : std::string(inside);
  return list ? list_value(filled) : yaml_scalar(filled);
}

/// Puts a value under a key whose parts are joined by points.
void put(Value& object, std::string_view key, Value value) {
  const size_t point = key.find('.');
  const std::string name(key.substr(0, point));
  object.kind = Kind::kObject;
  auto member = std::find_if(object.members.begin(), object.members.end(),
                             [&](const Member& other) { return other.name == name; });
  if (member == object.members.end()) member = object.members.insert(member, Member{name, {}});
  if (point == std::string_view::npos)
    member->value = std::move(value);
  else
    put(member->value, key.substr(point + 1), std::move(value));
}

std::string quoted(const std::string& text) {
  const bool plain = text.find_first_of(" \"'{}[]$*?&|;<>()#") == std::string::npos && !text.empty();
  return plain ? text : "'" + text + "'";
}

std::string flag_text(const Value& value) {
  if (value.kind == Kind::kString) return quoted(value.string);
  if (value.kind != Kind::kList) return quoted(to_json(value, 0));
  std::string text;
  for (const Value& item : value.items) text += (text.empty() ? "" : " ") + quoted(item.string);
  return text;
}

std::string flags_of(const Value& object, const std::string& start) {
  std::string text = start;
  for (const Member& member : object.members) text += " \\\n  --" + member.name + " " + flag_text(member.value);
  return text + "\n";
}

std::string filled(std::string_view pattern, std::string_view name, std::string_view text) {
  std::string all(pattern);
  const size_t at = all.find(name);
  return at == std::string::npos ? all : all.replace(at, name.size(), text);
}

/// Whether two jobs' options have the same there, where one may leave it out.
bool agree(const OptionValues& one, const OptionValues& other, std::string_view name) {
  const std::string* mine = Options(one).text(name);
  const std::string* theirs = Options(other).text(name);
  return mine == nullptr || theirs == nullptr ? mine == theirs : *mine == *theirs;
}

std::string option_text(const OptionValues& options, std::string_view name) {
  const std::string* text = Options(options).text(name);
  if (text == nullptr) return "none";
  return *text == "true" ? "yes" : *text == "false" ? "no" : *text;
}

bool is_asked(const OptionValues& options, std::string_view name) {
  return std::any_of(options.begin(), options.end(), [&](const OptionValue& option) {
    const std::vector<std::string_view> said = said_by(option.name);
    return std::find(said.begin(), said.end(), name) != said.end();
  });
}

/// What was asked and is read back otherwise is an error; what was taken for granted, a note.
std::optional<Error> compare(const EmitQuestion& question, const OptionValues& asked, const OptionValues& read,
                             std::vector<std::string>& instead) {
  for (const OptionRow& row : option_rows()) {
    if (agree(asked, read, row.name)) continue;
    const std::string option = "--" + std::string(row.name);
    const bool is_read = Options(read).has(row.name);
    if (is_asked(question.options, row.name))
      return Error{option,
                   option_text(asked, row.name) + " is nothing that " + question.format + " can be told" +
                       (is_read ? ": it is read back as " + option_text(read, row.name) : ""),
                   "drop it" + (is_read ? ", or pass " + option + " " + option_text(read, row.name) : "")};
    instead.push_back(option + " " + option_text(read, row.name));
  }
  return std::nullopt;
}

/// Options that are of the model's sizes, or of how an answer is printed.
std::optional<Error> check_sizes(const EmitQuestion& question) {
  for (const OptionValue& option : question.options) {
    const OptionRow* row = find_option(option.name);
    if (row != nullptr && row->group == "Model without a config, or changed")
      return Error{"--" + option.name, "changes the model, which a launch file names", "give the changed config.json"};
  }
  return std::nullopt;
}

/// Writes one format.
class Writer {
 public:
  Writer(const EmitQuestion& question, const Format& format, const std::string& name)
      : question_(question), format_(format), name_(name) {}

  Result<Emitted> write(const FindModel& find_model) {
    OptionValues options = question_.options;
    if (!Options(options).has("trainer")) options.push_back({"trainer", std::string(format_.trainer)});
    Result<Request> request = make_request(&question_.model, options, Command::kEstimate);
    if (!request) return request.error();
    const OptionValues asked = settled_options(request->job);
    OptionValues words = asked;
    add_words(request->job, hub_id(question_.model.name), words);
    if (Options(words).text("optim") == nullptr)
      return Error{"--optimizer",
                   option_text(asked, "optimizer") + " (" + option_text(asked, "optimizer-impl") +
                       ") has no name in transformers' optim",
                   "known there: adamw (foreach or fused), sgd, hf-adafactor, bitsandbytes' and their paged ones"};
    if (auto wrong = check_whose_ranks(Options(words).text("zero") != nullptr)) return *wrong;
    fill(words);
    return read_back(asked, find_model);
  }

 private:
  void fill(const OptionValues& words) {
    Value object = {.kind = Kind::kObject};
    for (const Line& line : table_lines("emit")) {
      const std::string* text = Options(words).text(line[1]);
      if (line[0] != format_.name || text == nullptr || !applies(line[2], *text, words)) continue;
      if (line[3].empty())
        emitted_.beside.push_back({std::string(line[1]), *text});
      else
        put(object, line[3], value_of(line[4], *text));
    }
    const std::string* objective = Options(words).text("objective");
    std::string start = filled(filled(format_.start, "{ranks}", *Options(words).text("processes")), "{file}", name_);
    start = filled(start, "{kind}", script_of(objective == nullptr ? "sft" : *objective));
    emitted_.text = format_.style == Style::kYaml   ? to_yaml(object)
                    : format_.style == Style::kJson ? to_json(object) + "\n"
                                                    : flags_of(object, start);
    if (format_.style != Style::kFlags) emitted_.start = start;
    if (format_.says.empty()) leave_ranks(words);
  }

  /// A file of ranks alone says nothing of a job whose ranks are the other's.
  std::optional<Error> check_whose_ranks(bool zero) const {
    if (format_.name == "deepspeed" && !zero)
      return Error{"FORMAT", "deepspeed says ZeRO alone, and the job has none", "add --zero 2 --ranks 4"};
    if (format_.name == "accelerate" && zero)
      return Error{"--zero", "is nothing that accelerate's file says: DeepSpeed has one of its own",
                   "peakmem emit deepspeed"};
    return std::nullopt;
  }

  /// Who trains together is another file's, accelerate's or DeepSpeed's; torchrun's flags have the ranks of DDP.
  void leave_ranks(const OptionValues& words) {
    for (const OptionValue& word : words) {
      const OptionRow* row = find_option(word.name);
      const bool said = std::any_of(emitted_.beside.begin(), emitted_.beside.end(),
                                    [&](const OptionValue& option) { return option.name == word.name; });
      if (row == nullptr || row->group != "Ranks" || said || word.name == "find-unused" || word.name == "bucket-mb")
        continue;
      if (word.text == "false" || (word.name == "ddp" && format_.style == Style::kFlags)) continue;
      emitted_.beside.push_back(word);
    }
  }

  Result<Emitted> read_back(const OptionValues& asked, const FindModel& find_model) {
    LaunchQuestion again = {{{name_, emitted_.text}}, std::string(format_.name), emitted_.beside, std::nullopt};
    if (!format_.says.empty()) {  // all else is the script's
      again.model = question_.model;
      for (const OptionValue& option : asked)
        if (!covers(format_.says, option.name)) again.options.push_back(option);
    }
    Result<Launch> launch = read_launch(again, find_model, nullptr);
    if (!launch) return launch.error();
    for (const OptionValue& option : question_.options)  // of the card and the answer, not of the job
      if (!is_of_job(option.name) && !Options(launch->options).has(option.name)) launch->options.push_back(option);
    Result<Request> request = make_request(&launch->model, launch->options, Command::kEstimate);
    if (!request) return request.error();
    if (auto wrong = compare(question_, asked, settled_options(request->job), emitted_.instead)) return *wrong;
    emitted_.launch = std::move(*launch);
    return std::move(emitted_);
  }

  static bool is_of_job(std::string_view name) {
    for (const std::string_view other : {"gpu", "headroom", "context", "alloc-conf", "reserved", "json"})
      if (name == other) return false;
    return true;
  }

  const EmitQuestion& question_;
  const Format& format_;
  const std::string& name_;
  Emitted emitted_;
};

}  // namespace

std::vector<std::string_view> emit_formats() {
  std::vector<std::string_view> names;
  for (const Format& format : formats()) names.push_back(format.name);
  return names;
}

Result<Emitted> emit_launch(const EmitQuestion& question, const std::string& name, const FindModel& find_model) {
  if (auto wrong = check_sizes(question)) return *wrong;
  for (const Format& format : formats())
    if (format.name == question.format) return Writer(question, format, name).write(find_model);
  return Error{"FORMAT", in_quotes(question.format) + " is nothing that can be written",
               did_you_mean(question.format, emit_formats())};
}

}  // namespace peakmem
