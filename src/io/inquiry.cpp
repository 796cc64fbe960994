#include "io/inquiry.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "estimate/imbalance.h"
#include "io/bare_model.h"
#include "io/choices.h"
#include "io/json.h"
#include "io/kernel_options.h"
#include "io/letters.h"
#include "io/sharding.h"
#include "io/shipped.h"
#include "io/stack.h"
#include "size/nearest.h"
#include "train/freezing.h"

namespace peakmem {
namespace {

std::string quoted(std::string_view text) { return "\"" + std::string(text.substr(0, 60)) + "\""; }

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    parts.emplace_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return parts;
}

/// Shipped models whose name goes on after `name`: `bert-large` for `bert-large-uncased`.
std::vector<std::string_view> longer_names(std::string_view name) {
  std::vector<std::string_view> longer;
  for (const ShippedFile& file : shipped_models())
    if (file.name.size() > name.size() && file.name.starts_with(name) && file.name[name.size()] == '-')
      longer.push_back(file.name);
  return longer;
}

Error unknown_model(std::string_view name, const std::vector<std::string_view>& longer) {
  const std::string problem = quoted(name) + " is no model that comes with peakmem, no file and no folder";
  if (!longer.empty()) return {"MODEL", quoted(name) + " could be several models", did_you_mean("", longer)};
  std::vector<std::string_view> known;
  for (const ShippedFile& file : shipped_models()) known.push_back(file.name);
  const size_t slash = name.rfind('/');  // meta-llama/Llama-3.1-8B is how others call it
  const auto near = nearest(slash == std::string_view::npos ? name : name.substr(slash + 1), known);
  return {"MODEL", problem,
          near ? "did you mean " + std::string(*near) + "?" : "peakmem models lists those that come with it"};
}

/// Reads the options into a recipe and says what was taken for granted.
class Reader {
 public:
  Reader(const OptionValues& values, Inquiry& inquiry) : asked_(values), inquiry_(inquiry) {}

  std::optional<Error> read(const NamedConfig& model) {
    inquiry_.name = model.name;
    if (auto wrong = read_model(model.config)) return wrong;
    if (auto wrong = check_lengths()) return wrong;
    read_recipe();
    if (auto wrong = read_optimizer()) return wrong;
    if (auto wrong = read_imbalance()) return wrong;
    if (auto wrong = read_lora()) return wrong;
    if (auto wrong = read_quantization()) return wrong;
    if (auto wrong = read_stack(asked_, inquiry_)) return wrong;
    if (auto wrong = read_freeze()) return wrong;
    if (auto wrong = read_rest()) return wrong;
    if (auto wrong = read_sharding(asked_, inquiry_)) return wrong;
    if (const std::string* gpu = asked_.text("gpu")) inquiry_.gpu = find_gpu(*gpu);
    if (auto wrong = read_kernels(asked_, inquiry_)) return wrong;
    if (auto wrong = read_allocator()) return wrong;
    return check();
  }

 private:
  void assume(std::string line) { inquiry_.assumptions.push_back(std::move(line)); }

  std::optional<Error> read_model(const Value& config) {
    std::vector<std::string> unknown;
    const std::string* name = asked_.text("task");
    const TaskRow* task = nullptr;
    for (const TaskRow& row : task_rows())
      if (name != nullptr && row.name == *name) task = &row;
    Result<Description> description = read_description(config, task == nullptr ? nullptr : &task->task, unknown);
    if (!description) return description.error();
    inquiry_.job.description = std::move(*description);
    if (task == nullptr) assume_task(config);
    if (!unknown.empty()) warn_of(unknown);
    return std::nullopt;
  }

  void assume_task(const Value& config) {
    const Value* architectures = config.find("architectures");
    const bool named = architectures != nullptr && !architectures->is_null();
    for (const TaskRow& row : task_rows())
      if (row.task == inquiry_.job.description.task)
        assume("task: " + std::string(row.name) + (named ? ", from the config" : ", the family's usual one"));
  }

  void warn_of(const std::vector<std::string>& unknown) {
    std::string names;
    for (const std::string& name : unknown) names += (names.empty() ? "" : ", ") + name.substr(0, 60);
    if (names.size() > 400) names = names.substr(0, 400) + " …";
    inquiry_.warnings.push_back("fields that " + inquiry_.job.description.family + " is not known to read: " + names);
  }

