#include "output.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "size/wording.h"

namespace peakmem::cli {
namespace {

namespace fs = std::filesystem;

Error unwritable(const std::string& field, const std::string& what, int reason) {
  return {field, what + "cannot be written: " + std::strerror(reason), {}};
}

/// errno where not all of it reached the file, else 0.
int write_to(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return errno;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
  const int reason = written ? 0 : errno;
  return std::fclose(file) == 0 || !written ? reason : errno;
}

/// The same by way of a new file beside `path`, which then takes its name and keeps its permissions.
int replace(const std::string& path, const std::string& text) {
  const std::string beside = path + ".part" + std::to_string(getpid());
  struct stat old = {};
  const bool exists = stat(path.c_str(), &old) == 0;
  int reason = write_to(beside, text);
  if (reason == 0 && exists && chmod(beside.c_str(), old.st_mode & 07777U) != 0) reason = errno;
  if (reason == 0 && std::rename(beside.c_str(), path.c_str()) != 0) reason = errno;
  if (reason != 0) unlink(beside.c_str());
  return reason;
}

}  // namespace

std::optional<Error> write_all(const std::string& text, std::FILE* to, const std::string& field) {
  const bool written = std::fwrite(text.data(), 1, text.size(), to) == text.size() && std::fflush(to) == 0;
  return written ? std::nullopt : std::optional(unwritable(field, "", errno));
}

std::optional<Error> write_file(const std::string& field, const std::string& path, const std::string& text) {
  std::error_code none;
  const fs::path real = fs::weakly_canonical(path, none);  // what a link leads to, not the link, is replaced
  const std::string target = none ? path : real.string();
  const fs::file_status status = fs::status(target, none);
  const bool plain = fs::is_regular_file(status) || status.type() == fs::file_type::not_found;
  const int reason = path.empty() ? ENOENT : plain ? replace(target, text) : write_to(target, text);
  return reason == 0 ? std::nullopt : std::optional(unwritable(field, in_quotes(path) + " ", reason));
}

}  // namespace peakmem::cli
