# Writes OUTPUT, a source that holds the text of FILES by name (the file's, without .json), in order of name. With BARE
# that is the config alone, without spaces: what the page has no use for would be a fiftieth of it.
set(rows "")
set(count 0)
list(TRANSFORM FILES REPLACE "\\.json$" "")
list(SORT FILES)
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME)
  file(READ "${file}.json" text)
  if(BARE)
    string(JSON text GET "${text}" config)
    string(REGEX REPLACE "\n *" "" text "${text}")
    string(REPLACE "\" : " "\":" text "${text}")
  endif()
  string(APPEND rows "    {\"${name}\", R\"json(${text})json\"},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE "${OUTPUT}" "// NOLINTBEGIN: generated
#include <array>

#include \"request/shipped.h\"

namespace peakmem {

std::span<const ShippedFile> shipped_models() {
  static constexpr std::array<ShippedFile, ${count}> kFiles = {{
${rows}  }};
  return kFiles;
}

}  // namespace peakmem
// NOLINTEND
")
