#include "hub/removal.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <set>
#include <system_error>

#include "aira/error.h"
#include "base/mapped_file.h"
#include "base/printable.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

std::string name_of(const fs::path& path) { return quote(path.string(), 4096); }

void refuse_link(const fs::path& folder) {
  std::error_code problem;
  if (!fs::is_symlink(folder, problem)) return;
  throw Error("[E672] {} is a link out of the cache to {}; remove it by hand, if that is meant.",
              {name_of(folder), name_of(fs::read_symlink(folder, problem))});
}

/// Adds all files below `folder`, and it and the folders in it, innermost first.
void add_tree(const fs::path& folder, Removal& removal) {
  std::error_code problem;
  for (fs::directory_iterator entry(folder, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    std::error_code gone;
    const bool link = entry->is_symlink(gone);
    if (!link && entry->is_directory(gone)) {
      add_tree(entry->path(), removal);
      continue;
    }
    removal.files.push_back(entry->path());
    removal.bytes += link ? 0 : size_of_file(entry->path());
  }
  removal.folders.push_back(folder);
}

/// The locks by which programs that download keep off each other. Held as long as this lives.
class Locks {
 public:
  explicit Locks(const CachedRepository& repository) {
    const fs::path folder =
        repository.folder.parent_path() / ".locks" / repository.folder.filename();
    std::error_code problem;
    for (fs::directory_iterator entry(folder, problem), end; !problem && entry != end;
         entry.increment(problem)) {
      const Descriptor& fd =
          files_.emplace_back(::open(entry->path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
      if (fd.get() >= 0 && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        throw Error("[E673] Another program is downloading {}; remove it when that has ended.",
                    {printable(repository.id)});
      }
    }
  }

 private:
  std::deque<Descriptor> files_;
};

}  // namespace

Removal plan_removal(const CachedRepository& repository, const std::vector<std::string>& commits) {
  const fs::path& folder = repository.folder;
  refuse_link(folder);
  for (const char* name : {"refs", "snapshots", "blobs", ".no_exist"}) refuse_link(folder / name);
  const auto goes = [&](const CachedRevision& one) {
    return std::find(commits.begin(), commits.end(), one.commit) != commits.end();
  };
  const bool all = std::all_of(repository.revisions.begin(), repository.revisions.end(), goes);
  Removal removal;
  if (all) add_tree(folder / "refs", removal);
  std::set<fs::path> unused;
  std::set<fs::path> used;
  for (const CachedRevision& revision : repository.revisions) {
    for (const CachedFile& file : revision.files) {
      if (!file.blob.empty()) (goes(revision) ? unused : used).insert(file.blob);
    }
    if (!goes(revision)) continue;
    for (const std::string& ref : revision.refs) {
      if (all) continue;
      fs::path path = folder / "refs" / ref;
      removal.files.push_back(path);
      while ((path = path.parent_path()).filename() != "refs" || path.parent_path() != folder) {
        removal.folders.push_back(path);  // of refs/pr/1
      }
    }
    add_tree(revision.folder, removal);
    if (!all) add_tree(folder / ".no_exist" / revision.commit, removal);
  }
  for (const fs::path& blob : repository.blobs) {
    if (!all && (unused.count(blob) == 0 || used.count(blob) != 0)) continue;
    std::error_code problem;
    removal.files.push_back(blob);
    removal.bytes += fs::is_symlink(blob, problem) ? 0 : size_of_file(blob);
  }
  if (all) {
    add_tree(folder / ".no_exist", removal);
    for (const fs::path& one : {folder / "snapshots", folder / "blobs", folder}) {
      removal.folders.push_back(one);
    }
  }
  return removal;
}

void remove_from_cache(const CachedRepository& repository, const Removal& removal) {
  const Locks locks(repository);
  for (const fs::path& file : removal.files) {
    std::error_code problem;
    fs::remove(file, problem);
    if (problem) {
      throw Error("[E674] {} cannot be removed: {}.",
                  {name_of(file), system_message(problem.value())});
    }
  }
  for (const fs::path& folder : removal.folders) {
    std::error_code ignored;
    fs::remove(folder, ignored);
  }
}

}  // namespace aira
