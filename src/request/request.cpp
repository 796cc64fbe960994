#include "request/request.h"

#include <algorithm>

#include "model/sight.h"
#include "recipe/images.h"
#include "request/adapter_options.h"
#include "request/bare_model.h"
#include "request/choices.h"
#include "request/context.h"
#include "request/evaluation_options.h"
#include "request/expert_options.h"
#include "request/gpu_choice.h"
#include "request/hardware.h"
#include "request/headroom.h"
#include "request/job_checks.h"
#include "request/kernel_options.h"
#include "request/letters.h"
#include "request/loop_options.h"
#include "request/option_checks.h"
#include "request/part.h"
#include "request/precision_options.h"
#include "request/preference_options.h"
#include "request/recorded.h"
#include "request/sharding.h"
#include "request/stack.h"
#include "request/stored_weights.h"
#include "request/zero_options.h"
#include "size/wording.h"
#include "train/freezing.h"

namespace peakmem {
namespace {

/// The preset stands for the kernels that it chose.
Error as_asked(const Options& asked, Error error) {
  const bool chosen =
      error.field == "--norm" || error.field == "--mlp" || error.field == "--rope" || error.field == "--loss";
  if (chosen && asked.has("kernels") && !asked.has(error.field.substr(2))) error.field = "--kernels";
  return error;
}

/// Whether a trainer's AdamW is fused where its user names no optimizer (transformers 5.23, training_args.py).
bool has_fused_adamw(const Options& asked) {
  const std::string* name = asked.text("trainer");
  const Trainer* trainer = name != nullptr ? find_trainer(*name) : nullptr;
  return trainer != nullptr && trainer->is_transformers_loop && trainer->transformers == Transformers::kV523 &&
         !asked.has("optimizer") && !asked.has("transformers");
}

/// Reads the options into a recipe and says what was taken for granted.
class Reader {
 public:
  Reader(const OptionValues& values, Request& request) : asked_(values), request_(request) {}

  std::optional<Error> read(const NamedConfig& model) {
    request_.name = model.name;
    if (!model.stands_for.empty()) assume("model: " + model.name + ", of which " + model.stands_for + " has the shape");
    if (auto wrong = read_model(model.config)) return wrong;
    if (auto wrong = check_lengths()) return wrong;
    if (auto wrong = read_recipe()) return wrong;
    if (auto wrong = read_optimizer()) return wrong;
    if (auto wrong = read_imbalance(asked_, request_)) return wrong;
    if (auto wrong = read_adapters(asked_, request_)) return wrong;
    if (auto wrong = read_stack(asked_, request_)) return wrong;
    if (auto wrong = read_preference(asked_, request_)) return wrong;
    if (auto wrong = check_sought()) return wrong;
    if (auto wrong = read_row_lengths()) return wrong;
    if (auto wrong = read_freeze()) return wrong;
    if (auto wrong = read_rest()) return wrong;
    if (auto wrong = read_sharding(asked_, request_)) return wrong;
    if (auto wrong = read_zero(asked_, request_)) return wrong;
    if (auto wrong = read_gpu(asked_, request_)) return wrong;
    if (auto wrong = check_gpu_count(asked_, request_)) return wrong;
    if (auto wrong = read_context(asked_, request_)) return wrong;
    if (auto wrong = read_headroom(asked_, request_)) return wrong;
    if (auto wrong = read_kernels(asked_, request_)) return wrong;
    if (auto wrong = read_loop(asked_, request_)) return wrong;
    if (auto wrong = read_allocator()) return wrong;
    if (auto wrong = check()) return wrong;
    settle_rank(asked_, request_);
    say_of_hardware(request_);
    return std::nullopt;
  }

 private:
  void assume(std::string line) { request_.assumptions.push_back(std::move(line)); }

  std::optional<Error> read_model(const Value& config) {
    std::vector<std::string> unknown;
    const std::string* name = asked_.text("task");
    const TaskRow* task = nullptr;
    for (const TaskRow& row : task_rows())
      if (name != nullptr && row.name == *name) task = &row;
    Result<Description> description = read_description(config, task == nullptr ? nullptr : &task->task, unknown);
    if (!description) return description.error();
    request_.job.description = std::move(*description);
    if (task == nullptr) assume_task(config);
    assume_loss();
    if (!unknown.empty()) warn_of(unknown);
    return std::nullopt;
  }

