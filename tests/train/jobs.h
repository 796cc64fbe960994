// Jobs for property tests: small random models of every family, and any recipe.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "model/cache.h"
#include "recipe/images.h"
#include "trace/evaluate.h"
#include "train/built_model.h"
#include "train/freezing.h"
#include "train/step.h"

namespace peakmem::testing {

inline Value whole(int64_t number) {
  Value value;
  value.kind = Value::Kind::kInteger;
  value.integer = number;
  value.real = static_cast<double>(number);
  return value;
}
inline Value real(double number) {
  Value value;
  value.kind = Value::Kind::kReal;
  value.real = number;
  return value;
}
inline Value word(std::string text) {
  Value value;
  value.kind = Value::Kind::kString;
  value.string = std::move(text);
  return value;
}
inline Value truth(bool boolean) {
  Value value;
  value.kind = Value::Kind::kBool;
  value.boolean = boolean;
  return value;
}

/// A choice made by the generator.
class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  int64_t from(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine_); }
  bool coin() { return from(0, 1) == 1; }

 private:
  std::mt19937 engine_;
};

/// What encoder-decoders of BART's kind call their sizes.
inline void put_bart_sizes(Value& config, int64_t heads, Dice& dice) {
  const auto put = [&config](const char* name, int64_t size) { config.members.emplace_back(name, whole(size)); };
  for (const char* name : {"encoder_attention_heads", "decoder_attention_heads"}) put(name, heads);
  for (const char* name : {"encoder_layers", "decoder_layers"}) put(name, dice.from(1, 9));
  for (const char* name : {"encoder_ffn_dim", "decoder_ffn_dim"}) put(name, dice.from(1, 300));
  for (const char* name : {"max_position_embeddings", "max_target_positions"}) put(name, 300);
  for (const char* name : {"max_source_positions", "num_mel_bins"}) put(name, dice.from(1, 100));
}

/// Relative positions or none, and the loss that DeBERTa-v2 does not choose by itself.
inline void put_deberta_choices(Value& config, Dice& dice) {
  config.members.emplace_back("problem_type", word("single_label_classification"));
  if (dice.coin()) return;
  config.members.emplace_back("relative_attention", truth(true));
  config.members.emplace_back("position_buckets", whole(dice.from(1, 64)));
  const bool both = dice.coin();
  config.members.emplace_back("pos_att_type", word(both ? "p2c|c2p" : "c2p"));
  config.members.emplace_back("share_att_key", truth(both && dice.coin()));
  config.members.emplace_back("norm_rel_ebd", word(dice.coin() ? "layer_norm" : "none"));
}

inline Value list_of(std::vector<Value> items) {
  Value value;
  value.kind = Value::Kind::kList;
  value.items = std::move(items);
  return value;
}

/// What encodes images of any size as Qwen's models say it: tokens as wide as the text's.
inline std::vector<std::pair<const char*, Value>> qwen_vision(const Family& family, int64_t text_width, Dice& dice) {
  const int64_t heads = dice.from(1, 3);
  const bool first = family.name == "qwen2_vl";
  const int64_t deep = dice.from(0, 4);
  return {{"deepstack_visual_indexes", list_of({whole(deep), whole(deep + dice.from(1, 4))})},
          {"depth", whole(dice.from(1, 9))},
          {"num_heads", whole(heads)},
          {"patch_size", whole(4)},
          {first ? "embed_dim" : "hidden_size", whole(heads * 4 * dice.from(1, 9))},
          {first ? "hidden_size" : "out_hidden_size", whole(text_width)},
          {first ? "mlp_ratio" : "intermediate_size", whole(dice.from(1, 4))}};
}

