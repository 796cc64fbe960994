// peakmem sweep of more points than are asked for at once, into a file that grows beside its place.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "commands.h"
#include "format/json_writer.h"
#include "plan/sweep.h"
#include "size/bytes.h"
#include "size/wording.h"

namespace peakmem::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPart = 1024;  // points that are asked for together

/// Where the points go: a form that has a line for each.
struct Target {
  std::string field;
  std::string path;
  Form form = Form::kCsv;
  size_t head = 0;  // lines before the points'
};

/// The one file that is asked for; nothing where there is none, or it is standard output.
std::optional<Target> target_of(const Options& asked) {
  const std::string* csv = asked.text("csv");
  const std::string* lines = asked.text("jsonl");
  if ((csv == nullptr) == (lines == nullptr)) return std::nullopt;
  const Target target =
      csv != nullptr ? Target{"--csv", *csv, Form::kCsv, 1} : Target{"--jsonl", *lines, Form::kJsonLines, 0};
  return target.path.empty() || target.path == "-" ? std::nullopt : std::optional(target);
}

/// FNV-1a of what is asked, so that another question's points are not gone on with.
std::string mark_of(const Subject& subject) {
  uint64_t hash = 14695981039346656037U;
  const auto add = [&](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
    hash *= 1099511628211U;  // where one text ends
  };
  add(PEAKMEM_VERSION);
  if (subject.model) add(subject.model->name), add(to_json(subject.model->config, 0));
  for (const OptionValue& option : subject.options) add(option.name), add(option.text);
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

/// How many whole lines a file has; what follows the last of them is cut off.
size_t whole_lines(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  size_t lines = 0;
  uintmax_t end = 0;
  std::string block(size_t{1} << 16, '\0');
  for (uintmax_t before = 0; file; before += static_cast<uintmax_t>(file.gcount())) {
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    for (std::streamsize i = 0; i < file.gcount(); ++i)
      if (block[static_cast<size_t>(i)] == '\n') ++lines, end = before + static_cast<uintmax_t>(i) + 1;
  }
  std::error_code none;
  if (lines > 0) fs::resize_file(path, end, none);
  return lines;
}

/// The text behind its first lines.
std::string_view behind(std::string_view text, size_t lines) {
  for (; lines > 0; --lines) text.remove_prefix(std::min(text.find('\n') + 1, text.size()));
  return text;
}

class Writer {
 public:
  Writer(const CommandRow& row, Question question, Target target, size_t points)
      : row_(row), question_(std::move(question)), target_(std::move(target)), points_(points) {
    question_.form = target_.form;
    beside_ = target_.path + "." + mark_of(question_.subject) + ".part";
  }

  std::optional<Error> run() {
    const size_t lines = whole_lines(beside_);
    size_t done = lines > target_.head ? lines - target_.head : 0;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(beside_.c_str(), lines > 0 ? "ab" : "wb"),
                                                               std::fclose);
    if (file == nullptr) return unwritable();
    if (done > 0)
      std::fprintf(stderr, "peakmem: goes on behind %s of %s points\n", text(done).c_str(), text(points_).c_str());
    for (size_t part = part_of(done); part < parts() && done < points_; ++part) {
      const Result<Answer> answer = ask(part);
      if (!answer) return answer.error();
      const bool is_head = lines + done == 0;
      const std::string_view rest = behind(answer->text, (is_head ? 0 : target_.head) + done - first(part));
      if (std::fwrite(rest.data(), 1, rest.size(), file.get()) != rest.size() || std::fflush(file.get()) != 0)
        return unwritable();
      done = first(part + 1);
      show(done);
    }
    if (std::rename(beside_.c_str(), target_.path.c_str()) != 0) return unwritable();
    return std::nullopt;
  }

 private:
  static std::string text(size_t number) { return grouped(static_cast<int64_t>(number)); }
  size_t parts() const { return (points_ + kPart - 1) / kPart; }
  /// As --shard has it.
  size_t first(size_t part) const { return points_ * part / parts(); }
  size_t part_of(size_t point) const {
    size_t part = point / kPart;
    while (part > 0 && first(part) > point) --part;
    while (part + 1 < parts() && first(part + 1) <= point) ++part;
    return part;
  }

  Result<Answer> ask(size_t part) const {
    Question question = question_;
    question.subject.options.push_back({"shard", std::to_string(part) + "/" + std::to_string(parts())});
    return row_.answer(question);
  }

  void show(size_t done) const {
    if (isatty(STDERR_FILENO) != 0)
      std::fprintf(stderr, "\r%s of %s points%s", text(done).c_str(), text(points_).c_str(),
                   done == points_ ? "\n" : "");
  }

  Error unwritable() const {
    return {target_.field, in_quotes(beside_) + " cannot be written: " + std::strerror(errno),
            "what is in it is whole: the same command goes on from there"};
  }

  const CommandRow& row_;
  Question question_;
  Target target_;
  size_t points_;
  std::string beside_;
};

}  // namespace

std::optional<Result<Answer>> run_large_sweep(const Arguments& arguments, const Question& question) {
  const Options asked(arguments.options);
  const std::optional<Target> target = target_of(asked);
  if (!target || asked.has("shard") || asked.flag("json")) return std::nullopt;
  Question bare = question;
  for (const char* file : {"csv", "jsonl"}) drop_option(bare.subject.options, file);
  const NamedConfig* model = bare.subject.model ? &*bare.subject.model : nullptr;
  const Result<size_t> points = grid_size(model, bare.subject.options);
  if (!points || *points <= kMaxSweep) return std::nullopt;
  if (auto wrong = Writer(*arguments.row, std::move(bare), *target, *points).run()) return *wrong;
  return Answer{grouped(static_cast<int64_t>(*points)) + " points in " + target->path + "\n"};
}

}  // namespace peakmem::cli