  /// What of a task the config does not say, or says elsewhere.
  void assume_loss() {
    const Description& d = request_.job.description;
    if (d.task == Task::kFeatureExtraction)
      assume(
          "loss: the mean of the last hidden states; a bare model has none of its own, and what yours keeps comes on "
          "top");
    const bool classifies = d.task == Task::kSequenceClassification || d.task == Task::kImageClassification;
    const std::string labels = std::to_string(d.labels) + (d.labels == 1 ? " label" : " labels");
    if (classifies && d.problem == Problem::kRegression) assume("labels: regression of " + labels);
    if (classifies && d.problem == Problem::kMultiLabel) assume("labels: multi-label, " + labels + " a sequence");
  }

  void assume_task(const Value& config) {
    const Value* architectures = config.find("architectures");
    const bool named = architectures != nullptr && !architectures->is_null();
    for (const TaskRow& row : task_rows())
      if (row.task == request_.job.description.task)
        assume("task: " + std::string(row.name) + (named ? ", from the config" : ", the family's usual one"));
  }

  void warn_of(const std::vector<std::string>& unknown) {
    std::string names;
    for (const std::string& name : unknown) add_to_list(names, name.substr(0, 60));
    if (names.size() > 400) names = names.substr(0, 400) + " …";
    request_.warnings.push_back("fields that " + request_.job.description.family + " is not known to read: " + names);
  }

  int64_t size(const char* name, int64_t otherwise, const char* why) {
    const std::optional<int64_t> given = asked_.size(name);
    const std::string* unknown = asked_.text("for");  // what is solved for has no value yet
    if (!given && !asked_.has(name) && (unknown == nullptr || *unknown != name))
      assume(std::string(name) + ": " + std::to_string(otherwise) + (why[0] != 0 ? ", " : "") + why);
    return given.value_or(otherwise);
  }

  /// Targets are as long as sequences unless told, also where the sequence is what is solved for.
  int64_t target_size(int64_t seq) {
    const std::string* unknown = asked_.text("for");
    if (unknown == nullptr || *unknown != "seq" || asked_.has("target-seq")) return longest_target(seq);
    assume("target-seq: as many as in a sequence");
    return seq;
  }

  /// Where a sound is longer than any text may be, the text is as long as it may be.
  int64_t longest_target(int64_t seq) {
    const int64_t longest = request_.job.description.longest_target();
    return request_.job.description.mel_bins > 0 && seq > longest
               ? size("target-seq", longest, "as many as the decoder has positions for")
               : size("target-seq", seq, "as many as in a sequence");
  }

  std::string_view choice(const char* name) { return read_choice(asked_, request_, name); }

  /// Shorter sequences than the completion are none.
  std::optional<Error> check_sought() const {
    const std::string* unknown = asked_.text("for");
    const bool varies = unknown != nullptr && unknown->find("seq") != std::string::npos;
    if (request_.job.recipe.completion == 0 || !varies) return std::nullopt;
    return Error{"--for", "seq is not solved for where a completion has so many of its tokens", "--for batch"};
  }

  /// Tokens of a sequence; of rows that differ the most that one may have.
  int64_t bound_of_rows() {
    const int64_t longest = request_.job.description.longest_sequence();
    if (asked_.has("lengths")) return asked_.size("seq").value_or(longest);
    return size("seq", std::min<int64_t>(1024, longest), "");
  }

