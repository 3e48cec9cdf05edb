// list: the models in the Hugging Face cache, and the packed weights.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/cached_models.h"
#include "app/command_line.h"
#include "app/hub.h"
#include "app/output.h"
#include "app/table.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "model/packed_folder.h"

namespace aira {
namespace {

using nlohmann::ordered_json;
using Kind = RevisionState::Kind;

struct Contents {
  std::string cache;  // empty: there is no home for one
  std::vector<CachedRepository> repositories;
  std::string packed_folder;  // empty: none is kept
  std::vector<PackedFile> packed;
};

Contents read_contents() {
  const auto cache = hub_cache();
  const std::string packed = cache_folder();
  return {.cache = cache ? cache->string() : "",
          .repositories = cache ? cached_repositories(*cache) : std::vector<CachedRepository>(),
          .packed_folder = packed,
          .packed = packed_files(packed)};
}

const char* key_of(Kind kind) {
  constexpr const char* kKeys[] = {"whole", "not whole", "adapter", "other"};
  return kKeys[static_cast<int>(kind)];
}

const char* key_of(const PackedFile& file) {
  if (file.unfinished) return "unfinished";
  if (file.source.dtype.empty()) return "other version";
  return file.has_model() ? "in use" : "model is gone";
}

ordered_json or_null(const std::string& text) {
  return text.empty() ? ordered_json() : ordered_json(text);
}

ordered_json as_json(const Contents& contents) {
  ordered_json json = {{"cache", or_null(contents.cache)},
                       {"models", ordered_json::array()},
                       {"other_repositories", ordered_json::array()},
                       {"packed_folder", or_null(contents.packed_folder)},
                       {"packed", ordered_json::array()}};
  for (const CachedRepository& repository : contents.repositories) {
    if (repository.kind != "model") {
      json["other_repositories"].push_back(
          {{"kind", repository.kind}, {"id", repository.id}, {"bytes", repository.bytes}});
      continue;
    }
    ordered_json model = {{"id", repository.id},
                          {"folder", repository.folder.string()},
                          {"bytes", repository.bytes},
                          {"partial_files", repository.partial.size()},
                          {"revisions", ordered_json::array()}};
    for (const CachedRevision& revision : repository.revisions) {
      const RevisionState state = state_of(revision);
      ordered_json one = {{"name", name_of(repository, revision)},
                          {"commit", revision.commit},
                          {"refs", revision.refs},
                          {"bytes", revision.bytes()},
                          {"state", key_of(state.kind)}};
      if (state.kind == Kind::kNotWhole) one["problem"] = state.why;
      if (state.kind == Kind::kOther && !state.why.empty()) one["model_type"] = state.why;
      model["revisions"].push_back(one);
    }
    json["models"].push_back(model);
  }
  for (const PackedFile& file : contents.packed) {
    json["packed"].push_back({{"file", file.path.string()},
                              {"model", or_null(name_of(file))},
                              {"dtype", or_null(file.source.dtype)},
                              {"bytes", file.bytes},
                              {"state", key_of(file)}});
  }
  return json;
}

std::string words_of(const RevisionState& state) {
  switch (state.kind) {
    case Kind::kWhole:
      return message("whole");
    case Kind::kNotWhole:
      return message("not whole");
    case Kind::kAdapter:
      return message("adapter");
    case Kind::kOther:
      break;
  }
  return state.why.empty() ? message("no GPT-2") : message("no GPT-2: {}", {printable(state.why)});
}

std::string words_of(const PackedFile& file) {
  if (file.unfinished) return message("unfinished");
  if (file.source.dtype.empty()) return message("of another version of this program");
  return file.has_model() ? message("in use") : message("its model is gone");
}

/// The sentence that tells what a table shows, and the table.
std::string models_text(const Contents& contents) {
  Table table({message("model"), message("revision"), message("size"), message("state")}, {2});
  std::string notes;
  std::int64_t bytes = 0;
  std::int64_t others = 0;
  std::int64_t other_bytes = 0;
  for (const CachedRepository& repository : contents.repositories) {
    if (repository.kind != "model") {
      ++others;
      other_bytes += repository.bytes;
      continue;
    }
    bytes += repository.bytes;
    for (const CachedRevision& revision : repository.revisions) {
      const RevisionState state = state_of(revision);
      table.add({printable(name_of(repository, revision)), short_commit(revision),
                 size_text(revision.bytes()), words_of(state)});
      if (state.kind == Kind::kNotWhole) notes += state.why + "\n";
    }
    if (repository.revisions.empty()) {
      table.add({printable(repository.id), "", size_text(repository.bytes), message("not whole")});
    }
    if (!repository.partial.empty()) {
      notes += message("{}: {} half-done downloads.",
                       {printable(repository.id), std::to_string(repository.partial.size())}) +
               "\n";
    }
  }
  const std::string place = printable(contents.cache);
  std::string text =
      contents.cache.empty() ? message("There is no home for a Hugging Face cache.")
      : table.empty()
          ? message("There are no models in the Hugging Face cache {}.", {place})
          : message("Models in the Hugging Face cache {}, {}:", {place, size_text(bytes)});
  text += "\n" + table.text() + notes;
  if (others > 0) {
    text += message("Also in it: {} data sets and spaces, {}.",
                    {std::to_string(others), size_text(other_bytes)}) +
            "\n";
  }
  return text;
}

std::string packed_text(const Contents& contents) {
  Table table({message("model"), message("type"), message("size"), message("state")}, {2});
  std::int64_t bytes = 0;
  std::int64_t unused = 0;
  for (const PackedFile& file : contents.packed) {
    bytes += file.bytes;
    if (!file.has_model()) unused += file.bytes;
    const std::string name = name_of(file);
    table.add({printable(name.empty() ? file.path.filename().string() : name), file.source.dtype,
               size_text(file.bytes), words_of(file)});
  }
  const std::string place = printable(contents.packed_folder);
  std::string text = place.empty() ? message("No packed weights are kept.")
                     : table.empty()
                         ? message("There are no packed weights in {}.", {place})
                         : message("Packed weights in {}, {}:", {place, size_text(bytes)});
  text += "\n" + table.text();
  if (unused > 0) {
    text += message("{} removes those that no model uses: {}.",
                    {"aira-cli rm --packed", size_text(unused)}) +
            "\n";
  }
  return text;
}

}  // namespace

Action set_up_list(CLI::App& app) {
  const auto options = std::make_shared<CommonOptions>();
  app.description(
      message("aira-cli list [options]           List the models in the Hugging Face cache and the "
              "packed weights"));
  app.footer(message("Examples:") + R"(
  aira-cli list
  aira-cli list --json)");
  app.add_flag("--json", options->json, message("Print one JSON object"))->group(message("Output"));
  return [options] {
    const Contents contents = read_contents();
    if (options->json) {
      print_json(as_json(contents));
    } else {
      print(without_controls(valid_utf8(models_text(contents) + "\n" + packed_text(contents))));
    }
    return kDone;
  };
}

}  // namespace aira
