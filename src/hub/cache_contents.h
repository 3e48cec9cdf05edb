// What the Hugging Face cache holds, as huggingface_hub lays it out: for each repository a folder
// with refs/NAME, which holds a commit; snapshots/COMMIT/FILE, links to blobs or, on systems
// without links, files; and blobs/HASH. A file being downloaded is blobs/....incomplete.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace aira {

/// A file of a snapshot.
struct CachedFile {
  std::string name;  // with its folder below the snapshot
  std::filesystem::path path;
  std::filesystem::path
      blob;                // what it is a link to, in the repository's blobs; empty: no such link
  std::int64_t bytes = 0;  // 0 for a link to nothing
  bool missing = false;    // a link to nothing
};

struct CachedRevision {
  std::string commit;
  std::vector<std::string> refs;  // branches and tags that mean it, main first
  std::filesystem::path folder;
  std::vector<CachedFile> files;  // by name
  std::int64_t bytes() const;     // of all files
};

struct CachedRepository {
  std::string kind;  // "model", "dataset" or "space"
  std::string id;    // "org/name"
  std::filesystem::path folder;
  std::vector<CachedRevision> revisions;       // those with refs first
  std::vector<std::filesystem::path> blobs;    // whole ones
  std::vector<std::filesystem::path> partial;  // being downloaded, or left when that was cut off
  std::int64_t bytes = 0;                      // on the disk, each blob once
};

/// 0 when it cannot be told.
std::int64_t size_of_file(const std::filesystem::path& path);
/// The files below the folder `snapshot`, those in folders too.
std::vector<CachedFile> files_of_snapshot(const std::filesystem::path& snapshot);
/// One repository's folder; nothing when its name is of none.
std::optional<CachedRepository> cached_repository(const std::filesystem::path& folder);
/// All of them, by kind and name. What cannot be read counts as not there; nothing is thrown.
std::vector<CachedRepository> cached_repositories(const std::filesystem::path& cache);

}  // namespace aira
