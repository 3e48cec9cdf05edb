// Where a model comes from and under what licence, and the files it is made of, with the hashes by
// which the hub knows them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "aira/model_files.h"

namespace aira {

struct OriginFile {
  std::string name;
  std::filesystem::path path;
  std::int64_t bytes = 0;
  bool missing = false;  // a link to nothing
  std::string hash;      // SHA-256 or git's, in hexadecimal digits; empty: nothing says what it is
};

struct ModelOrigin {
  std::string commit;   // on the hub; empty: unknown
  std::string licence;  // of README.md's front matter; empty: unknown
  /// By name: all of a snapshot; those that lie in another folder itself.
  std::vector<OriginFile> files;
};

/// Nothing of it is read but README.md. Of a folder of `hf download --local-dir` the hub's own
/// notes in it tell commit and hashes.
ModelOrigin model_origin(const ModelFiles& files);

/// The value of "license" in the YAML between the two lines "---" that a model card begins with,
/// with its name where that is "other", joined by ", " where there are several; else empty.
std::string licence_in(std::string_view card);

/// "ok", "damaged" or "missing"; "unknown" where nothing says what the hash should be, which it
/// then gets. Reads the whole file. Throws Error when that fails.
std::string check_file(OriginFile& file);

}  // namespace aira