  int64_t size(const char* name, int64_t otherwise, const char* why) {
    const std::optional<int64_t> given = asked_.size(name);
    const std::string* unknown = asked_.text("for");  // what is solved for has no value yet
    if (!given && !asked_.has(name) && (unknown == nullptr || *unknown != name))
      assume(std::string(name) + ": " + std::to_string(otherwise) + (why[0] != 0 ? ", " : "") + why);
    return given.value_or(otherwise);
  }

  std::string_view choice(const char* name) {
    const std::string* given = asked_.text(name);
    if (given != nullptr) return *given;
    const std::string_view otherwise = find_option(name)->otherwise;
    assume(std::string(name) + ": " + std::string(otherwise));
    return otherwise;
  }

  void read_recipe() {
    Recipe& recipe = inquiry_.job.recipe;
    recipe.transformers = asked_transformers(asked_);
    recipe.batch = size("batch", 8, "as TrainingArguments of transformers");
    recipe.seq = inquiry_.job.description.image > 0
                     ? inquiry_.job.description.positions
                     : size("seq", std::min<int64_t>(1024, inquiry_.job.description.longest_sequence()), "");
    if (inquiry_.job.description.task == Task::kSeq2SeqLm)
      recipe.target_seq = size("target-seq", recipe.seq, "as many as in a sequence");
    recipe.accumulate = asked_.size("accumulate").value_or(1);
    recipe.precision = read_precision();
    recipe.attention = read_attention();
    if (inquiry_.job.description.experts > 0) recipe.experts = value_in(kExperts, choice("experts"));
    recipe.checkpointing = value_in(kCheckpointings, choice("checkpointing"));
    recipe.clip = asked_.flag("clip-grad");
  }

  Precision read_precision() {
    const std::string* experts = asked_.text("experts");
    const bool loop = experts != nullptr && *experts == "loop";
    if (inquiry_.job.description.experts == 0 || loop || asked_.has("precision"))
      return value_in(kPrecisions, choice("precision"));
    assume("precision: bf16, the only one the grouped GEMM of experts takes");
    return Precision::kBf16;
  }

  Attention read_attention() {
    if (!inquiry_.job.description.eager_only || asked_.has("attention"))
      return value_in(kAttentions, choice("attention"));
    assume("attention: eager, the family has no sdpa in transformers");
    return Attention::kEager;
  }

  std::optional<Error> read_allocator() {
    const std::string* text = asked_.text("alloc-conf");
    const std::string* reserved = asked_.text("reserved");
    if (reserved != nullptr && *reserved == "bounds") {
      inquiry_.allocator.reset();
      if (text != nullptr)
        return Error{"--alloc-conf", "says how to replay, but --reserved bounds does not", "drop one"};
    }
    if (text == nullptr) return std::nullopt;
    const Result<AllocatorOptions> options = parse_alloc_conf(*text, "--alloc-conf");
    if (!options) return options.error();
    inquiry_.allocator = *options;
    return std::nullopt;
  }

  std::optional<Error> read_optimizer() {
    Recipe& recipe = inquiry_.job.recipe;
    recipe.optimizer = find_optimizer(choice("optimizer"));
    recipe.impl = recipe.optimizer->usual;
    const std::string* impl = asked_.text("optimizer-impl");
    if (impl != nullptr)
      recipe.impl = value_in(kOptimizerImpls, *impl);
    else
      assume("optimizer-impl: " + std::string(name_in(kOptimizerImpls, recipe.impl)) + ", what PyTorch picks on CUDA");
    assume_pages(*recipe.optimizer);
    return check_impl(*recipe.optimizer, recipe.impl);
  }

  void assume_pages(const Optimizer& optimizer) {
    if (optimizer.pages)
      assume(
          "paged states: of parameters from 100,000 elements on, in managed memory (cudaMallocManaged), which PyTorch "
          "does not count and the driver evicts to the host where the device is full");
  }

  static std::optional<Error> check_impl(const Optimizer& optimizer, OptimizerImpl impl) {
    if (update_of(optimizer, impl).available) return std::nullopt;
    std::string known;
    for (const auto& [value, name] : kOptimizerImpls)
      if (update_of(optimizer, value).available) known += (known.empty() ? "" : ", ") + std::string(name);
    return Error{
        "--optimizer-impl",
        std::string(optimizer.name) + " has no " + std::string(name_in(kOptimizerImpls, impl)) + " implementation",
        "known for it: " + known};
  }

