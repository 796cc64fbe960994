#include "launch/launch.h"

#include <algorithm>
#include <cctype>
#include <deque>

#include "format/json.h"
#include "format/toml.h"
#include "format/yaml.h"
#include "launch/command_line.h"
#include "launch/detect.h"
#include "launch/own.h"
#include "launch/prepare.h"
#include "launch/python_calls.h"
#include "launch/settings.h"
#include "launch/understanding.h"
#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

using Kind = Value::Kind;

constexpr std::string_view kOwn = "peakmem";   // the tool whose keys are the options
constexpr std::string_view kAdapter = "peft";  // whose file is of an adapter, and says of the training nothing else

/// Keys of one tool, read from one source.
struct Piece {
  const ToolRow* tool = nullptr;
  const Source* source = nullptr;
  Value object;
};

bool stands_around(std::string_view tool) {
  return tool == "accelerate" || tool == "deepspeed" || tool == "launcher" || tool == "environment" || tool == kAdapter;
}

Error in_file(const std::string& name, const Error& error) {
  return {name + (error.field.empty() ? "" : ", " + error.field), error.problem, error.hint};
}

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : std::string(between)) + part;
  return text;
}

std::string quoted_for_shell(const std::string& text) {
  const bool plain =
      text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:_-+/@%") ==
      std::string::npos;
  return plain && !text.empty() ? text : "'" + text + "'";
}

/// The question by options alone.
std::string command_of(const std::string& model, const OptionValues& options) {
  std::string text = model.empty() ? "peakmem" : "peakmem " + quoted_for_shell(model);
  for (const OptionValue& option : options) {
    const OptionRow* row = find_option(option.name);
    if (row == nullptr || option.name == "json" || option.text == "false") continue;
    text += " --" + option.name;
    if (row->kind != OptionKind::kFlag) text += " " + quoted_for_shell(option.text);
  }
  return text;
}

/// Reads the texts of one question.
class Reader {
 public:
  Reader(const LaunchQuestion& question, const FindModel& find_model, const FindText& find_text)
      : question_(question), find_model_(find_model), find_text_(find_text), tools_(tool_rows()) {}

  Result<Launch> read() {
    for (const LaunchText& text : question_.texts)
      if (auto wrong = read_text(text, question_.from)) return *wrong;
    for (size_t i = 0; i < pieces_.size(); ++i)  // a piece may name another file, which becomes one
      if (auto wrong = hear_piece(i)) return *wrong;
    if (front_ == nullptr) front_ = pieces_.empty() ? nullptr : pieces_[0].tool;
    if (front_ == nullptr) return Error{"FILE", "is missing", ""};
    for (const Piece& piece : pieces_)  // what stands around the front has its own defaults, which differ
      if (piece.tool != front_ && piece.tool->name != "deepspeed") take_defaults(*piece.tool, settings_);
    take_defaults(*front_, settings_);
    return understand();
  }

 private:
  std::optional<Error> read_text(const LaunchText& text, const std::string& from) {
    if (text.text.size() > kLaunchMaxBytes)
      return Error{text.name, "is larger than 1 MiB, as no launch file is", "is this the right file?"};
    const TextForm form = form_of(text.text, text.name);
    if (form == TextForm::kBinary) return Error{text.name, "is no text", "is this the right file?"};
    const std::string last = text.name.substr(text.name.rfind('/') + 1);  // npos + 1 is 0
    Source& source = sources_.emplace_back(Source{last, text.text, form == TextForm::kShell});
    if (form == TextForm::kShell) return read_script(text, source, from);
    if (form == TextForm::kPython) return read_program(text, source, from);
    Result<Value> object = form == TextForm::kToml   ? parse_toml(text.text)
                           : form == TextForm::kJson ? parse_json(text.text)
                                                     : parse_yaml(text.text);
    if (!object) return in_file(text.name, object.error());
    return take_object(text.name, source, std::move(*object), from);
  }

  std::optional<Error> take_object(const std::string& name, const Source& source, Value object,
                                   const std::string& from) {
    if (object.kind != Kind::kObject)
      return Error{name, "is no launch file: it holds no names with values", "peakmem --help shows what is read"};
    const ToolRow* tool = from.empty() || !pieces_.empty() ? tool_of(object, tools_) : tool_named(from, tools_);
    if (tool == nullptr && is_fsdp_config(object)) {
      tool = tool_named("hf", tools_);
      object = {.kind = Kind::kObject, .members = {{"fsdp_config", object}}};
    }
    if (tool == nullptr) return unknown_file(name, from);
    if (const Value* environment = object.find("ENV"); environment != nullptr && tool->name == "swift") {
      Value known = *environment;
      keep_known(known);
      add(tool_named("environment", tools_), source, std::move(known));
    }
    add(tool, source, std::move(object));
    return std::nullopt;
  }