  /// Of rows that differ the job is about the longest batch, which a run meets sooner or later.
  std::optional<Error> read_row_lengths() {
    const std::string* text = asked_.text("lengths");
    if (text == nullptr) return std::nullopt;
    const auto cannot = [](const char* what) { return Error{"--lengths", what, "drop one of them"}; };
    Recipe& recipe = request_.job.recipe;
    if (request_.job.description.has_fixed_length())
      return cannot("is of rows of tokens, and these are images or sounds");
    if (recipe.completion > 0) return cannot("is not modelled with --completion, which is a number of tokens");
    if (recipe.target_seq > 0)
      return cannot("is not modelled for an encoder-decoder, whose targets have lengths of their own");
    const Result<RowLengths> lengths = parse_row_lengths(*text);
    if (!lengths) return lengths.error();
    const bool is_bounded = asked_.has("seq") || lengths->are_known();
    if (!is_bounded)
      return Error{"--lengths", "by percentiles says no longest row", "add --seq, the bound that rows are cut at"};
    request_.lengths = batch_lengths(*lengths, recipe.batch * recipe.choices, recipe.seq);
    recipe.seq = request_.lengths.back().seq;
    assume("lengths: rows that do not depend on each other, each batch padded to its longest" +
           std::string(lengths->are_known() ? "" : "; log-normal between the percentiles and beyond"));
    return std::nullopt;
  }

  std::optional<Error> read_recipe() {
    Recipe& recipe = request_.job.recipe;
    recipe.transformers = asked_transformers(asked_);
    recipe.batch = size("batch", 8, "as TrainingArguments of transformers");
    recipe.seq = request_.job.description.has_fixed_length() ? request_.job.description.positions : bound_of_rows();
    recipe.completion = asked_.size("completion").value_or(0);
    if (request_.job.description.task == Task::kSeq2SeqLm) recipe.target_seq = target_size(recipe.seq);
    if (request_.job.description.task == Task::kMultipleChoice)
      recipe.choices = size("choices", 4, "as SWAG and RACE have");
    if (request_.job.description.tower) read_images();
    recipe.accumulate = asked_.size("accumulate").value_or(1);
    if (auto wrong = read_evaluation(asked_, recipe)) return wrong;
    if (auto wrong = read_precision(asked_, request_)) return wrong;
    recipe.attention = read_attention();
    if (routes_tokens(request_.job.description)) recipe.experts = value_in(kExperts, choice("experts"));
    recipe.checkpointing = value_in(kCheckpointings, choice("checkpointing"));
    recipe.clip = asked_.flag("clip-grad");
    return std::nullopt;
  }

  /// What stands for the images among the tokens follows from the config, or is asked for where they are of any size.
  void read_images() {
    Description& d = request_.job.description;
    if (d.task == Task::kContrastive) {
      request_.job.recipe.images = 1;
      return assume("loss: which of a batch's images belongs to which text, as return_loss=True asks for it");
    }
    request_.job.recipe.images = size("images", 1, "in a sequence");
    if (takes_any_size(d)) return read_image_tokens(d);
    assume("image tokens: " + std::to_string(d.image_tokens) + " of the sequence for each image of " +
           std::to_string(d.tower->image) + " x " + std::to_string(d.tower->image) + " pixels, by the config");
  }

  void read_image_tokens(Description& d) {
    show_images(d, size("image-tokens", 256, ""));
    const auto [rows, columns] = grid_of(d.image_tokens);
    const int64_t pixels = d.tower->patch * d.tower->merge;
    assume("images: " + std::to_string(rows * pixels) + " x " + std::to_string(columns * pixels) +
           " pixels, as square as " + std::to_string(d.image_tokens) + " tokens come");
  }

  Attention read_attention() {
    if (!request_.job.description.eager_only || asked_.has("attention"))
      return value_in(kAttentions, choice("attention"));
    assume("attention: eager, the family has no sdpa in transformers");
    return Attention::kEager;
  }

  std::optional<Error> read_allocator() {
    const std::string* text = asked_.text("alloc-conf");
    const std::string* reserved = asked_.text("reserved");
    if (reserved != nullptr && *reserved == "bounds") {
      request_.allocator.reset();
      if (text != nullptr)
        return Error{"--alloc-conf", "says how to replay, but --reserved bounds does not", "drop one"};
    }
    if (text == nullptr) return std::nullopt;
    const Result<AllocatorOptions> options = parse_alloc_conf(*text, "--alloc-conf");
    if (!options) return options.error();
    request_.allocator = *options;
    return std::nullopt;
  }

  std::optional<Error> read_optimizer() {
    Recipe& recipe = request_.job.recipe;
    recipe.optimizer = find_optimizer(choice("optimizer"));
    recipe.impl = recipe.optimizer->usual;
    if (const std::string* impl = asked_.text("optimizer-impl"))
      recipe.impl = value_in(kOptimizerImpls, *impl);
    else
      assume_impl(*recipe.optimizer);
    assume_pages(*recipe.optimizer);
    return check_impl(*recipe.optimizer, recipe.impl);
  }

