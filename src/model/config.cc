// config.json, with the keys, aliases and defaults of transformers' GPT2Config. The limits below
// are far above any GPT-2 and keep every product of dimensions inside int64.
#include "model/config.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;

constexpr IntegerRange kWidth = {1, 1 << 17};
// Negative: none.
constexpr IntegerRange kTokenId = {std::numeric_limits<std::int32_t>::min(),
                                   std::numeric_limits<std::int32_t>::max()};
// From the smallest normal float on: 0 would divide a constant row by zero.
constexpr NumberRange kEpsilon = {1.17e-38, 1, to_translate("a number above 0 and up to 1")};

/// A dimension under its own key or the general one that GPT2Config's attribute_map allows.
std::int64_t dimension(const JsonObject& config, const char* key, const char* alias,
                       std::int64_t fallback, IntegerRange range) {
  config.refuse_null(key);
  config.refuse_null(alias);
  const auto own = config.integer(key, range);
  const auto other = config.integer(alias, range);
  if (own && other && *own != *other) {
    config.fail(key, message("equal to its alias {}", {quote(alias)}), json(*own));
  }
  return own ? *own : other.value_or(fallback);
}

bool flag(const JsonObject& config, const char* key, bool fallback) {
  config.refuse_null(key);
  return config.boolean(key).value_or(fallback);
}

/// Names as in transformers' ACT2FN; those with one formula share a kernel. Its prelu and xielu are
/// missing because they learn parameters.
Activation activation(const JsonObject& config) {
  using enum Activation;
  // clang-format off
  static constexpr std::pair<std::string_view, Activation> kKnown[] = {
      {"gelu_new", kGeluTanh}, {"gelu_pytorch_tanh", kGeluTanh}, {"gelu_python_tanh", kGeluTanh},
      {"gelu_fast", kGeluTanh}, {"gelu_accurate", kGeluTanh},
      {"gelu", kGeluErf}, {"gelu_python", kGeluErf}, {"gelu_10", kGelu10},
      {"quick_gelu", kQuickGelu},
      {"relu", kRelu}, {"relu2", kRelu2}, {"relu6", kRelu6}, {"leaky_relu", kLeakyRelu},
      {"silu", kSilu}, {"swish", kSilu}, {"hardswish", kHardSwish}, {"mish", kMish},
      {"sigmoid", kSigmoid}, {"tanh", kTanh}, {"laplace", kLaplace},
      {"sqrtsoftplus", kSqrtSoftplus}, {"linear", kNone},
  };
  // clang-format on
  config.refuse_null("activation_function");
  const std::string name = config.text("activation_function").value_or("gelu_new");
  std::string all;
  for (const auto& [known, kind] : kKnown) {
    if (name == known) return kind;
    all += (all.empty() ? "" : ", ") + std::string(known);
  }
  config.fail("activation_function", message("one of {}", {all}), json(name));
}

void require_gpt2(const JsonObject& config) {
  const std::optional<std::string> type = config.text("model_type");
  if (type == "gpt2") return;
  const json* named = config.find("architectures");
  if (!type && named != nullptr && named->is_array() &&
      std::count(named->begin(), named->end(), json("GPT2LMHeadModel")) > 0) {
    return;
  }
  config.fail("model_type", message("\"gpt2\", for this program runs GPT-2 models only"),
              type ? json(*type) : json());
}

/// What would change the network and is not built.
void refuse_unsupported(const JsonObject& config) {
  if (flag(config, "add_cross_attention", false)) {
    config.fail("add_cross_attention", message("false, for cross-attention is not supported"),
                json(true));
  }
  if (const json* quantization = config.find("quantization_config")) {
    config.fail("quantization_config",
                message("left out, for quantised checkpoints are not supported"), *quantization);
  }
  if (const json* pruned = config.find("pruned_heads"); pruned != nullptr && !pruned->empty()) {
    config.fail("pruned_heads", message("empty, for pruned heads are not supported"), *pruned);
  }
  if (const json* weights = config.find("transformers_weights")) {
    config.fail("transformers_weights",
                message("left out; the weights are looked for under their usual names"), *weights);
  }
}

/// eos_token_id, one or a list. The other special tokens are checked, but nothing uses them.
std::vector<std::int32_t> end_ids(const JsonObject& config) {
  config.integer("bos_token_id", kTokenId);
  config.integer("pad_token_id", kTokenId);
  const std::vector<std::int64_t> ids = config.integers("eos_token_id", kTokenId);
  return {ids.begin(), ids.end()};
}

}  // namespace

ModelConfig read_model_config(const ModelFiles& files) {
  const File file = files.require("config.json");
  const std::string where = printable(file.path);
  ModelConfig config;
  config.file = std::make_shared<const json>(parse_python_json(file.text(), where));
  const JsonObject object(*config.file, where);
  require_gpt2(object);
  refuse_unsupported(object);

  config.layers = dimension(object, "n_layer", "num_hidden_layers", 12, {1, 1000});
  config.width = dimension(object, "n_embd", "hidden_size", 768, kWidth);
  config.heads = dimension(object, "n_head", "num_attention_heads", 12, kWidth);
  config.context = dimension(object, "n_positions", "max_position_embeddings", 1024, {1, 1 << 20});
  config.vocab = dimension(object, "vocab_size", "vocab_size", 50257, {1, 10'000'000});
  config.ffn_width = object.integer("n_inner", {1, 1 << 20}).value_or(4 * config.width);
  if (config.width % config.heads != 0) {
    object.fail("n_embd", message("a multiple of \"n_head\" ({})", {std::to_string(config.heads)}),
                json(config.width));
  }
  object.refuse_null("layer_norm_epsilon");
  config.epsilon = static_cast<float>(object.number("layer_norm_epsilon", kEpsilon).value_or(1e-5));
  config.activation = activation(object);
  config.scale_attention = flag(object, "scale_attn_weights", true);
  config.scale_attention_by_inverse_layer = flag(object, "scale_attn_by_inverse_layer_idx", false);
  config.tied_head = flag(object, "tie_word_embeddings", true);
  config.eos = end_ids(object);
  // Models with a vocabulary of their own often keep 50256 in their config by accident.
  std::erase_if(config.eos, [&](std::int32_t id) { return id >= config.vocab; });
  return config;
}

}  // namespace aira
