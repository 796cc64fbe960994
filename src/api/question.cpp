#include "api/question.h"

#include <array>

namespace peakmem {
namespace {

// Where a name stands for what is asked by itself: `textbook` is `formula --textbook` to the command line.
constexpr std::array kCommands = std::to_array<CommandRow>({
    {"estimate", Command::kEstimate, answer_estimate, "peakmem MODEL [options]", "the estimate: peak, ledger, verdict"},
    {"formula", Command::kFormula, answer_formula, "peakmem formula MODEL [options]", "the same trace as a formula"},
    {"textbook", Command::kFormula, answer_textbook, "peakmem textbook MODEL [options]",
     "the formulas in circulation, beside it"},
    {"solve", Command::kSolve, answer_solve, "peakmem solve MODEL --for WHAT --gpu NAME [options]",
     "the largest that fits, exactly"},
    {"advise", Command::kAdvise, answer_advise, "peakmem advise MODEL --gpu NAME [options]",
     "what would make it fit, and what that costs"},
    {"plan", Command::kPlan, kJsonAlone ? nullptr : answer_plan,
     "peakmem plan MODEL --gpus 8xNAME --global-batch N [options]",
     "every way to train on these cards, ranked by time"},
    {"time", Command::kTime, kJsonAlone ? nullptr : answer_time, "peakmem time MODEL --gpu NAME [options]",
     "floating-point operations of a step, and about how long it takes"},
    {"compare", Command::kCompare, answer_compare, "peakmem compare MODEL [options] --with \"[MODEL] [options]\"",
     "two set-ups, and what differs"},
    {"sweep", Command::kSweep, answer_sweep, "peakmem sweep MODEL --over WHAT --values 1,2,4 [options]",
     "memory against one option, or several in a grid"},
    {"timeline", Command::kTimeline, answer_timeline, "peakmem timeline MODEL [options]",
     "memory over the step, as a picture"},
    {"explain", Command::kExplain, answer_explain, "peakmem explain \"MESSAGE\" MODEL [options]",
     "which allocation \"CUDA out of memory\" is about, and what would let it pass"},
    {"diff", Command::kDiff, nullptr, "peakmem diff FILE [MODEL] [options]", "what a real run kept, against ours"},
    {"trace", Command::kTrace, answer_trace, "peakmem trace MODEL [options] --save FILE",
     "its trace as a file, which is a MODEL too"},
    {"emit", Command::kEmit, nullptr, "peakmem emit FORMAT MODEL [options]",
     "the job as a launch file: hf, trl, axolotl, llamafactory, swift, accelerate, deepspeed"},
    {"config", Command::kConfig, answer_config, "peakmem config MODEL [options]",
     "what is understood of a model's config"},
    {"parameters", Command::kConfig, answer_parameters, "peakmem parameters MODEL [options]",
     "its parameters by name, shape and dtype"},
    {"models", Command::kTable, answer_models, "peakmem models [WORD]",
     "the models that come with it; those with that word in their name"},
    {"gpus", Command::kTable, answer_gpus, "peakmem gpus [WORD]", "the GPUs that are known"},
    {"optimizers", Command::kTable, answer_optimizers, "peakmem optimizers [WORD]", "the optimizers that are known"},
    {"families", Command::kTable, answer_families, "peakmem families [WORD]", "the architectures that are known"},
    {"options", Command::kTable, answer_options, "peakmem options [WORD]", "the options that are known"},
    {"accuracy", Command::kAccuracy, nullptr, "peakmem accuracy [FILE...]",
     "the error on every record of what PyTorch did"},
});

// JSON first: it may be the only one.
constexpr std::array kForms = std::to_array<FormRow>({{Form::kJson, "json"},
                                                      {Form::kText, "text"},
                                                      {Form::kSvg, "svg"},
                                                      {Form::kCsv, "csv"},
                                                      {Form::kPerfetto, "perfetto"},
                                                      {Form::kJsonLines, "jsonl"}});

}  // namespace

std::span<const CommandRow> command_rows() { return kCommands; }
std::span<const FormRow> form_rows() { return std::span<const FormRow>(kForms).first(kJsonAlone ? 1 : kForms.size()); }

const CommandRow* find_command(std::string_view name) {
  for (const CommandRow& row : kCommands)
    if (row.name == name) return &row;
  return nullptr;
}

}  // namespace peakmem
