// Models of the Hugging Face hub by name, and where huggingface_hub keeps them on this machine:
// models--ORG--NAME/refs/main holds a commit, whose files are in
// models--ORG--NAME/snapshots/COMMIT.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/user_path.h"

namespace aira {

struct HubModel {
  std::string id;                 // "org/name", or "gpt2"
  std::string revision = "main";  // a branch, a tag or a commit

  /// "org/name", with "@revision" unless that is main.
  std::string name() const;
  /// The command that brings it into the cache.
  std::string download() const;
  /// The folder of all its revisions in the cache, there or not; nothing without a cache.
  std::optional<std::filesystem::path> folder() const;
  /// The folder of its files, if it is there.
  std::optional<std::filesystem::path> snapshot() const;
};

/// Whether this is an address and can be no folder.
bool is_address(const std::string& asked);

/// The model that "org/name", "org/name@revision" or an address of it on the hub means; nothing
/// when it can mean none. Throws Error for an address of something else.
std::optional<HubModel> hub_model(const std::string& asked);

/// The folder of the cache, by the rules of huggingface_hub; nothing when there is no home.
std::optional<std::filesystem::path> hub_cache();

}  // namespace aira
