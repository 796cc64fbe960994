#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace peakmem::cli {
namespace {

constexpr size_t kNarrow = 80;
constexpr size_t kWide = 100;

}  // namespace

Style terminal_style() {
  Style style;
  if (isatty(STDOUT_FILENO) == 0) return style;
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    style.width = std::clamp<size_t>(size.ws_col, kNarrow, kWide);
  const char* no_colour = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  style.colour = (no_colour == nullptr || *no_colour == 0) && term != nullptr && std::string_view(term) != "dumb";
  return style;
}

}  // namespace peakmem::cli