  /// Whether that is what --fsdp_config names: keys that TrainingArguments have in fsdp_config.
  static bool is_fsdp_config(const Value& object) {
    const std::vector<KeyRow> rows = key_rows("hf");
    const auto is_known = [&rows](const Member& member) {
      const std::string key = "fsdp_config." + (member.name.starts_with("fsdp_") ? member.name.substr(5) : member.name);
      return std::any_of(rows.begin(), rows.end(), [&key](const KeyRow& row) { return row.key == key; });
    };
    return !object.members.empty() && std::all_of(object.members.begin(), object.members.end(), is_known);
  }

  Error unknown_file(const std::string& name, const std::string& from) const {
    if (!from.empty()) return {"--from", in_quotes(from) + " is not known", did_you_mean(from, launch_formats())};
    return {name, "is no launch file that is known", "--from FORMAT says whose it is: " + list_of(launch_formats())};
  }

  void add(const ToolRow* tool, const Source& source, Value object) {
    std::string title = std::string(tool->title) + (tool->version.empty() ? "" : " " + std::string(tool->version));
    if (tool->name != "launcher" && tool->name != "environment")
      settings_.notes.files.push_back(source.name + ": " + std::move(title));
    pieces_.push_back({tool, &source, std::move(object)});
  }

  std::optional<Error> read_script(const LaunchText& text, const Source& source, const std::string& from) {
    const Result<ShellScript> script = read_shell(text.text);
    if (!script) return in_file(text.name, script.error());
    Result<CommandLine> line = training_command(*script, tools_);
    if (!line) return in_file(text.name, line.error());
    const ToolRow* tool = from.empty() ? line->tool : tool_named(from, tools_);
    if (tool == nullptr) return unknown_file(text.name, from);
    keep_known(line->environment);
    for (const auto& [name, object] :
         {std::pair("launcher", &line->launcher), std::pair("environment", &line->environment)})
      if (!object->members.empty()) add(tool_named(name, tools_), source, *object);
    for (const std::string& name : script->unresolved)
      if (name[0] != '$') settings_.notes.not_understood.push_back(name + ": only running the script would tell");
    std::vector<std::string> files;
    for (const std::string& word : line->words)
      if (word.ends_with(".yaml") || word.ends_with(".yml") || word.ends_with(".json")) files.push_back(word);
    add(tool, source, std::move(line->flags));
    settings_.put("words", joined(line->words, " "));
    for (const std::string& path : files)
      if (auto wrong = read_reference(path)) return wrong;
    return std::nullopt;
  }

  /// Python: unsloth's calls, else the names that it assigns (a config of nanoGPT).
  std::optional<Error> read_program(const LaunchText& text, const Source& source, const std::string& from) {
    Result<PythonFile> file = read_python(text.text);
    if (!file) return in_file(text.name, file.error());
    if (text.text.find("torchtitan") != std::string::npos) {
      const Value is_registry = {.kind = Kind::kBool, .boolean = true};
      add(tool_named("torchtitan", tools_), source, {.kind = Kind::kObject, .members = {{"registry", is_registry}}});
      return std::nullopt;
    }
    Value object = {.kind = Kind::kObject};
    bool is_unsloth = false;
    for (PythonCall& call : file->calls) {
      const std::string_view last = std::string_view(call.name).substr(call.name.rfind('.') + 1);
      const bool loads = last == "from_pretrained" && call.name.starts_with("Fast");
      is_unsloth = is_unsloth || loads;
      if (!loads && last != "get_peft_model" && !last.ends_with("Config") && last != "TrainingArguments") continue;
      for (Member& member : call.arguments.members) {
        if (member.name == "0" && loads) member.name = "model_name";
        if (std::isdigit(static_cast<unsigned char>(member.name[0])) == 0 && object.find(member.name) == nullptr)
          object.members.push_back(std::move(member));
      }
    }
    if (!is_unsloth && object.members.empty()) return take_object(text.name, source, std::move(file->names), from);
    const ToolRow* tool = is_unsloth ? tool_named("unsloth", tools_) : tool_of(object, tools_);
    if (tool == nullptr) return unknown_file(text.name, from);
    add(tool, source, std::move(object));
    return std::nullopt;
  }

