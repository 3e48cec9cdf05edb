// What the model is and where it came from, without loading its weights.
#include <array>
#include <cstdio>
#include <filesystem>
#include <set>

#include "app/commands.h"
#include "app/engine.h"
#include "app/output.h"
#include "model/checkpoint.h"
#include "run/prompts.h"

namespace aira {
namespace {

using nlohmann::ordered_json;

/// The number of parameters of a model of this shape.
std::int64_t parameters(const ModelConfig& config) {
  const std::int64_t c = config.width;
  const std::int64_t layer = (3 * c * c + 3 * c) + (c * c + c) + 4 * c +
                             (c * config.inner + config.inner) + (config.inner * c + c);
  const std::int64_t head = config.tied_head ? 0 : config.vocab * c;
  return config.vocab * c + config.context * c + config.layers * layer + 2 * c + head;
}

/// How the matrices lie on disk: "f32", "bf16, f32", ...
std::string stored_types(const ModelFiles& files) {
  std::set<std::string> types;
  const Checkpoint checkpoint = Checkpoint::open(files);
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (tensor.shape.size() > 1) types.insert(name_of(tensor.dtype));
  }
  std::string joined;
  for (const std::string& type : types) joined += (joined.empty() ? "" : ", ") + type;
  return joined;
}

ordered_json special_tokens(const Tokenizer& tokenizer) {
  ordered_json result = ordered_json::object();
  const Tokenizer::Roles& roles = tokenizer.roles();
  const std::array<std::pair<const char*, std::optional<std::int32_t>>, 5> all = {
      {{"bos", roles.bos},
       {"sep", roles.sep},
       {"eos", roles.eos},
       {"pad", roles.pad},
       {"unk", roles.unk}}};
  for (const auto& [role, id] : all) {
    if (id) result[role] = {{"id", *id}, {"text", std::string(tokenizer.bytes(*id))}};
  }
  return result;
}

/// Where they are kept, and how many bytes there are; nothing when they are not.
void add_packed_weights(const WeightCache& weights, ordered_json& info) {
  if (weights.path().empty()) return;
  std::error_code missing;
  const auto bytes = std::filesystem::file_size(weights.path(), missing);
  info["packed_weights"] = weights.path();
  info["packed_bytes"] = missing ? 0 : bytes;
}

ordered_json describe(const Options& options) {
  const FoundModel found = find_model(options);
  const ModelConfig config = read_model_config(found.files);
  const GenerateOptions defaults = default_options(read_generation_config(found.files));
  const std::unique_ptr<Backend> backend = make_backend(options);
  ordered_json info = {{"name", found.name},
                       {"found", found.found},
                       {"place", found.files.place()},
                       {"parameters", parameters(config)},
                       {"layers", config.layers},
                       {"width", config.width},
                       {"heads", config.heads},
                       {"context", config.context},
                       {"vocabulary", config.vocab},
                       {"stored_as", stored_types(found.files)},
                       {"runs_as", name_of(options.dtype)},
                       {"backend", backend->description()}};
  add_packed_weights({cache_folder(), found.files, *backend, options.dtype}, info);
  // A folder of weights alone is still a model: bench runs it.
  const std::optional<std::string> problem = problem_in([&] {
    const Tokenizer tokenizer = Tokenizer::load(found.files);
    info["tokens"] = tokenizer.size();
    info["special_tokens"] = special_tokens(tokenizer);
    info["question_markers"] = question_markers(tokenizer).has_value();
  });
  if (problem) info["tokenizer_problem"] = *problem;
  ordered_json generation = to_json(defaults);
  for (const char* own :
       {"seed", "stop", "bad_words", "stop_on_loop", "num_return_sequences", "renormalize_logits",
        "logit_bias", "best_of", "num_beams", "length_penalty", "early_stopping"})
    generation.erase(own);
  info["generation"] = generation;
  return info;
}

/// One line per value, with those of inner objects under their own names.
void add_rows(const ordered_json& values, std::string& table) {
  const auto text = [](const ordered_json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  for (const auto& [name, value] : values.items()) {
    if (value.is_object() && !value.contains("id")) {
      add_rows(value, table);
      continue;
    }
    std::array<char, 32> padded{};
    std::snprintf(padded.data(), padded.size(), "%-20s", name.c_str());
    table += padded.data();
    table +=
        one_line(value.is_object() ? text(value["id"]) + " " + text(value["text"]) : text(value));
    table += "\n";
  }
}

}  // namespace

int run_info(const Options& options) {
  const ordered_json info = describe(options);
  std::string text;
  if (options.json) {
    text = info.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  } else {
    add_rows(info, text);
  }
  print(text);
  return kDone;
}

}  // namespace aira
