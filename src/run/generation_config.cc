// A key that is the name of a request option sets that option; the other keys of transformers'
// GenerationConfig are in the table below. Keys and defaults are those of version 5.23.
#include "run/generation_config.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;

/// A key that is no request option. One whose value is not `off` changes results in transformers
/// and not here; a null pointer: no value changes them.
struct OtherKey {
  std::string_view name;
  const char* off;
};

constexpr auto kOtherKeys = std::to_array<OtherKey>({
    {"constraints", "null"},
    {"diversity_penalty", "0"},
    {"dola_layers", "null"},
    {"encoder_no_repeat_ngram_size", "0"},  // transformers takes the prompt for the encoder's ids
    {"encoder_repetition_penalty", "1"},
    {"force_words_ids", "null"},
    {"guidance_scale", "1"},
    {"low_memory", "false"},
    {"max_time", "null"},
    {"num_beam_groups", "1"},
    {"penalty_alpha", "0"},
    {"token_healing", "false"},
    {"top_h", "null"},
    {"watermarking_config", "null"},
    // Only where tokens come from, how fast, and what else is returned.
    {"assistant_confidence_threshold", nullptr},
    {"assistant_early_exit", nullptr},
    {"assistant_ensemble_weight", nullptr},
    {"assistant_lookbehind", nullptr},
    {"bos_token_id", nullptr},
    {"cache_config", nullptr},
    {"cache_implementation", nullptr},
    {"compile_config", nullptr},
    {"continuous_batching_config", nullptr},
    {"decoder_start_token_id", nullptr},
    {"disable_compile", nullptr},
    {"is_assistant", nullptr},
    {"max_cache_len", nullptr},
    {"max_matching_ngram_size", nullptr},
    {"num_assistant_tokens", nullptr},
    {"num_assistant_tokens_schedule", nullptr},
    {"output_attentions", nullptr},
    {"output_hidden_states", nullptr},
    {"output_logits", nullptr},
    {"output_scores", nullptr},
    {"pad_token_id", nullptr},
    {"prefill_chunk_size", nullptr},
    {"prompt_lookup_num_tokens", nullptr},
    {"remove_invalid_values", nullptr},
    {"return_dict_in_generate", nullptr},
    {"speculation_type", nullptr},
    {"target_lookbehind", nullptr},
    {"transformers_version", nullptr},
    {"use_cache", nullptr},
    {"use_mtp", nullptr},
});

/// Request options of this program alone, which transformers would not know.
constexpr std::array<std::string_view, 10> kOwnOptions = {"seed",
                                                          "best_of",
                                                          "greedy",
                                                          "stop",
                                                          "stop_on_loop",
                                                          "bad_words",
                                                          "logit_bias",
                                                          "logprobs",
                                                          "presence_penalty",
                                                          "frequency_penalty"};

/// Options that do not say how tokens are chosen.
constexpr std::array<std::string_view, 7> kLimits = {
    "max_new_tokens",       "max_length", "min_new_tokens", "min_length", "eos_token_id",
    "num_return_sequences", "stop"};

template <typename Names>
bool is_in(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Sorts the keys of one file.
class Reader {
 public:
  /// `legacy`: the file is config.json, most of whose keys are not for here.
  Reader(const JsonObject& object, bool legacy) : object_(object), legacy_(legacy) {}

  void read(const std::string& key, const json& value) {
    if (value.is_null() || key.starts_with('_')) return;
    const RequestOption* row = is_in(kOwnOptions, key) ? nullptr : find_request_option(key);
    if (row != nullptr) {
      if (legacy_ && key == "eos_token_id") return;  // ModelConfig::eos
      if (!said.try_field(*row, value)) wrong_.push_back({key, row, &value});
      chooses |= !is_in(kLimits, row->name);
      beams |= row->group == std::string_view(kBeamGroup);
      return;
    }
    const auto* const other = std::find_if(kOtherKeys.begin(), kOtherKeys.end(),
                                           [&](const OtherKey& one) { return one.name == key; });
    if (other == kOtherKeys.end() ? legacy_ : other->off == nullptr) return;
    if (other == kOtherKeys.end() || value != json::parse(other->off)) {
      ignored += (ignored.empty() ? "" : ", ") + quote(key);
    }
  }
  /// Refuses what is wrong, unless it plays no part because nothing is drawn.
  void refuse_wrong(bool draws) const {
    for (const auto& [key, row, value] : wrong_) {
      if (draws || !shapes_a_draw(*row)) {
        object_.fail(key, message(row->range.words), *value);
      }
    }
  }

  RequestChanges said;
  bool chooses = false;  // something says how tokens are chosen
  bool beams = false;    // something is about beam search
  std::string ignored;   // keys that are not honoured

 private:
  const JsonObject& object_;
  bool legacy_;
  struct Wrong {
    std::string key;
    const RequestOption* row;
    const json* value;
  };
  std::vector<Wrong> wrong_;
};

}  // namespace

GenerationConfig read_generation_config(const ModelFiles& files, const ModelConfig& config,
                                        bool is_aira) {
  GenerationConfig result;
  const std::optional<File> own = files.find("generation_config.json");
  result.file = own ? "generation_config.json" : "config.json";
  const std::string where = printable(own ? own->path : files.place() + "/config.json");
  const json root = own           ? parse_python_json(own->text(), where)
                    : config.file ? *config.file
                                  : json::object();
  const JsonObject object(root, where);
  Reader reader(object, !own);
  for (const auto& [key, value] : root.items()) reader.read(key, value);
  result.said = reader.said;
  GenerateOptions defaults;  // the card's
  if (!is_aira || reader.chooses) {
    defaults.sampling = {
        .temperature = 1, .top_k = 50, .top_p = 1, .repetition_penalty = 1, .greedy = true};
  }
  if (!is_aira || reader.beams) {
    defaults.length_penalty = 1;
    defaults.early_stopping = EarlyStopping::kFalse;
  }
  GenerateOptions& options = result.options;
  options = result.said.laid_over(std::move(defaults));
  reader.refuse_wrong(!options.sampling.greedy && options.num_beams == 1);
  try {
    options.validate();
  } catch (const UsageError& error) {
    throw Error(error.tag() + message("{}: {}", {where, error.with_fields()}));
  }
  if (!reader.ignored.empty()) {
    result.notes.push_back(
        message("In {}, this is not supported and has no effect: {}.", {where, reader.ignored}));
  }
  if (options.num_beams > 1 && !options.sampling.greedy) {
    result.notes.push_back(
        message("In {}, \"do_sample\" has no effect beside \"num_beams\": beams are searched for "
                "the best, not sampled.",
                {where}));
  }
  return result;
}

}  // namespace aira