/// A text model with what encodes images beside it.
inline void put_parts(Value& config, const Family& family, Dice& dice) {
  const int64_t heads = dice.from(1, 3);
  const auto object_of = [](const std::vector<std::pair<const char*, Value>>& members) {
    Value object;
    object.kind = Value::Kind::kObject;
    for (const auto& [field, value] : members) object.members.emplace_back(field, value);
    return object;
  };
  const auto part = [&](const char* name, std::initializer_list<std::pair<const char*, Value>> own) {
    Value object = object_of({});
    const auto put = [&object](const char* field, Value value) {
      object.members.emplace_back(field, std::move(value));
    };
    put("hidden_size", whole(heads * 4 * dice.from(1, 9)));
    put("num_attention_heads", whole(heads));
    put("num_hidden_layers", whole(dice.from(1, 9)));
    put("intermediate_size", whole(dice.from(1, 300)));
    for (const auto& [field, value] : own) put(field, value);
    config.members.emplace_back(name, std::move(object));
  };
  config.members.emplace_back("tie_word_embeddings", truth(dice.coin()));
  config.members.emplace_back("mm_tokens_per_image", whole(4));
  part("text_config", {{"vocab_size", whole(dice.from(10, 3000))},
                       {"num_key_value_heads", whole(heads)},
                       {"max_position_embeddings", whole(300)}});
  if (family.name.starts_with("qwen")) {
    const int64_t width = config.find("text_config")->find("hidden_size")->integer;
    config.members.emplace_back("vision_config", object_of(qwen_vision(family, width, dice)));
    return;
  }
  const bool of_clip = family.name == "llava" || family.name == "clip" || family.name == "siglip";
  part("vision_config", {{"image_size", whole(16)}, {"patch_size", whole(4)}, {"vision_use_head", truth(of_clip)}});
}

/// DeepSeek's narrow projections, and as many heads of keys and values as of queries.
inline void put_latents(Value& config, int64_t heads, Dice& dice) {
  const int64_t groups = dice.from(1, 3);
  const auto put = [&config](const char* name, int64_t value) { config.members.emplace_back(name, whole(value)); };
  put("num_key_value_heads", heads);
  if (dice.coin())
    put("q_lora_rank", dice.from(1, 40));
  else
    config.members.emplace_back("q_lora_rank", Value{});
  put("kv_lora_rank", 2 * dice.from(1, 20));
  put("qk_nope_head_dim", 2 * dice.from(1, 20));
  put("qk_rope_head_dim", 2 * dice.from(1, 20));
  put("v_head_dim", dice.from(1, 40));
  put("moe_intermediate_size", dice.from(1, 300));
  put("n_routed_experts", 2 * groups);
  put("num_experts_per_tok", dice.from(1, 2));
  put("n_shared_experts", dice.from(1, 3));
  put("first_k_dense_replace", dice.from(0, 4));
  put("n_group", groups);
  put("topk_group", dice.from(1, groups));
  config.members.emplace_back("topk_method", word(dice.coin() ? "greedy" : "group_limited_greedy"));
}

/// GPT-Neo's kinds of layers, as many as layers.
inline void put_attention_types(Value& config) {
  const int64_t layers = config.find("num_hidden_layers")->integer;
  config.members.emplace_back("attention_types", list_of({list_of({list_of({word("global")}), whole(layers)})}));
}

