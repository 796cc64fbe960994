#include "completions.h"

#include <algorithm>
#include <array>

#include "own_commands.h"
#include "python.h"
#include "request/shipped.h"
#include "size/text.h"

namespace peakmem::cli {
namespace {

using Names = std::vector<std::string_view>;

std::string joined(const Names& names, std::string_view mark = " ") {
  std::string text;
  for (const std::string_view name : names) text += (text.empty() ? "" : std::string(mark)) + std::string(name);
  return text;
}

Names model_names() {
  Names names;
  for (const ShippedFile& file : shipped_models()) names.push_back(file.name);
  return names;
}

Names takers_of(const OptionRow& option) {
  Names names;
  for (const CommandRow& row : command_rows())
    if (takes(row.command, option)) names.push_back(row.name);
  return names;
}

Names values_of(const OptionRow& row) { return row.choices == nullptr ? Names() : row.choices(); }

/// Options that the same commands take stand together, in the order of the table.
struct Taken {
  uint16_t commands;
  std::vector<const OptionRow*> rows;
};

std::vector<Taken> taken_together() {
  std::vector<Taken> all;
  for (const OptionRow& row : option_rows()) {
    auto found = std::ranges::find(all, row.commands, &Taken::commands);
    if (found == all.end()) found = all.insert(all.end(), Taken{row.commands, {}});
    found->rows.push_back(&row);
  }
  return all;
}

/// Commands behind which no MODEL stands, and what may stand there.
struct Operands {
  std::string_view commands;  // with | between them
  std::string words;
};

std::vector<Operands> operands() {
  return {{"help", joined(command_names())},
          {"completions", joined(shell_names())},
          {"models", joined(model_names())},
          {"emit", "hf trl axolotl llamafactory swift accelerate deepspeed " + joined(model_names())},
          {"gpus|optimizers|families|options|accuracy|man|dry-run|verify", {}}};
}

/// Within single quotes of a shell; fish's are escaped, the others' closed and opened again.
std::string quoted(std::string_view text, std::string_view quote, std::string_view also = {}) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'')
      out += quote;
    else if (also.find(c) != std::string_view::npos)
      out += std::string("\\") + c;
    else
      out += c;
  }
  return out + "'";
}

std::string operand_cases() {
  std::string text;
  for (const Operands& each : operands())
    text += "    " + std::string(each.commands) + ") echo " + each.words + " ;;\n";
  return text;
}

constexpr std::string_view kBash = R"(
_peakmem() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " $_peakmem_commands " in
      *" $word "*) command=$word; break ;;
    esac
  done
  case $prev in
    --*)
      local values
      if values=$(_peakmem_values "$prev"); then
        COMPREPLY=($(compgen -W "$values" -- "$cur"))
        [[ $values != FILE ]] || COMPREPLY=($(compgen -f -- "$cur"))
        return
      fi ;;
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$(_peakmem_options "${command:-estimate}") --help --help-all --version" -- "$cur"))
    return
  fi
  word=$(_peakmem_operands "$command")
  [[ -n $command ]] || word="$_peakmem_commands $word"
  COMPREPLY=($(compgen -W "$word" -- "$cur") $(compgen -f -- "$cur"))
}
complete -o filenames -F _peakmem peakmem
)";

std::string bash() {
  std::string text = "# bash completes peakmem by this script, which `peakmem completions bash` made.\n";
  text +=
      "_peakmem_commands='" + joined(command_names()) + "'\n\n_peakmem_operands() {\n  case $1 in\n" + operand_cases();
  text += "    *) echo " + joined(model_names()) + " ;;\n  esac\n}\n\n_peakmem_options() {\n";
  for (const Taken& taken : taken_together()) {
    text += "  case $1 in " + joined(takers_of(*taken.rows[0]), "|") + ") echo";
    for (const OptionRow* row : taken.rows) text += " --" + std::string(row->name);
    text += " ;; esac\n";
  }
  text += "}\n\n# What may stand behind an option; fails for those behind which nothing does.\n";
  text += "_peakmem_values() {\n  case $1 in\n";
  for (const OptionRow& row : option_rows()) {
    if (row.kind == OptionKind::kFlag) continue;
    const std::string values = row.kind == OptionKind::kFile ? "FILE" : joined(values_of(row));
    text += "    --" + std::string(row.name) + ") echo " + values + " ;;\n";
  }
  return text + "    *) return 1 ;;\n  esac\n}\n" + std::string(kBash);
}

