// The C library's printf is a fiftieth of the module and would say nothing that is read: it comes in with the last
// words of libc++ and libc++abi before they abort, which a trap says as well, and with one escape of the JSON lexer.
#include <__verbose_abort>
#include <array>
#include <cstdarg>
#include <cstddef>
#include <cstring>

void std::__libcpp_verbose_abort(const char* /*format*/, ...) { __builtin_trap(); }

extern "C" {

[[noreturn]] void abort_message(const char* /*format*/, ...);
void abort_message(const char* /*format*/, ...) { __builtin_trap(); }

/// Knows the one format that is used (nlohmann/json 3.11, lexer.hpp, get_token_string), and traps on any other.
int snprintf(char* text, size_t size, const char* format, ...) {
  if (std::strcmp(format, "<U+%.4X>") != 0 || size < 9) __builtin_trap();
  va_list arguments;
  va_start(arguments, format);
  const unsigned code = va_arg(arguments, unsigned);
  va_end(arguments);
  constexpr std::array kDigits = {'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'};
  std::strcpy(text, "<U+0000>");
  for (size_t i = 0; i < 4; ++i) text[3 + i] = kDigits[code >> (12 - 4 * i) & 15U];
  return 8;
}

}  // extern "C"