  /// The optimizer of what the first does not train, where that is one of matrices.
  std::optional<Error> read_rest() {
    Recipe& recipe = inquiry_.job.recipe;
    const std::string* name = asked_.text("rest-optimizer");
    for (const char* option : {"rest-optimizer", "muon-matrices"})
      if (recipe.optimizer->takes_others && asked_.has(option))
        return Error{"--" + std::string(option), std::string(recipe.optimizer->name) + " trains all parameters",
                     "pass --optimizer muon, or drop it"};
    if (recipe.optimizer->takes_others) return std::nullopt;
    recipe.all_matrices = choice("muon-matrices") == "all";
    const auto [taken, left] = division(inquiry_.job);
    if (taken == 0) return Error{"--optimizer", "muon has nothing to train here", "pass another"};
    if (left > 0 && name == nullptr)
      return Error{"--optimizer", "muon trains matrices only, and leaves " + std::to_string(left) + " parameters",
                   "add --rest-optimizer adamw"};
    if (name == nullptr) return std::nullopt;
    if (left == 0) return Error{"--rest-optimizer", "has nothing to train: muon trains all", "drop it"};
    recipe.rest = find_optimizer(*name);
    recipe.rest_impl = recipe.rest->usual;
    assume_pages(*recipe.rest);
    return std::nullopt;
  }

  /// What kernels there are; said once it is known in which dtype parameters are trained.
  std::optional<Error> check_optimizer() const {
    const Recipe& recipe = inquiry_.job.recipe;
    const bool copies_half = !recipe.lora.saved.empty() && frozen_dtype(recipe) == DType::kBFloat16;
    if (trained_dtype(recipe) != DType::kBFloat16 && !copies_half) return std::nullopt;
    for (const Optimizer* optimizer : {recipe.optimizer, recipe.rest})
      if (optimizer != nullptr && !optimizer->takes_bfloat16)
        return Error{"--optimizer",
                     std::string(optimizer->name) +
                         " fails in bitsandbytes: no kernel takes gradients in bf16 beside states in 32 bits, which "
                         "small parameters have in any case",
                     "pass adamw-8bit or lion-8bit, or --precision bf16-mixed"};
    return std::nullopt;
  }

  std::optional<Error> read_lora() {
    if (!asked_.has("lora-rank")) {
      for (const char* name : {"lora-targets", "lora-modules-to-save", "lora-dropout", "lora-dtype"})
        if (asked_.has(name))
          return Error{"--" + std::string(name), "says how, but there is no adapter", "add --lora-rank 16"};
      return std::nullopt;
    }
    Lora& lora = inquiry_.job.recipe.lora;
    lora.rank = asked_.size("lora-rank").value_or(16);
    if (!asked_.size("lora-rank")) assume("lora-rank: 16");  // a letter, in a formula
    lora.full_precision = choice("lora-dtype") == "fp32";
    if (const std::string* dropout = asked_.text("lora-dropout")) {
      const Result<double> share = parse_share(*dropout, "--lora-dropout");
      if (!share) return share.error();
      lora.dropout = *share;
    }
    if (auto wrong = read_lora_targets(lora)) return wrong;
    return read_modules_to_save(lora);
  }

  std::optional<Error> read_modules_to_save(Lora& lora) {
    const Task task = inquiry_.job.description.task;
    const std::string* text = asked_.text("lora-modules-to-save");
    if (text == nullptr) {
      assume(task == Task::kSequenceClassification
                 ? "everything but the adapters is frozen, heads too (PEFT's TaskType.SEQ_CLS trains a copy of the "
                   "head: --lora-modules-to-save)"
                 : "everything but the adapters is frozen, heads too");
      return std::nullopt;
    }
    if (task == Task::kMaskedLm || task == Task::kSeq2SeqLm)
      return Error{"--lora-modules-to-save", "is not modelled for this task",
                   "known for it: causal-lm, classification"};
    const std::vector<std::string> known = modules_to_save(inquiry_.job);
    lora.saved = split_at_commas(*text);
    for (const std::string& name : lora.saved)
      if (std::find(known.begin(), known.end(), name) == known.end())
        return Error{"--lora-modules-to-save", quoted(name) + " is no module that can be copied here",
                     "this model has " + joined(known)};
    if (auto wrong = check_copied_targets(lora)) return wrong;
    assume("everything but the adapters and copies of " + joined(lora.saved) +
           " is frozen; what was copied stays on the device");
    return std::nullopt;
  }

