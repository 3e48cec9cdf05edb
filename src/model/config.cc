// config.json and generation_config.json, with the keys, aliases and defaults of transformers'
// GPT2Config and GenerationConfig. The limits below are far above any GPT-2 and keep every product
// of dimensions inside int64.
#include "model/config.h"

#include <array>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;

constexpr IntegerRange kLayers = {1, 1000};
constexpr IntegerRange kWidth = {1, 1 << 17};
constexpr IntegerRange kContext = {1, 1 << 20};
constexpr IntegerRange kVocab = {1, 10'000'000};
constexpr IntegerRange kInner = {1, 1 << 20};
constexpr IntegerRange kTokenId = {0, std::numeric_limits<std::int32_t>::max()};
constexpr NumberRange kPositive = {0, 1e6, "a number above 0 and up to 1000000"};
constexpr NumberRange kProbability = {0, 1, "a number above 0 and up to 1"};
// From the smallest normal float on: 0 would divide a constant row by zero.
constexpr NumberRange kEpsilon = {1.17e-38, 1, "a number above 0 and up to 1"};

/// A dimension under its own key or the general one that GPT2Config's attribute_map allows.
std::int64_t dimension(const JsonObject& config, const char* key, const char* alias,
                       std::int64_t fallback, IntegerRange range) {
  config.refuse_null(key);
  config.refuse_null(alias);
  const auto own = config.integer(key, range);
  const auto other = config.integer(alias, range);
  if (own && other && *own != *other) {
    config.fail(key, "equal to its alias " + quote(alias), json(*own));
  }
  return own ? *own : other.value_or(fallback);
}

bool flag(const JsonObject& config, const char* key, bool fallback) {
  config.refuse_null(key);
  return config.boolean(key).value_or(fallback);
}

/// Names as in transformers' ACT2FN; those with one formula share a kernel.
Activation activation(const JsonObject& config) {
  static constexpr std::array<std::pair<std::string_view, Activation>, 10> kKnown = {{
      {"gelu_new", Activation::kGeluTanh},
      {"gelu_pytorch_tanh", Activation::kGeluTanh},
      {"gelu_python_tanh", Activation::kGeluTanh},
      {"gelu_fast", Activation::kGeluTanh},
      {"gelu_accurate", Activation::kGeluTanh},
      {"gelu", Activation::kGeluErf},
      {"gelu_python", Activation::kGeluErf},
      {"relu", Activation::kRelu},
      {"silu", Activation::kSilu},
      {"swish", Activation::kSilu},
  }};
  config.refuse_null("activation_function");
  const std::string name = config.text("activation_function").value_or("gelu_new");
  for (const auto& [known, kind] : kKnown) {
    if (name == known) return kind;
  }
  config.fail("activation_function",
              "one of gelu_new, gelu_fast, gelu, relu, silu and their synonyms", json(name));
}

bool names_gpt2(const json& architectures) {
  if (!architectures.is_array()) return false;
  for (const json& name : architectures) {
    if (name == "GPT2LMHeadModel") return true;
  }
  return false;
}

void require_gpt2(const JsonObject& config) {
  if (const auto type = config.text("model_type")) {
    if (*type != "gpt2") config.fail("model_type", "\"gpt2\", the only supported one", json(*type));
    return;
  }
  const json* architectures = config.find("architectures");
  if (architectures == nullptr || !names_gpt2(*architectures)) {
    config.fail("model_type", "\"gpt2\", the only supported one", json(nullptr));
  }
}

/// What would change the network and is not built.
void refuse_unsupported(const JsonObject& config) {
  if (flag(config, "add_cross_attention", false)) {
    config.fail("add_cross_attention", "false, for cross-attention is not supported", json(true));
  }
  if (const json* quantization = config.find("quantization_config")) {
    config.fail("quantization_config", "left out, for quantised checkpoints are not supported",
                *quantization);
  }
  if (const json* pruned = config.find("pruned_heads"); pruned != nullptr && !pruned->empty()) {
    config.fail("pruned_heads", "empty, for pruned heads are not supported", *pruned);
  }
}