/// A config of a random family and sizes.
inline Value random_config(Dice& dice) {
  const std::string family(
      families()[static_cast<size_t>(dice.from(0, static_cast<int64_t>(families().size()) - 1))]->name);
  const int64_t kv = dice.from(1, 3);
  const int64_t heads = kv * dice.from(1, 3) * (family == "codegen" ? 4 : 1);
  const int64_t hidden = heads * 2 * dice.from(1, 20);
  Value config;
  config.kind = Value::Kind::kObject;
  auto put = [&config](const char* name, Value value) { config.members.emplace_back(name, std::move(value)); };
  put("model_type", word(family));
  if (const Task usual = find_family(family)->usual_task;
      usual == Task::kImageTextToText || usual == Task::kContrastive) {
    put_parts(config, *find_family(family), dice);
    return config;
  }
  put("hidden_size", whole(hidden));
  put("num_attention_heads", whole(heads));
  put("num_hidden_layers", whole(dice.from(1, 9)));
  put("vocab_size", whole(dice.from(10, 3000)));
  put("tie_word_embeddings", truth(dice.coin()));
  put("pad_token_id", whole(0));
  if (family == "gpt2") {
    put("reorder_and_upcast_attn", truth(dice.coin()));
    return config;
  }
  if (family == "gpt_bigcode") {
    put("multi_query", truth(dice.coin()));
    return config;
  }
  put("intermediate_size", whole(dice.from(1, 300)));
  if (family == "bert") return config;
  if (family == "convnext") {
    put("hidden_sizes", list_of({whole(dice.from(1, 40)), whole(dice.from(1, 40))}));
    put("depths", list_of({whole(dice.from(1, 4)), whole(dice.from(1, 4))}));
    put("num_stages", whole(2));
    put("image_size", whole(dice.from(8, 60)));
    return config;
  }
  if (find_family(family)->sizes != nullptr && find_family(family)->sizes->layers == std::string_view("encoder_layers"))
    put_bart_sizes(config, heads, dice);
  if (family == "deberta-v2") put_deberta_choices(config, dice);
  if (family.starts_with("deepseek")) {
    put_latents(config, heads, dice);
    return config;
  }
  if (family == "gpt_neo") put_attention_types(config);
  put("num_key_value_heads", whole(kv));
  const bool mixture = family == "mixtral" || family == "gpt_oss" || family.ends_with("moe");
  if (family == "gemma2" || family == "gemma3_text" || (family == "mixtral" && dice.coin()))
    put("sliding_window", whole(dice.from(1, 200)));
  if (family == "gemma3_text") put("sliding_window_pattern", whole(dice.from(1, 6)));
  const double some = hidden / heads % 4 == 0 && dice.coin() ? 0.5 : 1.0;
  if (family == "gpt_neox") put("rotary_pct", real(some));
  if (family == "hunyuan_v1_dense") put("head_dim", whole(2 * dice.from(1, 20)));
  if (family == "gptj" || family == "codegen") put("rotary_dim", whole(2));
  if (family == "phi" || family == "phi3" || family == "stablelm" || family == "nemotron")
    put("partial_rotary_factor", real(some));
  if (family == "gpt_neox" || family == "stablelm") put("use_parallel_residual", truth(dice.coin()));
  if (mixture) {
    const int64_t experts = dice.from(1, 8);
    put("num_local_experts", whole(experts));
    put("num_experts_per_tok", whole(dice.from(1, experts)));
  }
  if (family == "mistral") put("sliding_window", whole(dice.from(1, 200)));
  if (family.ends_with("_moe")) {
    put("moe_intermediate_size", whole(dice.from(1, 300)));
    put("shared_expert_intermediate_size", whole(dice.from(1, 300)));
    put("norm_topk_prob", truth(dice.coin()));
  }
  if (family.starts_with("qwen") && family != "qwen2_moe" && dice.coin()) {
    put("use_sliding_window", truth(true));
    put("sliding_window", whole(dice.from(1, 200)));
    put("max_window_layers", whole(dice.from(0, 9)));
  }
  return config;
}

inline Recipe random_recipe(Dice& dice) {
  Recipe recipe;
  recipe.batch = dice.from(1, 4);
  recipe.seq = dice.from(1, 200);
  recipe.accumulate = dice.from(1, 4);
  recipe.weights = static_cast<DType>(dice.from(0, 2));
  if (dice.coin()) recipe.autocast = dice.coin() ? DType::kBFloat16 : DType::kFloat16;
  recipe.attention = static_cast<Attention>(dice.from(0, 2));
  recipe.checkpointing = static_cast<Checkpointing>(dice.from(0, 2));
  recipe.clip = dice.coin();
  if (dice.coin()) recipe.lora = {dice.from(1, 20), {}, dice.coin() ? 0.1 : 0.0, dice.coin()};
  if (recipe.lora.rank > 0 && dice.coin()) recipe.quantize = dice.coin() ? Quantize::kNf4 : Quantize::kInt8;
  recipe.double_quant = recipe.quantize == Quantize::kNf4 && dice.coin();
  do {
    recipe.optimizer = &optimizers()[static_cast<size_t>(dice.from(0, static_cast<int64_t>(optimizers().size()) - 1))];
    recipe.impl = static_cast<OptimizerImpl>(dice.from(0, 2));
  } while (!update_of(*recipe.optimizer, recipe.impl).available);
  if (recipe.optimizer->takes_others) return recipe;
  recipe.rest = find_optimizer(dice.coin() ? "adamw" : "paged-adamw-8bit");
  recipe.rest_impl = recipe.rest->usual;
  recipe.all_matrices = dice.coin();
  return recipe;
}

