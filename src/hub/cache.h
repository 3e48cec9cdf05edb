// A repository's folder in the cache of huggingface_hub:
//   blobs/ETAG                 the files, by the hub's name for their content
//   snapshots/COMMIT/NAME      relative links to them
//   refs/REVISION              the commit of a branch or tag
//   .no_exist/COMMIT/NAME      empty: the commit has no such file
// and beside it .locks/FOLDER/ETAG.lock. Whatever is written gets a name of its own in blobs/ first
// (ETAG.RANDOM.incomplete) and is then renamed: a name in the cache always means a whole file, also
// where locks do not work.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"

namespace aira {

class HubCache {
 public:
  /// `folder`: CACHE/models--ORG--NAME
  HubCache(std::filesystem::path folder, bool symlinks)
      : folder_(std::move(folder)), symlinks_(symlinks) {}

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path snapshot(const std::string& commit) const {
    return folder_ / "snapshots" / commit;
  }
  std::filesystem::path blob(const std::string& etag) const { return folder_ / "blobs" / etag; }
  std::filesystem::path lock(const std::string& etag) const;
  /// A name in blobs/ that nobody else has.
  std::filesystem::path new_name(const std::string& etag) const;
  /// The largest part of that file that a process has left behind; empty: none.
  std::filesystem::path largest_leftover(const std::string& etag) const;
  /// For whom has the lock and the blob.
  void remove_leftovers(const std::string& etag) const;

  /// The four below throw Error when the cache cannot be written to.
  /// Makes the folders.
  void prepare(const std::string& commit) const;
  /// Puts the blob into the snapshot, in the place of what is there. Where there are no symbolic
  /// links, a `fresh` one is moved and one that others may use is copied.
  void link(const std::string& commit, const std::string& name, const std::string& etag,
            bool fresh) const;
  void set_missing(const std::string& commit, const std::string& name) const;
  void set_reference(const std::string& revision, const std::string& commit) const;

 private:
  std::vector<std::filesystem::path> leftovers(const std::string& etag) const;

  std::filesystem::path folder_;
  bool symlinks_;
};

/// Keeps others from fetching the same blob at the same time, as huggingface_hub does.
class BlobLock {
 public:
  /// Waits until nobody has it; calls `waiting` first, and `go_on` (false: Stopped) all the time.
  BlobLock(const std::filesystem::path& path, const std::function<bool()>& go_on,
           const std::function<void()>& waiting);
  /// False where the file system has no locks that work, or none for this user.
  bool held() const { return held_; }

 private:
  Descriptor file_;
  bool held_ = false;
};

/// A blob while it is fetched. Its bytes stay for a later run unless keep() or drop() is called.
class PartialFile {
 public:
  /// `take_over`: goes on with what another process has left behind. Throws Error.
  PartialFile(const HubCache& cache, const std::string& etag, bool take_over);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  std::int64_t size() const { return size_; }
  /// The next bytes from `at` on; empty at the end. Throws Error.
  std::string_view read(std::int64_t at, std::string& buffer) const;
  /// Throws Error.
  void add(std::string_view bytes);
  void restart();
  void drop() { size_ = 0; }
  /// To the disk, and then under the name of the blob. Throws Error.
  void keep();

 private:
  std::filesystem::path path_;
  std::filesystem::path blob_;
  Descriptor file_;
  std::int64_t size_ = 0;
  bool kept_ = false;
};

}  // namespace aira
