// info: what the model is and where it was found, without loading its weights.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "aira/prompts.h"
#include "app/answering.h"
#include "app/output.h"
#include "device/device.h"
#include "model/checkpoint.h"
#include "model/weight_cache.h"

namespace aira {
namespace {

using nlohmann::ordered_json;

struct InfoOptions : CommonOptions {
  bool json = false;
};

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

/// Where they are kept and their size; nothing when no folder is used.
void add_packed_weights(const WeightCache& weights, ordered_json& info) {
  if (weights.path().empty()) return;
  std::error_code missing;
  const auto bytes = std::filesystem::file_size(weights.path(), missing);
  info["packed_weights"] = weights.path();
  info["packed_bytes"] = missing ? 0 : bytes;
}

ordered_json describe(const InfoOptions& options) {
  const FoundModel found = find_model(options);
  const ModelConfig config = read_model_config(found.files);
  const GenerateOptions defaults = read_generation_config(found.files).options;
  ThreadPool pool(threads_of(options));
  const std::unique_ptr<Backend> backend =
      make_backend(options.device, options.dtype, pool, notice_of(options));
  ordered_json info = {{"name", found.name},
                       {"found", found.found},
                       {"place", found.files.place()},
                       {"parameters", count_parameters(found.files)},
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
  const std::optional<Error> problem = problem_in([&] {
    const Tokenizer tokenizer = Tokenizer::load(found.files);
    info["tokens"] = tokenizer.size();
    info["special_tokens"] = special_tokens(tokenizer);
    info["question_markers"] = question_markers(tokenizer).has_value();
  });
  if (problem) info["tokenizer_problem"] = problem->what();
  for (const RequestOption& row : request_options()) {
    if (row.group == kSamplingGroup) info["generation"][row.name] = row.value(defaults);
  }
  return info;
}

using Rows = std::vector<std::pair<std::string, std::string>>;

/// A name and a text per value, those of inner objects under their own names.
void add_rows(const ordered_json& values, Rows& rows) {
  const auto text = [](const ordered_json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  for (const auto& [name, value] : values.items()) {
    if (!value.is_object()) {
      rows.emplace_back(name, text(value));
    } else if (value.contains("id")) {
      rows.emplace_back(name, text(value["id"]) + " " + text(value["text"]));
    } else {
      add_rows(value, rows);
    }
  }
}

std::string table_of(const ordered_json& info) {
  Rows rows;
  add_rows(info, rows);
  std::size_t width = 0;
  for (const auto& [name, text] : rows) width = std::max(width, name.size() + 2);
  std::string table;
  for (const auto& [name, text] : rows) {
    table += name + std::string(width - name.size(), ' ') + one_line(text) + "\n";
  }
  return table;
}

}  // namespace

Action set_up_info(CLI::App& app) {
  const auto options = std::make_shared<InfoOptions>();
  app.description("aira-cli info [options]           Describe the model and where it was found");
  app.footer(R"(Examples:
  aira-cli info
  aira-cli info --json -m nicholasKluge/Aira-2-portuguese-124M)");
  add_model_options(app, *options, true);
  app.add_flag("--json", options->json, "Print one JSON object")->group("Output");
  add_quiet(app, *options);
  return [options] {
    const ordered_json info = describe(*options);
    print(options->json ? info.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n"
                        : table_of(info));
    return kDone;
  };
}

}  // namespace aira
