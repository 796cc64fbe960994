#include "source.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "api/request_of.h"
#include "request/shipped.h"
#include "request/trace_file.h"

namespace peakmem::cli {
namespace {

namespace fs = std::filesystem;

/// Closes what was opened; standard input stays open.
struct Close {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};
using File = std::unique_ptr<std::FILE, Close>;

Error unreadable(const std::string& path) { return {path, std::string("cannot be read: ") + std::strerror(errno), {}}; }

bool is_shipped(std::string_view name) {
  for (const ShippedFile& file : shipped_models())
    if (file.name == name) return true;
  return false;
}

/// The folder a config.json stands in is the better name for it.
std::string name_of(const fs::path& path) {
  const fs::path folder = path.parent_path().filename();
  return path.filename() == "config.json" && !folder.empty() ? folder.string() : path.filename().string();
}

/// A folder that an environment variable names, or one below another.
fs::path folder_of(const char* variable, const char* base, const char* below) {
  const char* value = std::getenv(variable);
  if (value != nullptr && value[0] != 0) return value;
  const char* start = base == nullptr ? nullptr : std::getenv(base);
  return start == nullptr ? fs::path() : fs::path(start) / below;
}

/// The config.json of a model that was once downloaded: $HF_HOME/hub/models--ORGANISATION--NAME/snapshots/*/.
std::optional<fs::path> in_hub_cache(const std::string& id) {
  const size_t slash = id.find('/');
  if (slash == std::string::npos || id.find('/', slash + 1) != std::string::npos || id.find("..") != std::string::npos)
    return std::nullopt;
  const fs::path home = folder_of("HF_HOME", "HOME", ".cache/huggingface");
  const std::string folder = "models--" + id.substr(0, slash) + "--" + id.substr(slash + 1);
  std::error_code none;
  std::optional<fs::path> found;
  for (const auto& entry : fs::directory_iterator(home / "hub" / folder / "snapshots", none))
    if (fs::path config = entry.path() / "config.json"; fs::exists(config, none) && (!found || config < *found))
      found = std::move(config);
  return found;
}

Result<NamedConfig> config_at(const std::string& path, std::string_view name) {
  const Result<std::string> text = read_text(path, path.ends_with(kTraceEnding) ? kTraceMaxBytes : kConfigMaxBytes);
  if (!text) return text.error();
  Result<NamedConfig> config = parse_config(*text, path == "-" ? "standard input" : path);
  if (config && !config->recording) config->name = name;
  return config;
}

bool is_file(const std::string& path) {
  std::error_code none;
  return fs::is_regular_file(path, none);
}

/// The adapter_config.json of a folder that holds an adapter and no model.
std::optional<std::string> adapter_in(const std::string& folder) {
  const fs::path adapter = fs::path(folder) / "adapter_config.json";
  if (!is_file(adapter.string()) || is_file((fs::path(folder) / "config.json").string())) return std::nullopt;
  return adapter.string();
}

/// The text of a file that another names: below the working directory, or beside the other.
std::optional<std::string> find_beside(const std::string& path, const std::string& other) {
  for (const fs::path& folder : {fs::path(), fs::path(other).parent_path()})
    if (const std::string file = (folder / path).string(); is_file(file))
      if (Result<std::string> text = read_text(file, kLaunchMaxBytes)) return std::move(*text);
  return std::nullopt;
}

}  // namespace

Result<std::string> read_text(const std::string& path, size_t most) {
  if (path.empty()) return Error{"FILE", "is an empty name", {}};
  if (path == "-" && std::feof(stdin) != 0)
    return Error{"-", "is standard input, which was read before", "name a file for the other"};
  const Error too_large = {path, "is larger than " + std::to_string(most >> 20) + " MiB, as none is", {}};
  std::error_code none;
  if (is_file(path) && fs::file_size(path, none) > most && !none) return too_large;
  const File file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return unreadable(path);
  std::string text;
  std::string block(size_t{1} << 16, '\0');
  for (size_t got = 1; got > 0 && text.size() <= most;) {
    got = std::fread(block.data(), 1, block.size(), file.get());
    text.append(block, 0, got);
  }
  if (std::ferror(file.get()) != 0) return unreadable(path);
  if (text.size() > most) return too_large;
  return text;
}

Result<std::optional<LaunchText>> find_launch_text(const std::string& given, bool is_launch) {
  const std::string path = adapter_in(given).value_or(given);
  if (!is_file(path) && path.find(' ') != std::string::npos) return std::optional(LaunchText{"command line", path});
  if (!is_file(path) || is_shipped(path)) return std::optional<LaunchText>();
  Result<std::string> text = read_text(path);
  if (!text) return text.error();
  const std::string name = fs::path(path).filename().string();
  if (!is_launch && !is_launch_text(*text, name)) return std::optional<LaunchText>();
  return std::optional(LaunchText{path, std::move(*text)});
}

Result<Subject> launch_subject(std::vector<LaunchText> texts, Subject beside) {
  const std::string first = texts[0].name;
  LaunchQuestion question = {std::move(texts), {}, std::move(beside.options), std::move(beside.model)};
  if (auto from = take_option(question.options, "from")) question.from = *from;
  const auto find_text = [&](const std::string& path) { return find_beside(path, first); };
  Result<Launch> launch = read_launch(question, find_model, find_text);
  if (!launch) return launch.error();
  Subject subject = {std::nullopt, std::move(launch->options), std::move(launch->notes),
                     std::move(launch->assumptions)};
  if (!launch->model.name.empty()) subject.model = std::move(launch->model);  // else the options describe it
  return subject;
}

Result<Subject> find_launch(const std::vector<std::string>& files, Subject beside) {
  std::vector<LaunchText> texts;
  for (const std::string& file : files) {
    Result<std::optional<LaunchText>> text = find_launch_text(file, true);
    if (!text) return text.error();
    if (!*text) return Error{file, "is no file", {}};
    texts.push_back(std::move(**text));
  }
  return launch_subject(std::move(texts), std::move(beside));
}

Result<NamedConfig> find_model(std::string_view name) {
  const std::string model(name);
  if (model == "-") return config_at("-", "standard input");
  if (is_shipped(model)) return shipped_config(model);
  std::error_code none;
  const fs::path path(model);
  if (!fs::is_directory(path, none)) {
    if (fs::exists(path, none)) return config_at(model, name_of(path));
    const std::optional<fs::path> cached = in_hub_cache(model);
    return cached ? config_at(cached->string(), model) : shipped_config(model);
  }
  const fs::path inside = path / "config.json";
  if (!fs::exists(inside, none)) return Error{model, "is a folder without a config.json", {}};
  return config_at(inside.string(), name_of(fs::absolute(inside, none).lexically_normal()));
}

}  // namespace peakmem::cli
