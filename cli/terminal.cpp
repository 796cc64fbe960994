#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

namespace peakmem::cli {
namespace {

constexpr size_t kNarrowest = 40;
constexpr size_t kNarrow = 80;
constexpr size_t kWide = 100;

/// $COLUMNS, else what the terminal says; none where nobody does.
std::optional<size_t> said_width() {
  if (const char* columns = std::getenv("COLUMNS"); columns != nullptr) {
    const std::string_view text = columns;
    size_t width = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), width);
    if (error == std::errc() && end == text.end() && width > 0) return width;
  }
  winsize size = {};
  if (isatty(STDOUT_FILENO) != 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return std::nullopt;
}

Style style_from(size_t narrowest) {
  Style style;
  if (const std::optional<size_t> width = said_width()) style.width = std::clamp(*width, narrowest, kWide);
  style.whole_names = isatty(STDOUT_FILENO) == 0;
  const char* no_colour = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool plain = no_colour != nullptr && *no_colour != 0;
  style.colour = !style.whole_names && !plain && term != nullptr && std::string_view(term) != "dumb";
  return style;
}

}  // namespace

Style terminal_style() { return style_from(kNarrow); }
Style help_style() { return style_from(kNarrowest); }

}  // namespace peakmem::cli