constexpr std::string_view kZsh = R"(
_peakmem_operand() {
  [[ -n $command ]] || _describe -t commands command _peakmem_described
  local -a names=(${=$(_peakmem_operands "$command")})
  (( $#names )) && compadd -a names
  _files
}

_peakmem() {
  local command= word
  local -a specs
  for word in ${words[2,CURRENT-1]}; do
    if (( ${_peakmem_described[(I)$word:*]} )); then
      command=$word
      break
    fi
  done
  _peakmem_options "${command:-estimate}"
  _arguments -S $specs '--help[what a command takes]' '--help-all[the same with every option]' \
    '--version[the version]' '*: :_peakmem_operand'
}

if [[ $funcstack[1] == _peakmem ]]; then
  _peakmem "$@"
else
  compdef _peakmem peakmem
fi
)";

/// `'--batch[sequences in a micro-batch]:N:'`, as _arguments reads it.
std::string zsh_option(const OptionRow& row) {
  constexpr std::string_view kSpecial = "[]:\\";
  const std::string name = "'--" + std::string(row.name);
  std::string help = quoted(row.help, "'\\''", kSpecial).substr(1);
  help.pop_back();
  const std::string spec = name + (row.kind == OptionKind::kFlag ? "[" : "=[") + help + "]";
  if (row.kind == OptionKind::kFlag) return spec + "'";
  const std::string values = joined(values_of(row));
  std::string what = quoted(row.value, "'\\''", kSpecial).substr(1);
  what.pop_back();
  return spec + ":" + what + ":" +
         (row.kind == OptionKind::kFile ? "_files"
          : values.empty()              ? " "
                                        : "(" + values + ")") +
         "'";
}

std::string zsh() {
  std::string text =
      "#compdef peakmem\n# zsh completes peakmem by this script, which `peakmem completions zsh` made.\n";
  text += "typeset -ga _peakmem_described=(\n";
  const auto describe = [&](std::string_view name, std::string_view help) {
    text += "  " + quoted(std::string(name) + ":" + std::string(help), "'\\''") + "\n";
  };
  for (const CommandRow& row : command_rows()) describe(row.name, row.help);
  for (const PythonCommand& row : python_commands()) describe(row.name, row.help);
  for (const OwnCommand& row : own_commands()) describe(row.name, row.help);
  text += ")\n\n_peakmem_operands() {\n  case $1 in\n" + operand_cases();
  text += "    *) echo " + joined(model_names()) + " ;;\n  esac\n}\n\n_peakmem_options() {\n";
  for (const Taken& taken : taken_together()) {
    text += "  case $1 in " + joined(takers_of(*taken.rows[0]), "|") + ") specs+=(\n";
    for (const OptionRow* row : taken.rows) text += "    " + zsh_option(*row) + "\n";
    text += "  ) ;; esac\n";
  }
  return text + "}\n" + std::string(kZsh);
}

constexpr std::string_view kFish = R"(
function __peakmem_command
  for word in (commandline -opc)[2..-1]
    if contains -- $word $__peakmem_commands
      echo $word
      return
    end
  end
end

function __peakmem_in
  set -l command (__peakmem_command)
  test -n "$command"; or set command estimate
  contains -- $command $argv
end

function __peakmem_takes_model
  not contains -- (__peakmem_command) $__peakmem_without_model
end

complete -c peakmem -l help -d 'what a command takes'
complete -c peakmem -l help-all -d 'the same with every option'
complete -c peakmem -l version -d 'the version'
complete -c peakmem -n __peakmem_takes_model -a "$__peakmem_models"
)";

std::string fish_quoted(std::string_view text) { return quoted(text, "\\'", "\\"); }

std::string fish_option(const OptionRow& row) {
  const std::string names = joined(takers_of(row));
  std::string text = "complete -c peakmem -n '__peakmem_in " + names + "' -l " + std::string(row.name);
  if (row.kind == OptionKind::kFile) text += " -r -F";
  if (row.kind != OptionKind::kFile && row.kind != OptionKind::kFlag) text += " -x";
  const std::string values = joined(values_of(row));
  if (!values.empty()) text += " -a '" + values + "'";
  return text + " -d " + fish_quoted(row.help) + "\n";
}

std::string fish() {
  std::string without;
  std::string behind;
  for (const Operands& each : operands()) {
    for (const std::string& name : split(each.commands, '|')) {
      without += " " + name;
      if (!each.words.empty()) behind += "complete -c peakmem -n '__peakmem_in " + name + "' -a '" + each.words + "'\n";
    }
  }
  std::string text = "# fish completes peakmem by this script, which `peakmem completions fish` made.\n";
  text += "set -g __peakmem_commands " + joined(command_names()) + "\nset -g __peakmem_without_model" + without;
  text += "\nset -g __peakmem_models " + joined(model_names()) + "\n" + std::string(kFish) + behind;
  const auto describe = [&](std::string_view name, std::string_view help) {
    text += "complete -c peakmem -n 'test -z (__peakmem_command)' -a " + std::string(name) + " -d " +
            fish_quoted(help) + "\n";
  };
  for (const CommandRow& row : command_rows()) describe(row.name, row.help);
  for (const PythonCommand& row : python_commands()) describe(row.name, row.help);
  for (const OwnCommand& row : own_commands()) describe(row.name, row.help);
  for (const OptionRow& row : option_rows()) text += fish_option(row);
  return text;
}

/// A shell, and what makes its script.
struct Shell {
  std::string_view name;
  std::string (*script)();
};
constexpr auto kShells = std::to_array<Shell>({{"bash", bash}, {"zsh", zsh}, {"fish", fish}});

}  // namespace

std::vector<std::string_view> shell_names() {
  Names names;
  for (const Shell& shell : kShells) names.push_back(shell.name);
  return names;
}

std::string completions_for(std::string_view shell) {
  const auto* const found = std::ranges::find(kShells, shell, &Shell::name);
  return found == kShells.end() ? std::string() : found->script();
}

}  // namespace peakmem::cli