/// Any kernels that there are for this model, task and precision.
inline void pick_kernels(Recipe& recipe, const Description& description, Dice& dice) {
  const FamilyKernels& there_are = kernels_of(description.family);
  const bool half = product_dtype(recipe) != DType::kFloat32;
  if (recipe.attention == Attention::kFlash2 && !(there_are.flash2 && half)) recipe.attention = Attention::kSdpa;
  if (description.eager_only) recipe.attention = Attention::kEager;
  const auto kernel = [&](bool there_is) { return there_is && dice.coin() ? Kernel::kFused : Kernel::kHf; };
  Kernels& kernels = recipe.kernels;
  kernels.norm = kernel(there_are.liger);
  kernels.rope = kernel(there_are.liger);
  kernels.mlp = kernel(there_are.activation == description.activation);
  recipe.processor.multiprocessors = dice.from(1, 200);
  if (description.task != Task::kCausalLm) return;
  kernels.loss = static_cast<LossKernel>(dice.from(0, 2));
  if (kernels.loss == LossKernel::kFusedLinear && !(there_are.liger && there_are.fused_linear))
    kernels.loss = LossKernel::kHf;
  if (kernels.loss == LossKernel::kChunked && description.head_bias) kernels.loss = LossKernel::kHf;
  const bool halves =
      size_of(recipe.weights) == 2 && recipe.quantize == Quantize::kNone && !is_wrapped(recipe.sharding);
  if (halves && has_cut_loss(description.family) && !description.head_bias && dice.coin())
    kernels.loss = LossKernel::kCut;
}

/// What a face would have made of the recipe: lengths, dtypes and kernels that this model can have.
inline void suit(Recipe& recipe, const Description& description, Dice& dice) {
  pick_kernels(recipe, description, dice);
  if (!description.checkpoints) recipe.checkpointing = Checkpointing::kNone;
  if (description.norms_positions && recipe.checkpointing == Checkpointing::kFullReentrant)
    recipe.checkpointing = Checkpointing::kFull;
  if (description.has_fixed_length()) recipe.seq = description.positions;
  if (description.tower) {
    recipe.images = description.image_tokens > 0 ? dice.from(1, 3) : 1;
    recipe.seq = recipe.images * description.image_tokens + dice.from(description.image_tokens > 0 ? 0 : 1, 100);
    recipe.quantize = Quantize::kNone;
  }
  if (description.experts > 0 && dice.coin()) {
    recipe.experts = Experts::kLoop;
    recipe.imbalance = {dice.from(10, 40), 10, dice.from(0, description.experts - 1)};
  }
  if (description.returns_weights && recipe.checkpointing == Checkpointing::kFullReentrant)
    recipe.checkpointing = Checkpointing::kFull;
  if (description.task != Task::kSeq2SeqLm) return;
  recipe.target_seq = dice.from(1, 200);
  if (recipe.weights == DType::kFloat16) recipe.weights = DType::kBFloat16;
  if (recipe.checkpointing == Checkpointing::kFullReentrant) recipe.checkpointing = Checkpointing::kFull;
}

/// Freezes what a user might, or nothing where that would leave nothing to train.
inline void freeze_something(Job& job, Dice& dice) {
  const std::vector<std::string> names = parameter_names(job);
  const auto any_name = [&] {
    return names[static_cast<size_t>(dice.from(0, static_cast<int64_t>(names.size()) - 1))];
  };
  const std::string layers = std::to_string(dice.from(0, 4)) + "-" + std::to_string(dice.from(3, 9));
  std::vector<std::string> patterns;
  if (dice.coin()) patterns.push_back("*." + layers + ".*");
  if (dice.coin()) patterns.push_back(any_name());
  if (dice.coin()) patterns.push_back("*" + any_name().substr(any_name().find('.')));
  if (dice.coin()) patterns.push_back(names.front());
  if (dice.from(0, 3) == 0) patterns.push_back("*.weight");
  std::erase_if(patterns, [&](const std::string& pattern) {
    return std::none_of(names.begin(), names.end(), [&](const auto& name) { return matches(pattern, name); });
  });
  if (freeze(job, patterns, "freeze")) job.recipe.freeze = {};
}

/// Trains copies of a module or two beside the adapters.
inline void save_something(Job& job, Dice& dice) {
  const Task task = job.description.task;
  if (task == Task::kMaskedLm || task == Task::kSeq2SeqLm) return;
  if (task != Task::kCausalLm) job.recipe.quantize = Quantize::kNone;
  const std::vector<std::string> names = modules_to_save(job);
  if (names.empty()) return;
  for (const size_t which : {size_t{0}, names.size() - 1})
    if (dice.coin()) job.recipe.lora.saved.push_back(names[which]);
}

