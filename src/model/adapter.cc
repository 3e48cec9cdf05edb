// W becomes W + alpha / r * B A, or / sqrt(r) with rsLoRA; A is [r, in], B [out, r]. GPT-2's Conv1D
// and the embeddings are stored [in, out], so that the product is added transposed.
#include "model/adapter.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "model/model.h"

namespace aira {
namespace {

using nlohmann::json;

constexpr NumberRange kAlpha = {-1e9, 1e9, to_translate("a number")};

/// What is more than plain LoRA; unset, false or empty otherwise.
constexpr const char* kMoreThanLora[] = {
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "velora_config",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
};
/// Ways to begin that leave the base model as it is.
constexpr std::string_view kBeginnings[] = {"gaussian", "eva", "orthogonal"};

bool is_set(const json& value) {
  return value.is_boolean() ? value.get<bool>() : value.is_structured() ? !value.empty() : true;
}

void refuse_other_kinds(const JsonObject& config) {
  const std::string type = config.text("peft_type").value_or("");
  if (type != "LORA") {
    config.fail("peft_type", message("\"LORA\", the only supported kind"), json(type));
  }
  for (const char* key : kMoreThanLora) {
    const json* value = config.find(key);
    if (value != nullptr && is_set(*value)) {
      config.fail(key, message("left out, for only plain LoRA is supported"), *value);
    }
  }
  const json* begins = config.find("init_lora_weights");
  const auto same = [&](std::string_view known) { return *begins == known; };
  if (begins != nullptr && !begins->is_boolean() &&
      std::none_of(std::begin(kBeginnings), std::end(kBeginnings), same)) {
    config.fail("init_lora_weights",
                message("true, for others change the base model (save it converted, with "
                        "path_initial_model_for_weight_conversion)"),
                *begins);
  }
}

/// The alpha of module `name` ("transformer.h.0.attn.c_attn"): that of the pattern which PEFT
/// matches against the end of its name, else the general one. Patterns are regular expressions,
/// but people write names.
double alpha_of(const JsonObject& config, const std::string& name) {
  const double general = config.number("lora_alpha", kAlpha).value_or(8);
  const json* patterns = config.find("alpha_pattern");
  if (patterns == nullptr) return general;
  const JsonObject object(*patterns, "\"alpha_pattern\"");
  std::optional<double> found;
  for (const auto& [pattern, value] : patterns->items()) {
    const bool whole = pattern.starts_with('^');
    const std::string text = pattern.substr(whole ? 1 : 0);
    const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char letter) {
      return std::isalnum(letter) != 0 || letter == '_' || letter == '.';
    });
    if (!plain) {
      config.fail("alpha_pattern", message("names of modules, not other patterns"), json(pattern));
    }
    const bool fits = name == text || (!whole && name.ends_with("." + text));
    if (!fits) continue;
    const auto alpha = object.number(pattern, kAlpha);
    if (found && found != alpha) {
      config.fail("alpha_pattern", message("without two values for {}", {quote(name)}), *patterns);
    }
    found = alpha;
  }
  return found.value_or(general);
}

/// [cols, rows] of a [rows, cols] matrix.
std::vector<float> transposed(const float* matrix, std::int64_t rows, std::int64_t cols) {
  std::vector<float> result(static_cast<std::size_t>(rows * cols));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < cols; ++c) {
      result[static_cast<std::size_t>(c * rows + r)] = matrix[r * cols + c];
    }
  }
  return result;
}

/// The JSON object in adapter_config.json.
json read_adapter_config(const ModelFiles& adapter, std::string& where) {
  const File file = adapter.require(kAdapterConfig);
  where = printable(file.path);
  return parse_python_json(file.text(), where);
}

}  // namespace

AdapterBase base_of(const ModelFiles& adapter) {
  std::string where;
  const json root = read_adapter_config(adapter, where);
  const JsonObject config(root, where);
  return {config.text("base_model_name_or_path").value_or(""),
          config.text("revision").value_or("")};
}

