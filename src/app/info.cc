// info: what the model is and where it was found, without loading its weights unless they are to be
// checked.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "app/config_file.h"
#include "app/model_lookup.h"
#include "app/model_origin.h"
#include "app/output.h"
#include "app/table.h"
#include "base/hash.h"
#include "base/printable.h"
#include "hub/cache_contents.h"
#include "model/checkpoint.h"
#include "model/packed_folder.h"
#include "model/weight_cache.h"
#include "run/generation_config.h"

namespace aira {
namespace {

using nlohmann::ordered_json;

constexpr int kNameWidth = 21;

struct InfoOptions : CommonOptions {
  bool check = false;
};

struct Description {
  ordered_json info;
  std::vector<Error> problems;  // that --check has found
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
  for (const auto& [role, id] :
       {std::pair("bos", roles.bos), std::pair("sep", roles.sep), std::pair("eos", roles.eos),
        std::pair("pad", roles.pad), std::pair("unk", roles.unk)}) {
    if (id) result[role] = {{"id", *id}, {"text", std::string(tokenizer.bytes(*id))}};
  }
  return result;
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

/// Commit, licence and, in info["not_told"], why they are unknown.
void add_origin(const FoundModel& found, const ModelOrigin& origin, ordered_json& info) {
  const bool built_in = found.found == "built in";
  const bool card =
      std::any_of(origin.files.begin(), origin.files.end(),
                  [](const OriginFile& file) { return file.name == "README.md" && !file.missing; });
  const auto add = [&](const char* name, const std::string& value, const char* reason) {
    info[name] = value.empty() ? ordered_json() : ordered_json(value);
    if (value.empty()) info["not_told"][name] = reason;
  };
  add("commit", origin.commit,
      built_in
          ? to_translate("the model is part of this program")
          : to_translate("the folder was not downloaded from the hub by a program that notes it"));
  add("license", built_in && origin.licence.empty() ? "apache-2.0" : origin.licence,
      card ? to_translate("README.md names none")
           : to_translate("there is no README.md, which would name it"));
}

/// The files, with --check read and compared with their hashes.
void add_files(ModelOrigin& origin, const InfoOptions& options, Description& made) {
  std::string wrong;
  for (OriginFile& file : origin.files) {
    ordered_json row = {{"name", printable(file.name)}, {"bytes", file.bytes}};
    if (options.check) {
      const auto problem = problem_in([&] { row["check"] = check_file(file); });
      if (problem) row["check"] = "unreadable";
      if (row["check"] != "ok" && row["check"] != "unknown") {
        wrong += (wrong.empty() ? "" : ", ") + printable(file.name);
      }
    }
    const auto kind = hash_kind(file.hash);
    const char* name = kind == HashKind::kGitBlob ? "git_sha1" : "sha256";
    if (kind) row[name] = file.hash;
    made.info["files"].push_back(row);
  }
  if (wrong.empty()) return;
  made.problems.push_back(
      Error("[E683] These files of {} are not what their hashes say: {}. {} fetches those of a "
            "model in the cache again.",
            {quote(made.info["name"].get<std::string>()), wrong, "aira-cli pull --check"}));
}

/// The packed file of each type: "ok", "stale" (it is made anew at the next run) or "damaged".
void check_packed(const FoundModel& found, Backend& backend, Description& made) {
  made.info["packed"] = ordered_json::array();
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kI8}) {
    const WeightCache weights(cache_folder(), found.files, backend, dtype);
    const auto bytes = size_of_file(weights.path());
    if (bytes == 0) continue;
    std::string state = "stale";
    const auto problem = problem_in([&] {
      if (!weights.is_current()) return;
      const Model model = Model::load(found.files, backend, dtype);
      state = weights.holds(model) ? "ok" : "damaged";
    });
    if (problem) state = "unreadable";
    made.info["packed"].push_back({{"file", weights.path()}, {"bytes", bytes}, {"check", state}});
    if (state == "ok" || state == "stale") continue;
    made.problems.push_back(Error("[E684] The packed weights {} are damaged; {} removes them.",
                                  {quote(weights.path(), 4096), "aira-cli rm --packed MODEL"}));
  }
}

Description describe(const InfoOptions& options, const ordered_json& from) {
  const ModelOnBackend model(options);
  const FoundModel& found = model.found;
  const auto& backend = model.backend;
  const ModelConfig model_config = read_model_config(found.files);
  Description made;
  ordered_json& info = made.info;
  info = {{"name", found.name}, {"found", found.found}, {"place", found.files.place()}};
  ModelOrigin origin = model_origin(found.files);
  add_origin(found, origin, info);
  const std::optional<Error> unreadable = problem_in([&] {
    info["parameters"] = count_parameters(found.files);
    info["own_head"] = has_own_head(found.files);
    info["stored_as"] = stored_types(found.files);
  });
  if (unreadable) {
    if (!options.check) throw *unreadable;
    made.problems.push_back(*unreadable);
  }
  info.update({{"layers", model_config.layers},
               {"width", model_config.width},
               {"heads", model_config.heads},
               {"head_size", model_config.head_size()},
               {"inner_width", model_config.ffn_width},
               {"context", model_config.context},
               {"vocabulary", model_config.vocab},
               {"runs_as", name_of(options.dtype)},
               {"backend", backend->description()}});
  if (!config().path.empty()) info["config_file"] = config().path;
  info["from"] = {{"name", origin_of_model(options)}};
  info["from"].update(from);
  const WeightCache weights(cache_folder(), found.files, *backend, options.dtype);
  if (!weights.path().empty()) {
    info["packed_weights"] = weights.path();
    info["packed_bytes"] = size_of_file(weights.path());
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
  add_files(origin, options, made);
  if (found.files.adapter() != nullptr) {
    ModelOrigin adapter = model_origin(*found.files.adapter());
    add_files(adapter, options, made);
  }
  if (options.check) check_packed(found, *backend, made);
  return made;
}

std::string text_of(const ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// A name and a text for each value, those of inner objects under their own names. Beside it, where
/// it comes from.
std::string table_of(const ordered_json& values, const ordered_json& from) {
  std::string table;
  for (const auto& [name, value] : values.items()) {
    if (name == "generation_from" || name == "from" || name == "not_told" || value.is_array()) {
      continue;
    }
    if (value.is_object() && !value.contains("id")) {
      table += table_of(value, name == "generation" ? values["generation_from"] : ordered_json());
      continue;
    }
    const std::string shown =
        value.is_null()
            ? message("not told: {}", {message(text_of(values["not_told"][name]).c_str())})
        : value.is_object() ? text_of(value["id"]) + " " + text_of(value["text"])
                            : text_of(value);
    const std::string origin = from.contains(name) ? "  (" + text_of(from[name]) + ")" : "";
    table += padded(name, kNameWidth) + " " + one_line(shown) + origin + "\n";
  }
  return table;
}

/// A line for each file.
std::string files_table(const ordered_json& info) {
  Table table({message("file"), message("size"), message("check"), "sha256 / git"}, {1});
  for (const char* list : {"files", "packed"}) {
    if (!info.contains(list)) continue;
    for (const ordered_json& row : info[list]) {
      const std::string hash = row.contains("sha256")     ? text_of(row["sha256"])
                               : row.contains("git_sha1") ? text_of(row["git_sha1"])
                               : row.contains("file")     ? ""
                                                          : message("not told");
      table.add({text_of(row[row.contains("file") ? "file" : "name"]), text_of(row["bytes"]),
                 row.contains("check") ? text_of(row["check"]) : "", hash});
    }
  }
  return table.empty() ? "" : "\n" + table.text();
}

}  // namespace

Action set_up_info(CLI::App& app) {
  const auto options = std::make_shared<InfoOptions>();
  app.description(
      message("aira-cli info [options] [MODEL]   Describe the model and where it was found"));
  app.footer(message("Examples:") + R"(
  aira-cli info
  aira-cli info --check nicholasKluge/Aira-2-portuguese-124M
  aira-cli info --json ./model)");
  add_model_options(app, *options, true);
  add_model_argument(app, *options);
  app.option_defaults()->group(message("Output"));
  app.add_flag("--check", options->check,
               message("Read all files and compare them with their hashes, and the packed weights "
                       "with the model"));
  app.add_flag("--json", options->json, message("Print one JSON object"));
  add_quiet(app, *options);
  const auto from = std::make_shared<ordered_json>();
  app.final_callback([&app, from] {
    *from = {{"runs_as", origin_of(app, {"--dtype"})},
             {"backend", origin_of(app, {"--device", "--threads"})}};
  });
  return [options, from] {
    const auto [info, problems] = describe(*options, *from);
    options->json ? print_json(info)
                  : print(without_controls(table_of(info, info["from"]) + files_table(info)));
    for (const Error& problem : problems) report_error(problem);
    return problems.empty() ? kDone : kFailed;
  };
}

}  // namespace aira
