#!/bin/bash
# Holds what `peakmem completions` and `peakmem man` print to the shells and to man; those that are not there are passed over.
# Usage: tests/cli/shells.sh PROGRAM
set -u
program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# holds WHAT TEXT WORD...: every word is a line of the text.
holds() {
  local what=$1 text=$2 word
  shift 2
  for word; do
    grep -qxF -- "$word" <<<"$text" || { echo "$what: no $word in: $text"; failed=1; }
  done
}

for shell in bash zsh fish; do "$program" completions $shell >"$folder/$shell" || failed=1; done

# bash: typed WORD...: what may stand in place of the last word.
. "$folder/bash" || failed=1
typed() {
  COMP_WORDS=(peakmem "$@") COMP_CWORD=$#
  COMPREPLY=()
  (cd "$folder" && _peakmem; printf '%s\n' "${COMPREPLY[@]}")
}
holds "bash, a command" "$(typed sol)" solve
holds "bash, a model" "$(typed solve llama-3.1)" llama-3.1-8b
holds "bash, an option" "$(typed gpt2 --check)" --checkpointing
holds "bash, an option of a command" "$(typed solve gpt2 --fo)" --for
holds "bash, a value" "$(typed gpt2 --precision b)" bf16 bf16-mixed
holds "bash, a value behind =" "$(typed gpt2 --precision = fp3)" fp32
holds "bash, a file" "$(typed timeline gpt2 --svg z)" zsh
holds "bash, a shell" "$(typed completions f)" fish
[ -z "$(typed gpt2 --fo)" ] || { echo "bash: an option that the command does not take"; failed=1; }

if command -v zsh >/dev/null; then
  zsh -f -c 'autoload -Uz compinit && compinit -D && source "$1" && [[ $_comps[peakmem] = _peakmem ]] || exit 1
    specs=() && _peakmem_options solve && print -l -- $specs' zsh "$folder/zsh" >"$folder/specs" 2>&1 || failed=1
  holds "zsh" "$(cut -d[ -f1 "$folder/specs")" --batch= --for= --double-quant
fi

if command -v fish >/dev/null; then
  completed() { HOME=$folder XDG_CONFIG_HOME=$folder fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$folder/fish" "$1" 2>&1 | cut -f1; }
  holds "fish, a command" "$(completed 'peakmem sol')" solve
  holds "fish, a model" "$(completed 'peakmem solve llama-3.1')" llama-3.1-8b
  holds "fish, an option" "$(completed 'peakmem solve gpt2 --fo')" --for
  holds "fish, a value" "$(completed 'peakmem gpt2 --precision b')" bf16 bf16-mixed
  holds "fish, a shell" "$(completed 'peakmem completions z')" zsh
fi

# Without the package a command of Python's still says what it is.
printf '#!/bin/sh\nexec python3 -I -S "$@"\n' >"$folder/bare" && chmod +x "$folder/bare"
if command -v python3 >/dev/null; then
  holds "help of verify" "$(PEAKMEM_PYTHON=$folder/bare "$program" help verify 2>&1)" "Usage: peakmem verify"
fi

"$program" man >"$folder/peakmem.1" || failed=1
for option in $("$program" options --json | sed -n '/^      "kind"/!s/^      "name": "\(.*\)",$/\1/p'); do
  grep -qF -- "\\fB\\-\\-${option//-/\\-}\\fR" "$folder/peakmem.1" || { echo "man: no --$option"; failed=1; }
done
if command -v groff >/dev/null; then
  said=$(groff -K utf8 -man -ww -b -z "$folder/peakmem.1" 2>&1)
  [ -z "$said" ] || { echo "groff: $said"; failed=1; }
fi
# Help is as wide as it is told, but for lines to type.
export LC_ALL=C.UTF-8
for width in 50 72; do
  while IFS= read -r line; do
    case $line in "  peakmem "* | "Usage: "* | "  python "* | "  --"*) continue ;; esac
    [ ${#line} -le $width ] || { echo "help: wider than $width: $line"; failed=1; }
  done < <(COLUMNS=$width "$program" solve --help-all)
done
exit $failed