/// A random job of any family, task and recipe.
inline Job random_job(uint32_t seed) {
  Dice dice(seed);
  const Value config = random_config(dice);
  const Family* family = find_family(config.find("model_type")->string);
  const Task task = family->tasks[static_cast<size_t>(dice.from(0, static_cast<int64_t>(family->tasks.size()) - 1))];
  std::vector<std::string> unknown;
  const Result<Description> description = read_description(config, &task, unknown);
  EXPECT_TRUE(description) << description.error().field << ": " << description.error().problem;
  Job job = {*description, random_recipe(dice)};
  if (takes_any_size(job.description)) show_images(job.description, dice.from(1, 30));
  suit(job.recipe, job.description, dice);
  if (job.recipe.lora.rank == 0 && dice.coin()) freeze_something(job, dice);
  if (job.recipe.lora.rank > 0 && dice.from(0, 2) == 0) save_something(job, dice);
  job.recipe.names = dice.coin() ? LoopNames::kOutputs : LoopNames::kNothing;
  job.recipe.use_cache = dice.coin() && has_cache(family->usual_task) &&
                         job.recipe.kernels.loss != LossKernel::kChunked &&
                         job.recipe.checkpointing == Checkpointing::kNone;
  if (job.description.task == Task::kCausalLm && job.recipe.kernels.loss == LossKernel::kHf && dice.coin())
    job.recipe.kernels.loss = LossKernel::kPlain;
  return job;
}

/// The same spread over ranks.
inline Job random_sharded_job(uint32_t seed) {
  Job job = random_job(seed);
  Dice dice(seed + 1000);
  Recipe& recipe = job.recipe;
  Sharding& sharding = recipe.sharding;
  sharding.shards = dice.from(2, 9);
  sharding.hybrid = dice.coin();
  sharding.casts_parameters = !recipe.autocast && dice.coin();
  sharding.param_dtype = dice.coin() ? DType::kBFloat16 : DType::kFloat16;
  sharding.casts_gradients = dice.coin();
  sharding.reduce_dtype = dice.coin() ? DType::kBFloat16 : DType::kFloat32;
  sharding.reshard_after_forward = dice.coin();
  if (recipe.quantize == Quantize::kInt8) recipe.quantize = Quantize::kNone;
  if (sharding.casts_parameters) recipe.lora.saved.clear();
  if (!recipe.optimizer->takes_shards) {
    recipe.optimizer = find_optimizer("lion");
    recipe.impl = recipe.optimizer->usual;
    recipe.rest = nullptr;
  }
  return job;
}

/// Whether a parameter gets no gradient, so that DDP must look for such: a bare model's pooler, a contact head, a token
/// for masked patches, what pools them beside a classifier.
inline bool has_unused(const Description& d) {
  const bool pools_beside = d.task == Task::kImageClassification && (d.family == "clip" || d.family == "siglip");
  return d.task == Task::kFeatureExtraction || d.family == "esm" || d.has_mask_token || pools_beside;
}

/// The same on every rank of DistributedDataParallel.
inline Job random_replicated_job(uint32_t seed) {
  Job job = random_job(seed);
  Dice dice(seed + 2000);
  DataParallelism& ddp = job.recipe.ddp;
  ddp.ranks = dice.from(2, 9);
  ddp.bucket_bytes = dice.coin() ? 0 : dice.from(1, 1 << 20);
  ddp.gradient_as_bucket_view = dice.coin();
  ddp.no_sync = job.recipe.accumulate > 1 && dice.coin();
  const bool is_decoder = job.description.task == Task::kCausalLm && job.recipe.seq > 1;
  if (is_decoder && dice.coin()) {
    job.recipe.trainer = find_trainer("hf");
    job.recipe.names = LoopNames::kNothing;  // it lets them go
  }
  ddp.no_sync = ddp.no_sync || reduces_once(job.recipe);
  ddp.finds_unused = trainer_finds_unused(job.recipe) || dice.coin() || has_unused(job.description);
  job.description.tied = true;  // or DDP fails for BERT
  return job;
}

/// A job's program and its levels.
struct Traced {
  Program program;
  Timeline timeline;
};

inline Traced traced(const Job& job) {
  Program program = trace_step(job, number_dims(job));
  Result<Timeline> timeline = evaluate(program, {});
  EXPECT_TRUE(timeline);
  return {std::move(program), *timeline};
}

}  // namespace peakmem::testing
