// Which model is meant: -m, $AIRA_MODEL, the Hugging Face cache or the built-in one.
#pragma once

#include <optional>
#include <string>

#include "aira/model_files.h"

namespace aira {

struct FoundModel {
  ModelFiles files;
  std::string name;       // for people: a hub id, a folder's path, "aira-mini"
  std::string found;      // how it was found: "folder", "Hugging Face cache", "built in"
  bool fallback = false;  // not asked for; no better model was found
};

/// `asked` is the value of -m. Throws Error when there is no such model.
FoundModel find_model(const std::optional<std::string>& asked);

}  // namespace aira