std::optional<std::int32_t> token_id(const JsonObject& config, const char* key) {
  const auto id = config.integer(key, kTokenId);
  if (!id) return std::nullopt;
  return static_cast<std::int32_t>(*id);
}

std::vector<std::int32_t> token_ids(const JsonObject& config, const char* key) {
  std::vector<std::int32_t> ids;
  for (const std::int64_t id : config.integers(key, kTokenId)) {
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

void read_special_tokens(const JsonObject& object, bool has_bos, bool has_eos,
                         ModelConfig& config) {
  constexpr std::int32_t kEndOfText = 50256;  // GPT2Config's default for both
  config.bos = has_bos ? token_id(object, "bos_token_id") : kEndOfText;
  config.eos = has_eos ? token_ids(object, "eos_token_id") : std::vector{kEndOfText};
  config.pad = token_id(object, "pad_token_id");
  // Models with a vocabulary of their own often keep 50256 in their config by accident. An id
  // beyond the vocabulary cannot occur, so it means "none".
  const auto beyond = [&](std::int32_t id) { return id >= config.vocab; };
  if (config.bos && beyond(*config.bos)) config.bos.reset();
  if (config.pad && beyond(*config.pad)) config.pad.reset();
  std::erase_if(config.eos, beyond);
}

}  // namespace

ModelConfig read_model_config(const ModelFiles& files) {
  const File file = files.require("config.json");
  const std::string where = printable(file.path);
  const json root = parse_json(file.text(), where);
  const JsonObject object(root, where);
  require_gpt2(object);
  refuse_unsupported(object);

  ModelConfig config;
  config.layers = dimension(object, "n_layer", "num_hidden_layers", 12, kLayers);
  config.width = dimension(object, "n_embd", "hidden_size", 768, kWidth);
  config.heads = dimension(object, "n_head", "num_attention_heads", 12, kWidth);
  config.context = dimension(object, "n_positions", "max_position_embeddings", 1024, kContext);
  config.vocab = dimension(object, "vocab_size", "vocab_size", 50257, kVocab);
  config.ffn_width = object.integer("n_inner", kInner).value_or(4 * config.width);
  if (config.width % config.heads != 0) {
    object.fail("n_embd", "a multiple of \"n_head\" (" + std::to_string(config.heads) + ")",
                json(config.width));
  }
  object.refuse_null("layer_norm_epsilon");
  config.epsilon = static_cast<float>(object.number("layer_norm_epsilon", kEpsilon).value_or(1e-5));
  config.activation = activation(object);
  config.scale_attention = flag(object, "scale_attn_weights", true);
  config.scale_attention_by_inverse_layer = flag(object, "scale_attn_by_inverse_layer_idx", false);
  config.tied_head = flag(object, "tie_word_embeddings", true);
  read_special_tokens(object, root.contains("bos_token_id"), root.contains("eos_token_id"), config);
  return config;
}

GenerationConfig read_generation_config(const ModelFiles& files) {
  const std::optional<File> file = files.find("generation_config.json");
  if (!file) return {};
  const std::string where = printable(file->path);
  const json root = parse_json(file->text(), where);
  const JsonObject object(root, where);

  constexpr IntegerRange kCount = {1, std::numeric_limits<std::int32_t>::max()};
  constexpr IntegerRange kCountOrOff = {0, std::numeric_limits<std::int32_t>::max()};
  GenerationConfig config;
  config.do_sample = object.boolean("do_sample");
  config.temperature = object.number("temperature", kPositive);
  config.top_k = object.integer("top_k", kCountOrOff);
  config.top_p = object.number("top_p", kProbability);
  config.repetition_penalty = object.number("repetition_penalty", kPositive);
  config.max_new_tokens = object.integer("max_new_tokens", kCount);
  config.bos = token_id(object, "bos_token_id");
  config.eos = token_ids(object, "eos_token_id");
  config.pad = token_id(object, "pad_token_id");
  return config;
}

}  // namespace aira
