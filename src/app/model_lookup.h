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
  bool fallback = false;  // nobody asked for it and nothing better was there
};

/// `asked` is the value of -m. Throws Error when there is no such model.
FoundModel find_model(const std::optional<std::string>& asked);

/// The folder for packed files: $AIRA_CACHE (none when that is "off"), else aira in
/// $XDG_CACHE_HOME, else in ~/.cache; empty without any of these.
std::string packed_folder();

}  // namespace aira