  /// PEFT adapts nothing within what it copies, but for a module whose name only ends so, whose adapter it would copy.
  std::optional<Error> check_copied_targets(const Lora& lora) const {
    const Program program = built(inquiry_.job);
    const bool adapts = std::any_of(program.scopes.begin(), program.scopes.end(),
                                    [](const ScopeName& scope) { return std::string_view(scope.name) == "lora_A"; });
    if (!adapts)
      return Error{"--lora-modules-to-save", "leaves no module to adapt, at which PEFT raises an error",
                   "name other --lora-targets"};
    for (const std::string& module : linear_modules(inquiry_.job))
      for (const std::string& name : lora.saved)
        if (module != name && module.ends_with(name) && lora.adapts(module))
          return Error{"--lora-modules-to-save", quoted(name) + " would copy " + module + " with its adapter",
                       "leave it out of --lora-targets"};
    return std::nullopt;
  }

  std::optional<Error> read_lora_targets(Lora& lora) {
    const std::string* text = asked_.text("lora-targets");
    const std::vector<std::string> known = linear_modules(inquiry_.job);
    const std::string there_are = "this model has " + joined(known) + "; or all-linear";
    if (text == nullptr) return Error{"--lora-targets", "is missing", there_are};
    if (*text == "all-linear") return std::nullopt;
    lora.targets = split_at_commas(*text);
    for (const std::string& target : lora.targets)
      if (std::find(known.begin(), known.end(), target) == known.end())
        return Error{"--lora-targets", quoted(target) + " is no linear layer that can be adapted", there_are};
    return std::nullopt;
  }

  std::optional<Error> read_freeze() {
    const std::string* text = asked_.text("freeze");
    if (text == nullptr) return std::nullopt;
    Job& job = inquiry_.job;
    if (job.recipe.lora.rank > 0)
      return Error{"--freeze", "contradicts --lora-rank, which freezes everything but the adapters",
                   "drop one of them"};
    if (auto wrong = freeze(job, split_at_commas(*text), "--freeze")) return wrong;
    const std::string lost = without_gradient(job);
    if (lost.empty()) return std::nullopt;
    return Error{"--freeze", "leaves " + lost + " without a gradient: what it works on wants none",
                 job.recipe.checkpointing == Checkpointing::kFullReentrant ? "pass --checkpointing full" : ""};
  }

  std::optional<Error> read_quantization() {
    Recipe& recipe = inquiry_.job.recipe;
    if (const std::string* format = asked_.text("quantize")) recipe.quantize = value_in(kQuantizes, *format);
    recipe.double_quant = asked_.flag("double-quant");
    if (recipe.quantize == Quantize::kNone)
      return recipe.double_quant
                 ? std::optional(Error{"--double-quant", "says how, but nothing is quantized", "add --quantize nf4"})
                 : std::nullopt;
    if (recipe.lora.rank == 0)
      return Error{"--quantize", "stores weights that are frozen, and here all are trained",
                   "add --lora-rank 16 --lora-targets all-linear"};
    if (asked_.has("lora-dtype") && !recipe.lora.full_precision)
      return Error{"--lora-dtype", "is fp32 beside quantized weights, whose dtype adapters cannot have", "drop it"};
    const Trainer* trainer = asked_.has("trainer") ? find_trainer(*asked_.text("trainer")) : recipe.trainer;
    if (!recipe.lora.saved.empty() &&
        (inquiry_.job.description.task != Task::kCausalLm || trainer->transformers != Transformers::kV523))
      return Error{"--lora-modules-to-save", "is not modelled here beside quantized weights",
                   "known for it: causal-lm, and trainers of transformers 5.23"};
    if (recipe.quantize == Quantize::kInt8)
      if (auto wrong = check_int8()) return wrong;
    if (recipe.quantize == Quantize::kInt8 && recipe.checkpointing == Checkpointing::kFull)
      inquiry_.warnings.emplace_back(
          "checkpointing full does not free what 8-bit layers are applied to: bitsandbytes holds it beside autograd; "
          "full-reentrant does");
    if (!quantizes_linear_layers(inquiry_.job))
      return Error{"--quantize", "is not modelled for " + inquiry_.job.description.family, "its layers are Conv1D"};
    assume(recipe.quantize == Quantize::kInt8
               ? "8-bit products: no activation passes the threshold of 6.0, so none is multiplied in 16 bits"
               : "4-bit weights in the forward pass: dequantized where a micro-batch has more than 1536 tokens");
    return std::nullopt;
  }