  void assume_impl(const Optimizer& optimizer) {
    const std::string usual(name_in(kOptimizerImpls, optimizer.usual));
    assume("optimizer-impl: " + usual +
           (impls_of(optimizer) == usual ? ", the only one there is" : ", what PyTorch picks on CUDA") +
           (has_fused_adamw(asked_) ? " (TrainingArguments' own is fused)" : ""));
  }

  void assume_pages(const Optimizer& optimizer) {
    if (optimizer.pages)
      assume(
          "paged states: of parameters from 100,000 elements on, in managed memory (cudaMallocManaged), which PyTorch "
          "does not count and the driver evicts to the host where the device is full");
  }

  static std::optional<Error> check_impl(const Optimizer& optimizer, OptimizerImpl impl) {
    if (update_of(optimizer, impl).available) return std::nullopt;
    return Error{
        "--optimizer-impl",
        std::string(optimizer.name) + " has no " + std::string(name_in(kOptimizerImpls, impl)) + " implementation",
        "known for it: " + impls_of(optimizer)};
  }

  /// The optimizer of what the first does not train, where that is one of matrices.
  std::optional<Error> read_rest() {
    Recipe& recipe = request_.job.recipe;
    const std::string* name = asked_.text("rest-optimizer");
    for (const char* option : {"rest-optimizer", "muon-matrices"})
      if (recipe.optimizer->takes_others && asked_.has(option))
        return Error{"--" + std::string(option), std::string(recipe.optimizer->name) + " trains all parameters",
                     "pass --optimizer muon, or drop it"};
    if (recipe.optimizer->takes_others) return std::nullopt;
    recipe.all_matrices = choice("muon-matrices") == "all";
    if (name == nullptr) return std::nullopt;
    recipe.rest = find_optimizer(*name);
    recipe.rest_impl = recipe.rest->usual;
    assume_pages(*recipe.rest);
    return std::nullopt;
  }

  std::optional<Error> read_freeze() {
    if (!asked_.has("freeze")) return std::nullopt;
    Job& job = request_.job;
    return freeze(job, asked_.list("freeze"), "--freeze");
  }

  /// Lengths that mean nothing to this model are refused rather than dropped.
  std::optional<Error> check_lengths() const {
    const Description& d = request_.job.description;
    const std::string* unknown = asked_.text("for");
    if (asked_.has("target-seq") && d.task != Task::kSeq2SeqLm)
      return Error{"--target-seq", "means nothing here: " + d.family + " is no encoder-decoder", "drop it"};
    if (asked_.has("choices") && d.task != Task::kMultipleChoice)
      return Error{"--choices", "is for the task multiple-choice, and this is another", "drop it, or change --task"};
    if (asked_.has("images") && (!d.tower || d.task == Task::kContrastive))
      return Error{"--images", "means nothing here: " + d.family + " is no model of text and images", "drop it"};
    if (asked_.has("image-tokens") && !takes_any_size(d))
      return Error{"--image-tokens", "means nothing here: " + d.family + " takes no images of any size", "drop it"};
    if (unknown != nullptr && *unknown == "target-seq" && d.task != Task::kSeq2SeqLm)
      return Error{"--for", "target-seq means nothing here: " + d.family + " is no encoder-decoder", "pass --for seq"};
    if (!d.has_fixed_length()) return std::nullopt;
    const bool sees = d.image > 0;
    const std::string length = std::to_string(d.positions) + (sees ? " patches and tokens, by image_size and patch_size"
                                                                   : " frames of sound, by max_source_positions");
    if (unknown != nullptr && *unknown == "seq")
      return Error{"--for", "seq is fixed: a sequence of this model is " + length, "pass --for batch"};
    if (asked_.has("seq"))
      return Error{
          "--seq", "means nothing here: a sequence of this model is " + length,
          sees ? "drop it, or change the config's image_size" : "drop it; --target-seq is how long the text is"};
    return std::nullopt;
  }

