// The files in which WeightCache keeps packed weights: their names, and their headings, which say
// of which model they were made. The heading is text: the format, the packing's name and the dtype,
// each on a line; the places of the model and its adapter, each with a zero behind it; and the
// fingerprint of the model's files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "aira/model_files.h"

namespace aira {

constexpr std::size_t kPackedLine = 64;  // boundary of the heading and of each parameter behind it
constexpr std::size_t round_up_packed(std::size_t bytes) {
  return (bytes + kPackedLine - 1) / kPackedLine * kPackedLine;
}

/// Where a model is, however that is written: the canonical path of its folder. Snapshots of one
/// repository in the Hugging Face cache are one place.
std::string model_place(const std::string& folder);

/// What a packed file was made of.
struct PackedSource {
  std::string dtype;        // "f16"; empty: unknown, the file is another version's or damaged
  std::string model;        // model_place()
  std::string adapter;      // the same of its adapter; empty without one
  std::string fingerprint;  // ModelFiles::fingerprint() of all that conversion reads; empty: none

  static PackedSource of(const ModelFiles& files, const char* dtype);
  /// The same for all versions of a model and its adapter, so that a new one replaces the old.
  std::string file_name() const;
  /// Up to a 64-byte boundary.
  std::string heading(const std::string& packing) const;
};

struct PackedFile {
  std::filesystem::path path;
  std::int64_t bytes = 0;
  bool unfinished = false;  // being written, or left by a writer that was killed
  bool given_up = false;    // left by one that took too long: of an unfinished file the heading
  PackedSource source;

  /// Whether the model and the adapter that it was made of are still there.
  bool has_model() const;
};

/// The packed files in `folder`, by name, with unfinished ones.
std::vector<PackedFile> packed_files(const std::string& folder);

inline constexpr const char* kUnfinishedEnding =
    ".unfinished";  // ends the name while it is written
/// Whether `fd` still is the file called `path`.
bool is_named(int fd, const std::string& path);
/// Removes an unfinished file, unless its writer is alive: that has a lock on it.
bool remove_abandoned(const std::string& path);

}  // namespace aira
