#include "format/raw_unicode.h"

#include <charconv>
#include <cstdint>

namespace peakmem {
namespace {

/// `code` as UTF-8, at the end of `text`.
void append_utf8(std::string& text, uint32_t code) {
  auto put = [&text](uint32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0U | (code >> 6U));
  } else if (code < 0x10000) {
    put(0xE0U | (code >> 12U));
    put(0x80U | ((code >> 6U) & 0x3FU));
  } else {
    put(0xF0U | ((code >> 18U) & 0x07U));
    put(0x80U | ((code >> 12U) & 0x3FU));
    put(0x80U | ((code >> 6U) & 0x3FU));
  }
  put(0x80U | (code & 0x3FU));
}

/// The code after \u or \U, if all its hexadecimal digits are there.
bool read_hex(std::string_view digits, size_t count, uint32_t& code) {
  if (digits.size() < count) return false;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + count, code, 16);
  return problem == std::errc() && end == digits.data() + count;
}

}  // namespace

std::string from_raw_unicode_escape(std::string_view line) {
  std::string text;
  for (size_t i = 0; i < line.size(); ++i) {
    const size_t digits = line[i] != '\\' || i + 1 == line.size() ? 0
                          : line[i + 1] == 'u'                    ? 4
                          : line[i + 1] == 'U'                    ? 8
                                                                  : 0;
    uint32_t code = 0;
    if (digits > 0 && read_hex(line.substr(i + 2), digits, code)) {
      append_utf8(text, code);
      i += 1 + digits;
    } else {
      append_utf8(text, static_cast<unsigned char>(line[i]));
    }
  }
  return text;
}

}  // namespace peakmem