  /// Of an environment only what is in the table is looked at: the rest may be secret.
  static void keep_known(Value& environment) {
    const std::vector<KeyRow> known = key_rows("environment");
    std::erase_if(environment.members, [&](const Member& member) {
      return std::none_of(known.begin(), known.end(), [&](const KeyRow& row) { return row.key == member.name; });
    });
  }

  /// A file that another names: one of those given, by its last name, or one that is there.
  std::optional<Error> read_reference(const std::string& path) {
    const std::string name = path.substr(path.rfind('/') + 1);
    for (const LaunchText& text : question_.texts)
      if (text.name == path || text.name.substr(text.name.rfind('/') + 1) == name) return std::nullopt;
    const std::optional<std::string> text = find_text_ ? find_text_(path) : std::nullopt;
    if (!text) {
      missing_.push_back("the file " + path + ", which is named and not there (give it beside)");
      return std::nullopt;
    }
    texts_.push_back({path, *text});
    return read_text(texts_.back(), "");
  }

  std::optional<Error> hear_piece(size_t i) {
    const Piece piece = pieces_[i];
    if (!piece.tool->missing.empty()) {
      settings_.refused.push_back(piece.source->name + " is of " + std::string(piece.tool->title) +
                                  ", which is told but not modelled: it needs " + std::string(piece.tool->missing));
      if (front_ == nullptr) front_ = piece.tool;
      return key_rows(piece.tool->name).empty() ? std::nullopt
                                                : hear(*piece.tool, piece.object, *piece.source, settings_);
    }
    if (front_ == nullptr && !stands_around(piece.tool->name)) front_ = piece.tool;
    if (piece.tool->name == kOwn) return hear_own(piece);
    if (piece.tool->name == kAdapter) settings_.put("use_peft", Value{.kind = Kind::kBool, .boolean = true});
    if (auto wrong = hear(*piece.tool, piece.object, *piece.source, settings_)) return wrong;
    return hear_references();
  }

  /// Of one's own file the model is heard as of any other, and the options as they are.
  std::optional<Error> hear_own(const Piece& piece) {
    Value model = {.kind = Kind::kObject};
    if (const Value* name = piece.object.find("model")) model.members.push_back({"model", *name});
    return hear(*piece.tool, model, *piece.source, settings_);
  }

  std::optional<Error> hear_references() {
    for (const std::string_view slot : {"config_file", "deepspeed", "deepspeed_config_file", "fsdp_config"}) {
      const Setting* setting = settings_.find(slot);
      if (setting == nullptr || setting->value.kind != Kind::kString) continue;
      const std::string path = setting->value.string;
      settings_.put(slot, Value{.kind = Kind::kBool, .boolean = true});
      if (slot == "deepspeed" && take_preset(path)) continue;
      if (auto wrong = read_reference(path)) return wrong;
    }
    return std::nullopt;
  }

  /// A config of DeepSpeed that a tool ships, where no file of that name is there.
  bool take_preset(const std::string& path) {
    if (find_text_ && find_text_(path)) return false;
    for (const std::vector<std::string_view>& line : table_lines("deepspeed_presets")) {
      if (line[0] != path.substr(path.rfind('/') + 1)) continue;
      settings_.put("zero.stage", line[1]);
      settings_.put("zero.preset", line[0]);
      if (!line[2].empty()) settings_.put("zero.offload_optimizer.device", line[2]);
      if (!line[3].empty()) settings_.put("zero.offload_param.device", line[3]);
      return true;
    }
    return false;
  }

