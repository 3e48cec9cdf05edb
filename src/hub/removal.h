// Taking models out of the Hugging Face cache. A removal that is cut off leaves a cache that
// huggingface_hub can read: names go first, then what they name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "hub/cache_contents.h"

namespace aira {

struct Removal {
  std::vector<std::filesystem::path> files;    // in this order
  std::vector<std::filesystem::path> folders;  // afterwards, unless something is left in them
  std::int64_t bytes = 0;                      // on the disk
};

/// What goes with the revisions `commits` of `repository`; with all of them everything but
/// half-done downloads and what is none of the cache's. Throws Error where a link leads out of the
/// cache.
Removal plan_removal(const CachedRepository& repository, const std::vector<std::string>& commits);

/// Throws Error: another program is downloading into `repository`, or a file cannot be removed.
void remove_from_cache(const CachedRepository& repository, const Removal& removal);

}  // namespace aira
