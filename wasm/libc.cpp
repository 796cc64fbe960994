// What the core needs of the C library, in few words: the library's own is a twentieth of the module. Its copying is
// unrolled, its numbers are of any base, and its printf would say nothing that is read: it comes in with the last words
// of libc++ and libc++abi before they abort, which a trap says as well, and with one escape of the JSON lexer.
#include <__verbose_abort>
#include <array>
#include <cerrno>
#include <climits>
#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>

void std::__libcpp_verbose_abort(const char* /*format*/, ...) { __builtin_trap(); }

/// The number nearest to a decimal text: JavaScript's own reading, which is exact.
__attribute__((import_module("env"), import_name("number"))) double number(const char* text, size_t bytes);

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
const char* past_digits(const char* text) {
  while (is_digit(*text)) ++text;
  return text;
}

/// Digits up to `most`; above it that, and errno says so.
unsigned long long whole(const char* text, const char* end, unsigned long long most) {
  unsigned long long value = 0;
  for (; text < end; ++text) {
    const auto digit = static_cast<unsigned long long>(*text - '0');
    if (value > (most - digit) / 10) {
      errno = ERANGE;
      return most;
    }
    value = 10 * value + digit;
  }
  return value;
}

}  // namespace

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

/// Nothing is destroyed at the end, which does not come.
int __cxa_atexit(void (* /*destroy*/)(void*), void* /*object*/, void* /*library*/) { return 0; }

void* memmove(void* to, const void* from, size_t bytes) {
  auto* const out = static_cast<char*>(to);
  const auto* const in = static_cast<const char*>(from);
  size_t i = 0;
  if (out <= in || out >= in + bytes) {
    constexpr size_t kWord = sizeof(uint64_t);
    for (; i + kWord <= bytes; i += kWord) __builtin_memcpy_inline(out + i, in + i, kWord);
    for (; i < bytes; ++i) out[i] = in[i];
  } else {
    for (i = bytes; i > 0; --i) out[i - 1] = in[i - 1];
  }
  return to;
}
void* memcpy(void* to, const void* from, size_t bytes) { return memmove(to, from, bytes); }
void* memset(void* to, int byte, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) static_cast<char*>(to)[i] = static_cast<char>(byte);
  return to;
}

/// Decimal alone, as all who call it write.
double strtod(const char* text, char** end) {
  const char* at = past_digits(text + (*text == '-' ? 1 : 0));
  if (*at == '.') at = past_digits(at + 1);
  if (*at == 'e' || *at == 'E') {
    const char* const exponent = at + (at[1] == '-' || at[1] == '+' ? 2 : 1);
    if (is_digit(*exponent)) at = past_digits(exponent);
  }
  const double value = number(text, static_cast<size_t>(at - text));
  *end = const_cast<char*>(std::isnan(value) ? text : at);
  return value;
}
unsigned long long strtoull(const char* text, char** end, int /*base*/) {
  const char* const last = past_digits(text);
  *end = const_cast<char*>(last);
  return whole(text, last, ULLONG_MAX);
}
long long strtoll(const char* text, char** end, int /*base*/) {
  const bool negative = *text == '-';
  const char* const first = text + (negative ? 1 : 0);
  const char* const last = past_digits(first);
  *end = const_cast<char*>(last);
  constexpr auto kMost = static_cast<unsigned long long>(LLONG_MAX);
  const unsigned long long value = whole(first, last, negative ? kMost + 1 : kMost);
  return static_cast<long long>(negative ? 0 - value : value);
}

// What std::stoi and its kin call, which nobody does.
float strtof(const char* /*text*/, char** /*end*/) { __builtin_trap(); }
long double strtold(const char* /*text*/, char** /*end*/) { __builtin_trap(); }
long strtol(const char* /*text*/, char** /*end*/, int /*base*/) { __builtin_trap(); }
unsigned long strtoul(const char* /*text*/, char** /*end*/, int /*base*/) { __builtin_trap(); }

}  // extern "C"
