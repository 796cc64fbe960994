#!/bin/sh
# Holds the #includes of the C++ sources to the table src/rooms.txt.
set -eu
cd "$(dirname "$0")/.."

{
  sed 's/#.*//; /^[[:space:]]*$/d; s/^/table:/' src/rooms.txt
  find src cli python wasm tests bench fuzz \( -name '*.h' -o -name '*.cpp' \) -exec grep -Hno '^ *# *include *["<][^">]*' {} +
} | awk -F: '
  function complain(text) { print where ": " text; bad = 1 }
  function starts_with_any(text, prefixes, count,    i) {
    for (i = 1; i <= count; i++) if (index(text, prefixes[i]) == 1) return 1
    return 0
  }

  $1 == "table" && $2 ~ /^only / {
    count = split($3, headers, " ")
    for (i = 1; i <= count; i++) only[headers[i]] = substr($2, 6)
    next
  }
  $1 == "table" {
    room = $2; known[room] = 1; may[room, room] = 1; where = "src/rooms.txt"
    count = split($3, rooms, " ")
    for (i = 1; i <= count; i++) {
      if (!(rooms[i] in known)) complain(room " may not know " rooms[i] ", which does not stand above it")
      may[room, rooms[i]] = 1
    }
    next
  }
  {
    where = $1 ":" $2; header = $3; sub(/^[^"<]*["<]/, "", header)
    for (name in only) {
      is_folder = name ~ /\/$/
      if (header != name && !(is_folder && index(header, name) == 1)) continue
      count = split(only[name], places, " ")
      if (!starts_with_any($1, places, count)) complain("<" header "> belongs to " only[name])
    }
    if (split($1, path, "/") < 3 || path[1] != "src") next
    split(header, target, "/")
    if (!(path[2] in known)) complain("the room " path[2] " is not in src/rooms.txt")
    else if (target[1] in known && !((path[2], target[1]) in may)) complain(path[2] " may not include " header)
  }
  END { exit bad }
'