  /// PyTorch only warns where a checkpoint's input wants no gradient, and goes on; nobody asks for that.
  std::optional<Error> check_frozen() const {
    const Job& job = request_.job;
    if (job.recipe.freeze.patterns.empty()) return std::nullopt;
    const std::string lost = without_gradient(job);
    if (lost.empty()) return std::nullopt;
    return Error{"--freeze", "leaves " + lost + " without a gradient: what it works on wants none",
                 job.recipe.checkpointing == Checkpointing::kFullReentrant ? "pass --checkpointing full" : ""};
  }

  std::optional<Error> check() {
    say_of_fp16(request_);
    if (auto wrong = check_job(request_.job)) return as_asked(asked_, std::move(*wrong));
    if (auto wrong = check_frozen()) return wrong;
    if (std::string evaluation = evaluation_assumption(request_.job.recipe); !evaluation.empty())
      assume(std::move(evaluation));
    const int64_t longest = request_.job.description.longest_sequence();
    const int64_t seq = request_.job.recipe.seq;
    if (seq > longest)
      request_.warnings.push_back("seq " + std::to_string(seq) + " is past the " + std::to_string(longest) +
                                  " positions of the config");
    return read_routing(asked_, request_);
  }

  Options asked_;
  Request& request_;
};

/// A table as long as the sequence is written with the sequence's letter where sizes were left open.
void name_positions(const Options& asked, Request& request) {
  const bool open = std::any_of(option_rows().begin(), option_rows().end(), [&](const OptionRow& row) {
    return !row.symbol.empty() && asked.has(row.name) && !asked.size(row.name);
  });
  if (!open || request.job.description.positions != request.job.recipe.seq) return;
  const auto letter = request.letters.find("T");
  request.letters.insert_or_assign("P", letter == request.letters.end() ? "T" : letter->second);
  request.assumptions.emplace_back("positions: as many as tokens in a sequence");
}

/// The model with the sizes asked for, or the one that sizes alone describe.
Result<NamedConfig> sized_config(const NamedConfig* model, const Options& asked,
                                 std::vector<std::string>& assumptions) {
  if (model == nullptr && !has_bare_sizes(asked))
    return Error{"MODEL", "is missing", "such as gpt2, config.json, or --layers 12 --heads 12 --hidden 768"};
  if (model == nullptr) return bare_config(asked, assumptions);
  if (asked.has("family")) return Error{"--family", "is for a model without a config", "drop it"};
  return resized_config(*model, asked, assumptions);
}

}  // namespace

std::string_view read_choice(const Options& asked, Request& request, std::string_view name) {
  if (const std::string* given = asked.text(name)) return *given;
  const std::string_view otherwise = find_option(name)->otherwise;
  request.assumptions.push_back(std::string(name) + ": " + std::string(otherwise));
  return otherwise;
}

Result<Request> make_request(const NamedConfig* model, const OptionValues& values, Command command) {
  if (auto wrong = check_options(values, command, letter_names(model))) return *wrong;
  if (model != nullptr && model->recording) return recorded_request(*model, values, command);
  Request request;
  NamedConfig stored = model == nullptr ? NamedConfig{} : *model;
  Result<OptionValues> options = stored_options(stored, values, request.assumptions);
  if (!options) return options.error();
  const Options asked(*options);
  if (asked.has("at"))
    return Error{"--at", "is for the letters of a trace, and this is a model", "pass --batch, --seq and the like"};
  if (asked.has("from")) return Error{"--from", "is of launch files, and there is none", "drop it"};
  if (model == nullptr && asked.has("part"))
    return Error{"--part", "is of a model with a config, and there is none", "drop it"};
  Result<NamedConfig> part = model == nullptr ? NamedConfig{} : part_of(stored, asked, request.assumptions);
  if (!part) return part.error();
  Result<NamedConfig> sized = sized_config(model == nullptr ? nullptr : &*part, asked, request.assumptions);
  if (!sized) return sized.error();
  if (auto wrong = Reader(*options, request).read(*sized)) return *wrong;
  Result<Letters> letters = read_letters(asked);
  if (!letters) return letters.error();
  request.letters = std::move(*letters);
  if (model == nullptr) name_positions(asked, request);
  return request;
}

}  // namespace peakmem