  std::optional<Error> check_int8() const {
    if (asked_.has("double-quant"))
      return Error{"--double-quant", "is for constants of 4-bit blocks, and int8 has none", "drop it"};
    const Description& d = inquiry_.job.description;
    for (const int64_t size : {d.hidden, d.ffn, d.heads * d.head_dim})
      if (size % 4 != 0)
        return Error{"--quantize",
                     "int8 is not modelled for a width of " + std::to_string(size) +
                         ": cuBLASLt multiplies multiples of 4, others go through fp32",
                     "pass nf4"};
    return std::nullopt;
  }

  /// What transformers itself refuses, and what could not be measured.
  std::optional<Error> check_family() {
    const Description& d = inquiry_.job.description;
    const Recipe& recipe = inquiry_.job.recipe;
    if (d.eager_only && recipe.attention == Attention::kSdpa)
      return Error{"--attention", d.family + " has no sdpa attention in transformers", "pass --attention eager"};
    if (d.experts == 0)
      return asked_.has("experts") ? std::optional(Error{"--experts", d.family + " has no experts", "drop it"})
                                   : std::nullopt;
    constexpr int64_t kMostExperts = 10'000;  // of the loop, whose turns are traced one by one
    if (recipe.experts == Experts::kLoop && d.experts > kMostExperts)
      return Error{"--experts", "cannot be a loop over " + std::to_string(d.experts) + " experts: too many to trace",
                   "pass --experts grouped"};
    if (recipe.experts == Experts::kGrouped && compute_dtype(recipe) != DType::kBFloat16)
      return Error{"--precision", "cannot be other than bf16: the grouped GEMM of experts takes nothing else",
                   "pass --precision bf16 or --experts loop"};
    if (recipe.experts == Experts::kGrouped)
      assume("routing: any, the grouped GEMM's memory does not depend on how tokens are spread");
    else if (recipe.imbalance.balanced())
      assume("routing: balanced, every expert gets as many tokens");
    else
      place_the_busiest();
    return std::nullopt;
  }

  /// Any expert may be the busiest; the one is taken where that needs most.
  void place_the_busiest() {
    Job& job = inquiry_.job;
    job.recipe.imbalance.busiest = worst_place(job);
    assume(
        "routing: one expert gets " + *asked_.text("moe-imbalance") +
        " times its share, every token at most, and the others as many each of the rest; it is the one whose place in "
        "the loop needs most");
  }

  std::optional<Error> read_imbalance() {
    const std::string* text = asked_.text("moe-imbalance");
    if (text == nullptr) return std::nullopt;
    Recipe& recipe = inquiry_.job.recipe;
    const Error no_number = {"--moe-imbalance", "must be a number from 1 on, is " + quoted(*text), "such as 1.5"};
    const bool plain =
        !text->empty() && text->size() < 8 && text->find_first_not_of("0123456789.") == std::string::npos;
    char* end = nullptr;
    const double times = std::strtod(text->c_str(), &end);
    if (!plain || *end != 0 || times < 1) return no_number;
    if (inquiry_.job.description.experts == 0)
      return Error{"--moe-imbalance", inquiry_.job.description.family + " has no experts", "drop it"};
    if (recipe.experts == Experts::kGrouped)
      return Error{"--moe-imbalance",
                   "changes nothing: the grouped GEMM's memory does not depend on how tokens are spread",
                   "drop it, or pass --experts loop"};
    constexpr int64_t kParts = 1000;
    recipe.imbalance.over = std::llround(times * kParts);
    recipe.imbalance.under = kParts;
    return std::nullopt;
  }

  /// Lengths that mean nothing to this model are refused rather than dropped.
  std::optional<Error> check_lengths() const {
    const Description& d = inquiry_.job.description;
    if (asked_.has("target-seq") && d.task != Task::kSeq2SeqLm)
      return Error{"--target-seq", "means nothing here: " + d.family + " is no encoder-decoder", "drop it"};
    if (d.image == 0) return std::nullopt;
    const std::string length = std::to_string(d.positions) + " patches and tokens, by image_size and patch_size";
    const std::string* unknown = asked_.text("for");
    if (unknown != nullptr && *unknown == "seq")
      return Error{"--for", "seq is fixed: a sequence of this model is " + length, "pass --for batch"};
    if (asked_.has("seq"))
      return Error{"--seq", "means nothing here: a sequence of this model is " + length,
                   "drop it, or change the config's image_size"};
    return std::nullopt;
  }

