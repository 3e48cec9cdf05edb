// The models in the Hugging Face cache and the packed weights, by the names that -m takes.
#pragma once

#include <cstdint>
#include <string>

#include "hub/cache_contents.h"
#include "model/packed_files.h"

namespace aira {

/// What a revision in the cache is to this program.
struct RevisionState {
  enum class Kind : std::uint8_t { kWhole, kNotWhole, kAdapter, kOther } kind;
  std::string why;  // of kNotWhole a sentence; of kOther its model_type, which may be unknown
};

/// Reads headers, no weights. Throws nothing.
RevisionState state_of(const CachedRevision& revision);

/// "org/name", or "org/name@REVISION" where main is another or none.
std::string name_of(const CachedRepository& repository, const CachedRevision& revision);
/// The first letters of a commit, for people.
std::string short_commit(const CachedRevision& revision);

/// The model that a packed file was made of, with its adapter: "org/name", "/a/folder"; empty when
/// the file does not say.
std::string name_of(const PackedFile& file);

}  // namespace aira