std::optional<Adapter> Adapter::open(const ModelFiles& files) {
  if (files.adapter() == nullptr) return std::nullopt;
  std::string where;
  const json root = read_adapter_config(*files.adapter(), where);
  const JsonObject config(root, where);
  refuse_other_kinds(config);
  const bool rank_stabilised = config.boolean("use_rslora").value_or(false);
  const Checkpoint checkpoint = Checkpoint::open_adapter(*files.adapter());
  Adapter adapter;
  adapter.place_ = checkpoint.place();
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    const auto at = name.find(".lora_");
    const std::string_view part = std::string_view(name).substr(std::min(at, name.size()));
    const bool is_a = part == ".lora_A.weight" || part == ".lora_embedding_A";
    if (!is_a && part != ".lora_B.weight" && part != ".lora_embedding_B") {
      adapter.whole_.emplace(name, tensor).first->second.name = name;
      continue;
    }
    if (tensor.shape.size() != 2 || tensor.size() == 0) {
      throw Error("[E414] {}: tensor {} is no matrix.", {printable(adapter.place_), quote(name)});
    }
    const std::string module = name.substr(0, at);
    Factors& factors = adapter.factors_[module + ".weight"];
    (is_a ? factors.a : factors.b) = as_f32(tensor);
    if (!is_a) continue;
    const auto rank = static_cast<double>(tensor.shape[0]);
    const std::string full = module == "lm_head" ? module : "transformer." + module;
    factors.scale = alpha_of(config, full) / (rank_stabilised ? std::sqrt(rank) : rank);
  }
  return adapter;
}

HostTensor Adapter::apply(const HostTensor& original) const {
  HostTensor base = original;
  // With LoRA on the embeddings or the head, PEFT saves what it changes as well.
  if (const auto whole = whole_.find(base.name); whole != whole_.end()) {
    if (whole->second.shape != base.shape) {
      throw Error("[E415] {}: tensor {} has shape {}, but the base model's has {}.",
                  {printable(place_), quote(base.name), shape_text(whole->second.shape),
                   shape_text(base.shape)});
    }
    base = whole->second;
  }
  const auto found = factors_.find(base.name);
  if (found == factors_.end()) return base;
  const auto& [a, b, scale] = found->second;
  const std::int64_t rows = base.shape[0];
  const std::int64_t cols = base.shape.back();
  const bool is_linear = base.name == kHeadName;  // the only nn.Linear, stored [out, in]
  const std::int64_t rank = a ? a->shape[0] : 0;
  const std::vector<std::int64_t> a_shape = {rank, is_linear ? cols : rows};
  const std::vector<std::int64_t> b_shape = {is_linear ? rows : cols, rank};
  if (base.shape.size() != 2 || !a || !b || a->shape != a_shape || b->shape != b_shape) {
    throw Error(
        "[E416] {} does not fit the base model: its lora_A and lora_B for {} must be [r, {}] and "
        "[{}, r].",
        {printable(place_), quote(base.name), std::to_string(a_shape[1]),
         std::to_string(b_shape[0])});
  }
  HostTensor merged = as_f32(base);
  auto* sums = const_cast<float*>(numbers(merged));  // the copy is nobody else's yet
  const std::vector<float> turned =
      is_linear ? std::vector<float>() : transposed(numbers(*b), cols, rank);
  const float* right = is_linear ? numbers(*a) : turned.data();  // [rank, cols]
  std::vector<float> row(static_cast<std::size_t>(cols));
  for (std::int64_t i = 0; i < rows; ++i) {
    std::fill(row.begin(), row.end(), 0.0F);
    for (std::int64_t k = 0; k < rank; ++k) {
      const float left = is_linear ? numbers(*b)[i * rank + k] : numbers(*a)[k * rows + i];
      for (std::int64_t c = 0; c < cols; ++c) {
        row[static_cast<std::size_t>(c)] += left * right[k * cols + c];
      }
    }
    for (std::int64_t c = 0; c < cols; ++c) {
      sums[i * cols + c] += static_cast<float>(scale) * row[static_cast<std::size_t>(c)];
    }
  }
  return merged;
}

void Adapter::refuse_unknown(const std::set<std::string>& known) const {
  const auto check = [&](const auto& list) {
    for (const auto& [name, part] : list) {
      if (known.count(name) == 0) {
        throw Error("[E417] {}: {} changes nothing of the base model.",
                    {printable(place_), quote(name)});
      }
    }
  };
  check(whole_);
  check(factors_);
}

}  // namespace aira