  std::optional<Error> check() {
    if (auto wrong = check_optimizer()) return wrong;
    if (auto wrong = check_family()) return wrong;
    const Description& d = inquiry_.job.description;
    const Recipe& recipe = inquiry_.job.recipe;
    if (d.task == Task::kSeq2SeqLm && recipe.precision == Precision::kFp16)
      return Error{"--precision", "fp16 weights are not modelled for " + d.family + ", which keeps some in fp32",
                   "pass bf16 or fp16-mixed"};
    if (d.task == Task::kSeq2SeqLm && recipe.checkpointing == Checkpointing::kFullReentrant)
      return Error{"--checkpointing", "full-reentrant is not modelled for " + d.family, "pass full"};
    const int64_t longest = d.longest_sequence();
    if (recipe.seq > longest) {
      const std::string lengths = std::to_string(recipe.seq) + " is past the ";
      if (d.learned_positions)
        return Error{"--seq", lengths + "learned position table of " + std::to_string(longest),
                     "pass at most " + std::to_string(longest)};
      inquiry_.warnings.push_back("seq " + lengths + std::to_string(longest) + " positions of the config");
    }
    const bool last_token =
        d.task == Task::kSequenceClassification && find_family(d.family)->usual_task == Task::kCausalLm;
    if (last_token && recipe.batch > 1 && !d.has_padding_token)
      return Error{"--batch", "cannot be " + std::to_string(recipe.batch) + ": the config has no pad_token_id",
                   "transformers raises \"Cannot handle batch sizes > 1 if no padding token is defined\"; pass --batch "
                   "1 or set pad_token_id"};
    return std::nullopt;
  }

  Asked asked_;
  Inquiry& inquiry_;
};

/// A table as long as the sequence is written with the sequence's letter where sizes were left open.
void name_positions(const Asked& asked, Inquiry& inquiry) {
  const bool open = std::any_of(option_rows().begin(), option_rows().end(), [&](const OptionRow& row) {
    return !row.symbol.empty() && asked.has(row.name) && !asked.size(row.name);
  });
  if (!open || inquiry.job.description.positions != inquiry.job.recipe.seq) return;
  const auto letter = inquiry.letters.find("T");
  inquiry.letters.insert_or_assign("P", letter == inquiry.letters.end() ? "T" : letter->second);
  inquiry.assumptions.emplace_back("positions: as many as tokens in a sequence");
}

/// The model with the sizes asked for, or the one that sizes alone describe.
Result<NamedConfig> sized_config(const NamedConfig* model, const Asked& asked, std::vector<std::string>& assumptions) {
  if (model == nullptr && !has_bare_sizes(asked))
    return Error{"MODEL", "is missing", "such as gpt2, config.json, or --layers 12 --heads 12 --hidden 768"};
  if (model == nullptr) return bare_config(asked, assumptions);
  if (asked.has("family")) return Error{"--family", "is for a model without a config", "drop it"};
  return resized_config(*model, asked, assumptions);
}

}  // namespace

Result<NamedConfig> shipped_config(std::string_view name) {
  const std::vector<std::string_view> longer = longer_names(name);
  const ShippedFile* found = nullptr;
  for (const ShippedFile& file : shipped_models())
    if (file.name == name || (found == nullptr && longer.size() == 1 && file.name == longer[0])) found = &file;
  return found == nullptr ? Result<NamedConfig>(unknown_model(name, longer)) : parse_config(found->text, found->name);
}

Result<NamedConfig> parse_config(std::string_view text, std::string_view name) {
  Result<Value> value = parse_json(text);
  if (!value)
    return Error{std::string(name),
                 value.error().problem + (value.error().field.empty() ? "" : " at " + value.error().field),
                 value.error().hint};
  return named_config(*value, name);
}

NamedConfig named_config(const Value& value, std::string_view name) {
  const Value* inner = value.find("config");
  const bool wrapped = inner != nullptr && inner->kind == Value::Kind::kObject && value.find("model_type") == nullptr;
  return {std::string(name), wrapped ? *inner : value};
}

Result<Inquiry> make_inquiry(const NamedConfig* model, const OptionValues& values, Command command) {
  if (auto wrong = check_options(values, command)) return *wrong;
  const Asked asked(values);
  Inquiry inquiry;
  Result<NamedConfig> sized = sized_config(model, asked, inquiry.assumptions);
  if (!sized) return sized.error();
  if (auto wrong = Reader(values, inquiry).read(*sized)) return *wrong;
  Result<Letters> letters = read_letters(asked);
  if (!letters) return letters.error();
  inquiry.letters = std::move(*letters);
  if (model == nullptr) name_positions(asked, inquiry);
  return inquiry;
}

}  // namespace peakmem
