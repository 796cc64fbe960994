#include "format/pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

#include "format/pickle_machine.h"
#include "format/raw_unicode.h"

namespace peakmem {
namespace {

/// Runs a pickle's opcodes on a machine.
class Unpickler : private PickleMachine {
 public:
  explicit Unpickler(std::string_view data) : data_(data) {}

  Result<ObjectFile> run() {
    while (!stopped_)
      if (!step()) return error();
    return ObjectFile{std::move(objects), answer_};
  }

 private:
  /// An opcode: how it is written, its name, what it does.
  struct Row {
    unsigned char code;
    std::string_view name;
    bool (Unpickler::*run)();
  };
  static constexpr size_t kOpcodes = 68;
  static const std::array<Row, kOpcodes> kTable;
  static constexpr std::array<uint8_t, 256> rows_by_code();

  bool step();
  bool cut_off() { return fail("ends within a value", "is the file cut off?"); }

  // What follows an opcode.
  bool take(size_t count, std::string_view& bytes) {
    if (data_.size() - at_ < count) return cut_off();
    bytes = data_.substr(at_, count);
    at_ += count;
    return true;
  }
  bool take_line(std::string_view& line) {
    const size_t end = data_.find('\n', at_);
    if (end == std::string_view::npos) return cut_off();
    line = data_.substr(at_, end - at_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    at_ = end + 1;
    return true;
  }
  template <size_t kBytes>
  bool take_unsigned(uint64_t& number) {
    std::string_view bytes;
    if (!take(kBytes, bytes)) return false;
    number = little_endian(bytes);
    return true;
  }
  static uint64_t little_endian(std::string_view bytes) {
    uint64_t number = 0;
    for (size_t i = bytes.size(); i-- > 0;) number = number << 8U | static_cast<unsigned char>(bytes[i]);
    return number;
  }
  template <size_t kBytes>
  bool take_counted(std::string_view& bytes) {
    uint64_t count = 0;
    if (!take_unsigned<kBytes>(count)) return false;
    if (count > data_.size() - at_) return cut_off();
    return take(static_cast<size_t>(count), bytes);
  }

  // Opcodes: structure.
  bool proto() {
    uint64_t version = 0;
    if (!take_unsigned<1>(version)) return false;
    return version <= 5 || fail("is a pickle of protocol " + std::to_string(version), "protocols 0 to 5 are known");
  }
  bool frame() {
    uint64_t length = 0;
    if (!take_unsigned<8>(length)) return false;
    return length <= data_.size() - at_ || cut_off();
  }
  bool stop() {
    stopped_ = pop(answer_);
    return stopped_;
  }

  // Opcodes: the memo.
  bool put_next() { return memoize_next(at_); }
  template <size_t kBytes>
  bool put() {
    uint64_t place = 0;
    return take_unsigned<kBytes>(place) && memoize(place, at_);
  }
  template <size_t kBytes>
  bool get() {
    uint64_t place = 0;
    return take_unsigned<kBytes>(place) && recall(place);
  }
  bool take_place(uint64_t& place) {
    std::string_view line;
    if (!take_line(line)) return false;
    const auto [end, problem] = std::from_chars(line.data(), line.data() + line.size(), place);
    return (problem == std::errc() && end == line.data() + line.size()) || fail("names no place of the memo");
  }
  bool put_line() {
    uint64_t place = 0;
    return take_place(place) && memoize(place, at_);
  }
  bool get_line() {
    uint64_t place = 0;
    return take_place(place) && recall(place);
  }

  // Opcodes: single values.
  bool none() { return push(Objects::none()); }
  bool yes() { return push(Objects::boolean(true)); }
  bool no() { return push(Objects::boolean(false)); }
  template <size_t kBytes>
  bool small_integer() {
    uint64_t number = 0;
    return take_unsigned<kBytes>(number) && push(objects.integer(static_cast<int64_t>(number)));
  }
  bool integer() {
    uint64_t number = 0;
    return take_unsigned<4>(number) && push(objects.integer(static_cast<int32_t>(static_cast<uint32_t>(number))));
  }
  /// Two's complement of any length; past 8 bytes its nearest real.
  ObjectId number_of(std::string_view bytes) {
    if (bytes.empty()) return objects.integer(0);
    const bool negative = (static_cast<unsigned char>(bytes.back()) & 0x80U) != 0;
    if (bytes.size() <= 8) {
      uint64_t number = little_endian(bytes);
      if (negative && bytes.size() < 8) number |= ~uint64_t{0} << (8 * bytes.size());
      return objects.integer(std::bit_cast<int64_t>(number));
    }
    const auto high = static_cast<double>(little_endian(bytes.substr(bytes.size() - 8)));
    const int scale = static_cast<int>(std::min<size_t>(bytes.size() - 8, 1000)) * 8;
    return objects.real(std::ldexp(negative ? high - 0x1p64 : high, scale));
  }
  template <size_t kBytes>
  bool long_integer() {
    std::string_view bytes;
    return take_counted<kBytes>(bytes) && push(number_of(bytes));
  }
  /// "12\n", "12L\n", and in INT also the truths "00\n" and "01\n".
  bool integer_line() {
    std::string_view line;
    if (!take_line(line)) return false;
    if (opcode.name == "INT" && (line == "00" || line == "01")) return push(Objects::boolean(line == "01"));
    if (line.ends_with('L')) line.remove_suffix(1);
    int64_t number = 0;
    const auto [end, problem] = std::from_chars(line.data(), line.data() + line.size(), number);
    if (end != line.data() + line.size()) return fail("holds no number where one must be");
    return push(problem == std::errc() ? objects.integer(number) : objects.real(HUGE_VAL));
  }
  bool real_line() {
    std::string_view line;
    if (!take_line(line)) return false;
    const std::string text(line.substr(0, 100));
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (text.empty() || end != text.c_str() + text.size()) return fail("holds no number where one must be");
    return push(objects.real(number));
  }
  bool real() {
    std::string_view bytes;
    if (!take(8, bytes)) return false;
    uint64_t number = 0;
    for (const char byte : bytes) number = number << 8U | static_cast<unsigned char>(byte);
    return push(objects.real(std::bit_cast<double>(number)));
  }
  template <size_t kBytes>
  bool text() {
    std::string_view bytes;
    return take_counted<kBytes>(bytes) && push(objects.string(bytes));
  }
  bool text_line() {
    std::string_view line;
    return take_line(line) && push(objects.string(from_raw_unicode_escape(line)));
  }
  /// Python 2's repr of a str; its escapes stay as they are written.
  bool quoted_line() {
    std::string_view line;
    if (!take_line(line)) return false;
    const bool quoted = line.size() >= 2 && line.front() == line.back() && (line[0] == '\'' || line[0] == '"');
    return quoted ? push(objects.string(line.substr(1, line.size() - 2))) : fail("holds a text without quotes");
  }

  // Opcodes: containers.
  bool list() { return push(objects.list()); }
  bool dict() { return push(objects.dict()); }
  template <size_t kItems>
  bool tuple() {
    return PickleMachine::tuple(kItems);
  }
  template <Objects::Kind kKind>
  bool fill_from_mark() {
    return PickleMachine::fill_from_mark(kKind);
  }

  // Opcodes that import or call something.
  bool refuse(const std::string& what) {
    return fail("would run code: " + what, "a snapshot holds plain values only: nothing of this file was run");
  }
  bool refuse_name() { return refuse(std::string(opcode.name)); }
  bool refuse(std::string_view module, std::string_view name) {
    return refuse(std::string(module.substr(0, 60)) + "." + std::string(name.substr(0, 60)));
  }
  bool refuse_global() {
    std::string_view module;
    std::string_view name;
    return take_line(module) && take_line(name) && refuse(module, name);
  }
  bool refuse_stack_global() {
    ObjectId module = Objects::none();
    ObjectId name = Objects::none();
    return pop(name) && pop(module) && refuse(objects.text(module), objects.text(name));
  }

  std::string_view data_;
  size_t at_ = 0;
  bool stopped_ = false;
  ObjectId answer_ = Objects::none();
};

constexpr std::array<Unpickler::Row, Unpickler::kOpcodes> Unpickler::kTable = {{
    {'h', "BINGET", &Unpickler::get<1>},
    {'j', "LONG_BINGET", &Unpickler::get<4>},
    {'K', "BININT1", &Unpickler::small_integer<1>},
    {0x8a, "LONG1", &Unpickler::long_integer<1>},
    {'}', "EMPTY_DICT", &Unpickler::dict},
    {'(', "MARK", &Unpickler::mark},
    {'u', "SETITEMS", &Unpickler::fill_from_mark<Objects::Kind::kDict>},
    {0x94, "MEMOIZE", &Unpickler::put_next},
    {'q', "BINPUT", &Unpickler::put<1>},
    {'r', "LONG_BINPUT", &Unpickler::put<4>},
    {'J', "BININT", &Unpickler::integer},
    {'M', "BININT2", &Unpickler::small_integer<2>},
    {0x8c, "SHORT_BINUNICODE", &Unpickler::text<1>},
    {'X', "BINUNICODE", &Unpickler::text<4>},
    {0x8d, "BINUNICODE8", &Unpickler::text<8>},
    {']', "EMPTY_LIST", &Unpickler::list},
    {'a', "APPEND", &Unpickler::append},
    {'e', "APPENDS", &Unpickler::fill_from_mark<Objects::Kind::kList>},
    {'s', "SETITEM", &Unpickler::set_item},
    {')', "EMPTY_TUPLE", &Unpickler::list},
    {0x85, "TUPLE1", &Unpickler::tuple<1>},
    {0x86, "TUPLE2", &Unpickler::tuple<2>},
    {0x87, "TUPLE3", &Unpickler::tuple<3>},
    {'t', "TUPLE", &Unpickler::list_from_mark},
    {'N', "NONE", &Unpickler::none},
    {0x88, "NEWTRUE", &Unpickler::yes},
    {0x89, "NEWFALSE", &Unpickler::no},
    {'G', "BINFLOAT", &Unpickler::real},
    {0x8b, "LONG4", &Unpickler::long_integer<4>},
    {0x80, "PROTO", &Unpickler::proto},
    {0x95, "FRAME", &Unpickler::frame},
    {'.', "STOP", &Unpickler::stop},
    {'0', "POP", &Unpickler::drop},
    {'1', "POP_MARK", &Unpickler::drop_to_mark},
    {'2', "DUP", &Unpickler::twice},
    {'I', "INT", &Unpickler::integer_line},
    {'L', "LONG", &Unpickler::integer_line},
    {'F', "FLOAT", &Unpickler::real_line},
    {'S', "STRING", &Unpickler::quoted_line},
    {'V', "UNICODE", &Unpickler::text_line},
    {'p', "PUT", &Unpickler::put_line},
    {'g', "GET", &Unpickler::get_line},
    {'l', "LIST", &Unpickler::list_from_mark},
    {'d', "DICT", &Unpickler::dict_from_mark},
    {'U', "SHORT_BINSTRING", &Unpickler::text<1>},
    {'T', "BINSTRING", &Unpickler::text<4>},
    {'C', "SHORT_BINBYTES", &Unpickler::text<1>},
    {'B', "BINBYTES", &Unpickler::text<4>},
    {0x8e, "BINBYTES8", &Unpickler::text<8>},
    {0x96, "BYTEARRAY8", &Unpickler::text<8>},
    {0x8f, "EMPTY_SET", &Unpickler::list},
    {0x90, "ADDITEMS", &Unpickler::fill_from_mark<Objects::Kind::kList>},
    {0x91, "FROZENSET", &Unpickler::list_from_mark},
    {'c', "GLOBAL", &Unpickler::refuse_global},
    {0x93, "STACK_GLOBAL", &Unpickler::refuse_stack_global},
    {'i', "INST", &Unpickler::refuse_global},
    {'o', "OBJ", &Unpickler::refuse_name},
    {'R', "REDUCE", &Unpickler::refuse_name},
    {'b', "BUILD", &Unpickler::refuse_name},
    {0x81, "NEWOBJ", &Unpickler::refuse_name},
    {0x92, "NEWOBJ_EX", &Unpickler::refuse_name},
    {0x82, "EXT1", &Unpickler::refuse_name},
    {0x83, "EXT2", &Unpickler::refuse_name},
    {0x84, "EXT4", &Unpickler::refuse_name},
    {'P', "PERSID", &Unpickler::refuse_name},
    {'Q', "BINPERSID", &Unpickler::refuse_name},
    {0x97, "NEXT_BUFFER", &Unpickler::refuse_name},
    {0x98, "READONLY_BUFFER", &Unpickler::refuse_name},
}};

constexpr std::array<uint8_t, 256> Unpickler::rows_by_code() {
  std::array<uint8_t, 256> rows = {};
  rows.fill(kOpcodes);
  for (uint8_t i = 0; i < kOpcodes; ++i) rows[kTable[i].code] = i;
  return rows;
}

bool Unpickler::step() {
  static constexpr std::array<uint8_t, 256> kRows = rows_by_code();
  opcode.at = at_;
  if (at_ == data_.size()) return fail("ends before its STOP", "is the file cut off?");
  const uint8_t row = kRows[static_cast<unsigned char>(data_[at_++])];
  if (row == kOpcodes) return fail("is no opcode of a pickle", "is this a pickle?");
  opcode.name = kTable[row].name;
  if (!(this->*kTable[row].run)()) return false;
  return std::max(objects.size(), size()) <= Objects::kMax ||
         fail("holds more than " + std::to_string(Objects::kMax) + " values", "record a shorter history");
}

}  // namespace

Result<ObjectFile> parse_pickle(std::string_view data) { return Unpickler(data).run(); }

}  // namespace peakmem
