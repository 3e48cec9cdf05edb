// info: what the model is and where it was found, without loading its weights.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "app/config_file.h"
#include "app/model_lookup.h"
#include "app/output.h"
#include "model/checkpoint.h"
#include "model/weight_cache.h"
#include "run/generation_config.h"

namespace aira {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kNameWidth = 22;

/// How the matrices are stored on disk: "f32", "bf16, f32", ...
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
  for (const auto& [role, id] :
       {std::pair("bos", roles.bos), std::pair("sep", roles.sep), std::pair("eos", roles.eos),
        std::pair("pad", roles.pad), std::pair("unk", roles.unk)}) {
    if (id) result[role] = {{"id", *id}, {"text", std::string(tokenizer.bytes(*id))}};
  }
  return result;
}

const char* origin_of_model(const CommonOptions& options) {
  if (options.adapter) return "--adapter";
  if (options.model) return "-m";
  if (environment("AIRA_MODEL")) return "$AIRA_MODEL";
  return config().model || config().adapter ? "config file" : "default";
}

/// Where the first of `flags` that was given comes from. `app` has parsed.
std::string origin_of(const CLI::App& app, std::initializer_list<const char*> flags) {
  for (const std::string flag : flags) {
    const std::vector<std::string>& words = config().words;
    const auto ours = std::count_if(words.begin(), words.end(), [&](const std::string& word) {
      return word.starts_with(flag + "=");
    });
    if (std::ssize(app.get_option(flag)->results()) > ours) return flag;
    if (ours > 0) return "config file";
  }
  return "default";
}

ordered_json describe(const CommonOptions& options, const ordered_json& from) {
  const ModelOnBackend model(options);
  const auto& [found, pool, backend] = model;
  const ModelConfig model_config = read_model_config(found.files);
  ordered_json info = {{"name", found.name},
                       {"found", found.found},
                       {"place", found.files.place()},
                       {"parameters", count_parameters(found.files)},
                       {"layers", model_config.layers},
                       {"width", model_config.width},
                       {"heads", model_config.heads},
                       {"context", model_config.context},
                       {"vocabulary", model_config.vocab},
                       {"stored_as", stored_types(found.files)},
                       {"runs_as", name_of(options.dtype)},
                       {"backend", backend->description()}};
  if (!config().path.empty()) info["config_file"] = config().path;
  info["from"] = {{"name", origin_of_model(options)}};
  info["from"].update(from);
  const WeightCache weights(cache_folder(), found.files, *backend, options.dtype);
  if (!weights.path().empty()) {
    std::error_code missing;
    const auto bytes = std::filesystem::file_size(weights.path(), missing);
    info["packed_weights"] = weights.path();
    info["packed_bytes"] = missing ? 0 : bytes;
  }
  // A folder of weights alone is still a model: bench runs it.
  bool is_aira = false;
  const std::optional<Error> problem = problem_in([&] {
    const Tokenizer tokenizer = Tokenizer::load(found.files);
    is_aira = tokenizer.find(kStartMarker).has_value();
    info["tokens"] = tokenizer.size();
    info["special_tokens"] = special_tokens(tokenizer);
    info["question_markers"] = Prompts(tokenizer, {}, {}).has_markers();
    info["chat_template"] = !tokenizer.chat_template().empty();
  });
  if (problem) info["tokenizer_problem"] = problem->what();
  const auto [model_defaults, said, file, notes] =
      read_generation_config(found.files, model_config, is_aira);
  const RequestChanges& ours = config().request;
  const GenerateOptions defaults = ours.over(model_defaults);
  for (const RequestOption& row : request_options()) {
    const nlohmann::json value = row.value(defaults);
    const bool is_said = said.has(row) || ours.has(row);
    if ((std::string_view(row.group) != kSamplingGroup && !is_said) || value.is_null()) continue;
    info["generation"][row.name] = value;
    info["generation_from"][row.name] = ours.has(row)            ? "config file"
                                        : said.has(row)          ? file
                                        : value == row.value({}) ? "default"
                                                                 : "transformers";
  }
  if (!options.quiet) {
    for (const std::string& sentence : notes) note(sentence);
  }
  return info;
}

/// A name and a text for each value, those of inner objects under their own names. Beside it, where
/// it comes from.
std::string table_of(const ordered_json& values, const ordered_json& from) {
  const auto text = [](const ordered_json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  std::string table;
  for (const auto& [name, value] : values.items()) {
    if (name == "generation_from" || name == "from") continue;
    if (value.is_object() && !value.contains("id")) {
      table += table_of(value, name == "generation" ? values["generation_from"] : ordered_json());
      continue;
    }
    const std::string shown =
        value.is_object() ? text(value["id"]) + " " + text(value["text"]) : text(value);
    const std::string origin = from.contains(name) ? "  (" + text(from[name]) + ")" : "";
    table += name + std::string(std::max(name.size() + 1, kNameWidth) - name.size(), ' ') +
             one_line(shown) + origin + "\n";
  }
  return table;
}

}  // namespace

Action set_up_info(CLI::App& app) {
  const auto options = std::make_shared<CommonOptions>();
  app.description(
      message("aira-cli info [options]           Describe the model and where it was found"));
  app.footer(message("Examples:") + R"(
  aira-cli info
  aira-cli info --json -m nicholasKluge/Aira-2-portuguese-124M)");
  add_model_options(app, *options, true);
  app.add_flag("--json", options->json, message("Print one JSON object"))->group(message("Output"));
  add_quiet(app, *options);
  const auto from = std::make_shared<ordered_json>();
  app.final_callback([&app, from] {
    *from = {{"runs_as", origin_of(app, {"--dtype"})},
             {"backend", origin_of(app, {"--device", "--threads"})}};
  });
  return [options, from] {
    const ordered_json info = describe(*options, *from);
    options->json ? print_json(info) : print(table_of(info, info["from"]));
    return kDone;
  };
}

}  // namespace aira
