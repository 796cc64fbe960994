#include "family/kin.h"

#include <algorithm>
#include <array>
#include <vector>

#include "family/family.h"
#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

/// One that is not modelled. No kin: nothing here is built like it.
struct Kin {
  std::string_view name;
  std::string_view kin;
  std::string_view differs;
};
constexpr std::array kKin = std::to_array<Kin>({
    // Decoders with learned positions, or none.
    {"openai-gpt", "gpt2", "its norms come after the residual sums"},
    {"xglm", "gpt2", "its positions are sinusoids and its projections separate"},
    {"biogpt", "gpt2", "its projections are separate and its embeddings scaled"},
    // Rotary decoders.
    {"persimmon", "gpt_neox", "it norms queries and keys, and its activation is the square of ReLU"},
    {"gpt_neox_japanese", "gpt_neox", "only its last layer has biases, outside of the projections"},
    {"ministral", "mistral", "layers with and without a window alternate"},
    {"ministral3", "mistral", "its queries are scaled by position"},
    {"internlm2", "llama", "its code is not part of transformers, and queries, keys and values are one projection"},
    {"internlm3", "llama", "it has biases where LLaMA has none"},
    {"baichuan", "llama", "its code is not part of transformers, and queries, keys and values are one projection"},
    {"chatglm", "llama", "its code is not part of transformers"},
    {"helium", "llama", "positions are turned in pairs of neighbours"},
    {"diffllama", "llama", "its attention is a difference of two"},
    {"apertus", "llama", "its MLP is not gated, its activation is xIELU, and it norms queries and keys"},
    {"vaultgemma", "gemma2", "it has two norms a layer"},
    {"gemma3n", "gemma3_text", "it has embeddings for every layer and several streams of hidden states"},
    {"gemma3n_text", "gemma3_text", "it has embeddings for every layer and several streams of hidden states"},
    {"gemma4_text", "gemma3_text", "its full and windowed layers differ in their heads"},
    {"recurrent_gemma", "gemma", "most of its layers are recurrent"},
    {"qwen", "qwen2", "its code is not part of transformers, and queries, keys and values are one projection"},
    {"qwen3_next", "qwen3_moe", "three of four layers attend linearly"},
    {"qwen3_5_text", "qwen3", "three of four layers attend linearly"},
    {"granitemoehybrid", "granite", "most of its layers are Mamba's"},
    // Mixtures.
    {"phimoe", "mixtral", "its routing and norms differ"},
    {"kimi_k2", "deepseek_v3", "it is DeepSeek-V3 but for its name: pass a config with model_type deepseek_v3"},
    {"glm4_moe", "qwen3_moe", "a shared expert sees every token, and the first layers are dense"},
    {"ernie4_5_moe", "qwen2_moe", "positions are turned in pairs of neighbours, and the first layers are dense"},
    {"dbrx", "mixtral", "queries, keys and values are one clipped projection"},
    {"jamba", "mixtral", "most of its layers are Mamba's"},
    {"switch_transformers", "t5", "its MLPs are mixtures of experts"},
    // Encoders.
    {"camembert", "roberta", "it is RoBERTa but for its name: pass a config with model_type roberta"},
    {"megatron-bert", "bert", "its norms come before attention and MLP"},
    {"data2vec-text", "roberta", "it is built as RoBERTa, and was not measured"},
    {"xlm-roberta-xl", "xlm-roberta", "its norms come before attention and MLP"},
    {"roberta-prelayernorm", "roberta", "its norms come before attention and MLP"},
    {"xmod", "xlm-roberta", "each layer has an adapter for every language"},
    {"deberta", "deberta-v2", "its attention adds scores of relative positions"},
    {"ernie", "bert", "it has embeddings of tasks besides"},
    {"layoutlm", "bert", "it has embeddings of places on a page besides"},
    {"nomic_bert", "bert", "its positions are turned and its MLP is gated"},
    {"ibert", "bert", "it computes in integers"},
    {"mobilebert", "bert", "each layer is narrowed and widened again"},
    {"squeezebert", "bert", "its projections are grouped convolutions"},
    {"longformer", "roberta", "its attention is a window and a few global tokens"},
    {"big_bird", "bert", "its attention is sparse, in blocks"},
    {"xlnet", "", "its attention is of two streams with relative positions"},
    {"xlm", "", "it was not measured"},
    {"flaubert", "", "it was not measured"},
    // Encoder-decoders.
    {"longt5", "t5", "its encoder attends locally"},
    {"m2m_100", "mbart", "its positions are sinusoids"},
    {"nllb_moe", "mbart", "some of its MLPs are mixtures of experts"},
    {"blenderbot-small", "bart", "a norm comes before its positions are added"},
    {"led", "bart", "its encoder attends within a window"},
    {"speech_to_text", "whisper", "its positions are sinusoids, and its convolutions are gated"},
    {"moonshine", "whisper", "it hears the wave itself, and its positions are turned"},
    {"wav2vec2", "", "it hears the wave itself, by convolutions"},
    {"hubert", "", "it hears the wave itself, by convolutions"},
    // Images.
    {"beit", "vit", "its attention has relative positions, and its layers scales"},
    {"dinov2_with_registers", "dinov2", "it has tokens of registers besides"},
    {"vit_mae", "vit", "most of its patches are masked, and a decoder makes them again"},
    {"vit_msn", "vit", "its head and its use differ"},
    {"vilt", "vit", "it reads text beside the image"},
    {"git", "", "an image encoder and a decoder of text"},
    {"swin", "", "it attends within windows of patches that it merges from stage to stage"},
    {"swinv2", "", "it attends within windows of patches that it merges from stage to stage"},
    {"convnextv2", "convnext", "its MLPs normalise their responses"},
    {"bit", "", "it is made of convolutions"},
    {"resnet", "", "it is made of convolutions"},
    {"chinese_clip", "clip", "its text model is BERT"},
    {"clipseg", "clip", "a decoder makes masks of what it sees"},
    {"siglip2", "siglip", "its images are rows of patches, of any size"},
    {"vits", "", "it makes sound of text"},
    {"pixtral", "", "it encodes images for another model"},
    // Recurrent.
    {"mamba", "", "it has no attention: its layers scan a state"},
    {"mamba2", "", "it has no attention: its layers scan a state"},
    {"falcon_mamba", "", "it has no attention: its layers scan a state"},
    {"rwkv", "", "it has no attention: its layers scan a state"},
    {"mistral3", "llava", "its images are of any size, and merged by fours"},
    {"idefics3", "llava", "its patches are shuffled into fewer tokens"},
    {"llava_next", "llava", "it cuts an image into tiles"},
    {"vipllava", "llava", "it joins the outputs of several layers"},
    {"paligemma2", "paligemma", "its text model has windows"},
    // Models of text and images whose configs do not say what their text model is.
    {"mllama", "llama", "some layers attend to the image"},
    {"mllama_text_model", "llama", "some layers attend to the image"},
    {"qwen2_vl", "qwen2", "its positions are of text and image, and it encodes images besides"},
    {"qwen2_vl_text", "qwen2", "its positions are of text and image"},
    {"qwen2_5_vl", "qwen2", "its positions are of text and image, and it encodes images besides"},
    {"qwen2_5_vl_text", "qwen2", "its positions are of text and image"},
    {"qwen3_vl_text", "qwen3", "its positions are of text and image, and early layers add features of the image"},
    {"qwen3_vl_moe", "qwen3_vl", "its MLPs are mixtures of experts"},
    {"molmo2", "", "it encodes images, and its text model is not modelled"},
    {"phi4_multimodal", "phi3", "it encodes images and sound, and has adapters for each"},
});

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string digits_of(std::string_view name) {
  std::string digits;
  std::copy_if(name.begin(), name.end(), std::back_inserter(digits), is_digit);
  return digits;
}

/// A slip of the hand, which leaves numbers as they are: qwen_3 is qwen3, and llama5 no llama.
bool is_slip_of(std::string_view name, std::string_view known) {
  constexpr size_t kLong = 8;
  if (name.size() < 3 || name.size() > 40 || digits_of(name) != digits_of(known)) return false;
  return edit_distance(name, known) <= (name.size() >= kLong ? 2U : 1U);
}

std::string sentence_of(const Kin& row) {
  if (row.kin.empty()) return "it has no kin here: " + std::string(row.differs);
  return "the nearest kin is " + std::string(row.kin) + ", which is no stand-in: " + std::string(row.differs);
}

}  // namespace

std::string hint_for_unknown(std::string_view model_type) {
  for (const Kin& row : kKin)
    if (row.name == model_type) return sentence_of(row);
  std::vector<std::string_view> known;
  for (const Family* family : families()) {
    if (is_slip_of(model_type, family->name)) return "did you mean " + in_quotes(family->name) + "?";
    known.push_back(family->name);
  }
  return "known: " + list_of(known);
}

}  // namespace peakmem