  Result<Launch> understand() {
    Launch launch;
    Understanding u = {settings_, question_.options, "", 0, front_->name, {}, missing_, {}, {}};
    const OwnStack* const stack = own_stack(front_->name);
    const bool has_sizes = stack != nullptr && stack->name_model == nullptr;
    if (stack != nullptr && !has_sizes) stack->name_model(settings_);
    const std::string named = settings_.text("model");
    if (question_.model) {
      launch.model = *question_.model;
    } else if (named.empty() && has_sizes) {
      // the options describe it
    } else if (named.empty()) {
      u.missing.emplace(u.missing.begin(), "the model (its name or config.json beside the file)");
    } else {
      Result<NamedConfig> model = find_model_(named);
      if (!model)
        return Error{place_of(*settings_.find("model")->source, settings_.find("model")->key) + ": " + named,
                     model.error().problem, model.error().hint};
      launch.model = std::move(*model);
    }
    if (const Value* type = launch.model.config.find("model_type")) u.model_type = type->string;
    if (const Value* hidden = launch.model.config.find("hidden_size"))  // of what is no integer it is 0
      u.hidden = std::clamp<int64_t>(hidden->integer, 0, 1 << 24);
    for (const Piece& piece : pieces_)
      if (piece.tool->name == kOwn)
        if (auto wrong = take_own(piece.object, piece.source->name, u)) return *wrong;
    if (front_->name == kAdapter) {
      understand_adapters(u);
    } else if (stack != nullptr) {
      stack->understand(u);
    } else if (front_->missing.empty() && front_->name != kOwn) {
      prepare(u);
      apply(u);
    }
    if (!settings_.refused.empty()) return refusal(u, launch.model.name);
    if (!u.missing.empty())
      return Error{files(), "does not say " + joined(u.missing, "; nor "), "say it beside the file"};
    launch.options = question_.options;
    launch.options.insert(launch.options.end(), u.options.begin(), u.options.end());
    note_defaults(settings_);
    launch.notes = std::move(settings_.notes);
    launch.notes.command = command_of(launch.model.name, launch.options);
    launch.assumptions = std::move(u.assumptions);
    return launch;
  }

  static void apply(Understanding& u) {
    understand_sizes(u);
    understand_optimizer(u);
    understand_attention(u);
    understand_adapters(u);
    understand_checkpointing(u);
    understand_kernels(u);
    understand_ranks(u);
    understand_precision(u);
    understand_evaluation(u);
    understand_loop(u);
    if (const std::string conf = u.settings.text("alloc_conf"); !conf.empty()) u.set("alloc-conf", conf);
  }

  std::string files() const {
    std::vector<std::string> names;
    for (const LaunchText& text : question_.texts) names.push_back(text.name.substr(text.name.rfind('/') + 1));
    return joined(names, " with ");
  }

  /// All that is refused at once, and with it what else would have been said.
  Error refusal(const Understanding& u, const std::string& model) const {
    const bool nearest_is_known = u.tool == "unsloth" && settings_.refused[0].starts_with("unsloth") &&
                                  settings_.refused.size() == 1 && u.missing.empty();
    if (!u.nearest.empty() && settings_.refused.size() == 1)
      return {files(), settings_.refused[0], u.nearest + command_of(model, u.options)};
    if (nearest_is_known)
      return {files(), settings_.refused[0], "the same in TRL alone: " + command_of(model, u.options)};
    if (!front_->missing.empty())
      return {files(), settings_.refused[0],
              settings_.notes.used.empty() ? "" : "read of it: " + joined(settings_.notes.used, "; ")};
    std::vector<std::string> also = u.assumptions;
    also.insert(also.begin(), u.settings.notes.not_understood.begin(), u.settings.notes.not_understood.end());
    std::string where = files();
    std::string what = joined(settings_.refused, "; ");
    if (const size_t end = what.find(": "); end != std::string::npos && what.starts_with(where + ", line ")) {
      where = what.substr(0, end);  // the one file, which need not be named twice
      what.erase(0, end + 2);
    }
    return {where, what, also.empty() ? "" : "besides: " + joined(also, "; ")};
  }

  const LaunchQuestion& question_;
  const FindModel& find_model_;
  const FindText& find_text_;
  std::vector<ToolRow> tools_;
  std::deque<Source> sources_;    // pieces point to them
  std::deque<LaunchText> texts_;  // of files that were named by others
  std::deque<Piece> pieces_;
  Settings settings_;
  std::vector<std::string> missing_;
  const ToolRow* front_ = nullptr;
};

}  // namespace

bool is_launch_text(std::string_view text, std::string_view name) {
  const TextForm form = form_of(text, name);
  if (form != TextForm::kJson) return true;
  const Result<Value> object = parse_json(text);
  return object && object->find("model_type") == nullptr && tool_of(*object, tool_rows()) != nullptr;
}

std::vector<std::string_view> launch_formats() {
  std::vector<std::string_view> names;
  for (const ToolRow& tool : tool_rows())
    if (tool.name != "launcher" && tool.name != "environment") names.push_back(tool.name);
  return names;
}

Result<Launch> read_launch(const LaunchQuestion& question, const FindModel& find_model, const FindText& find_text) {
  return Reader(question, find_model, find_text).read();
}

}  // namespace peakmem
