#include "hub/cache_contents.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <set>
#include <string_view>
#include <system_error>
#include <tuple>

namespace aira {
namespace {

namespace fs = std::filesystem;

/// What is in a folder, by name; nothing when it cannot be read.
std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code problem;
  for (fs::directory_iterator entry(folder, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    entries.push_back(*entry);
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool is_real_folder(const fs::directory_entry& entry) {
  std::error_code problem;
  return !entry.is_symlink(problem) && entry.is_directory(problem);
}

/// Calls `take` for all below `folder` that is no folder itself, without following links to
/// folders.
void walk(const fs::path& folder, const std::function<void(const fs::path&)>& take) {
  for (const fs::directory_entry& entry : entries_of(folder)) {
    is_real_folder(entry) ? walk(entry.path(), take) : take(entry.path());
  }
}

/// The path below the repository's blobs that `link` leads to; empty when it leads elsewhere.
fs::path blob_of(const fs::path& link, const fs::path& blobs) {
  std::error_code problem;
  const fs::path target = fs::read_symlink(link, problem);
  if (problem) return {};
  const fs::path whole = (link.parent_path() / target).lexically_normal();
  if (whole.parent_path() == blobs) return whole;
  // Through a cache that goes by two names.
  const fs::path real = fs::weakly_canonical(whole, problem);
  if (problem || real.parent_path() != fs::weakly_canonical(blobs, problem)) return {};
  return blobs / real.filename();
}

std::vector<std::string> refs_to(const fs::path& repository, const std::string& commit) {
  std::vector<std::string> names;
  walk(repository / "refs", [&](const fs::path& path) {
    std::string content;
    if (std::ifstream(path) >> content && content == commit) {
      names.push_back(path.lexically_relative(repository / "refs").string());
    }
  });
  std::stable_partition(names.begin(), names.end(),
                        [](const std::string& name) { return name == "main"; });
  return names;
}

/// "models--org--name" as kind and id.
bool read_name(const std::string& name, CachedRepository& repository) {
  for (const std::string_view kind : {"model", "dataset", "space"}) {
    const std::string prefix = std::string(kind) + "s--";
    if (!name.starts_with(prefix) || name.size() == prefix.size()) continue;
    repository.kind = kind;
    repository.id = name.substr(prefix.size());
    if (const auto dashes = repository.id.find("--"); dashes != std::string::npos) {
      repository.id.replace(dashes, 2, "/");
    }
    return true;
  }
  return false;
}

}  // namespace

std::int64_t size_of_file(const fs::path& path) {
  std::error_code problem;
  const auto size = fs::file_size(path, problem);
  return problem ? 0 : static_cast<std::int64_t>(size);
}

std::int64_t CachedRevision::bytes() const {
  std::int64_t sum = 0;
  for (const CachedFile& file : files) sum += file.bytes;
  return sum;
}

std::vector<CachedFile> files_of_snapshot(const fs::path& snapshot) {
  const fs::path blobs = (snapshot.parent_path().parent_path() / "blobs").lexically_normal();
  std::vector<CachedFile> files;
  walk(snapshot, [&](const fs::path& path) {
    std::error_code problem;
    files.push_back({.name = path.lexically_relative(snapshot).string(),
                     .path = path,
                     .blob = blob_of(path, blobs),
                     .bytes = size_of_file(path),
                     .missing = !fs::exists(path, problem)});
  });
  return files;
}

std::optional<CachedRepository> cached_repository(const fs::path& folder) {
  CachedRepository repository;
  if (!read_name(folder.filename().string(), repository)) return std::nullopt;
  repository.folder = folder;
  std::set<fs::path> counted;
  for (const fs::directory_entry& entry : entries_of(folder / "blobs")) {
    const bool partial = entry.path().extension() == ".incomplete";
    (partial ? repository.partial : repository.blobs).push_back(entry.path());
    repository.bytes += size_of_file(entry.path());
  }
  for (const fs::directory_entry& entry : entries_of(folder / "snapshots")) {
    if (!is_real_folder(entry)) continue;
    CachedRevision revision = {.commit = entry.path().filename().string(),
                               .refs = refs_to(folder, entry.path().filename().string()),
                               .folder = entry.path(),
                               .files = files_of_snapshot(entry.path())};
    for (const CachedFile& file : revision.files) {
      if (file.blob.empty()) repository.bytes += file.bytes;
    }
    repository.revisions.push_back(std::move(revision));
  }
  std::stable_partition(repository.revisions.begin(), repository.revisions.end(),
                        [](const CachedRevision& one) { return !one.refs.empty(); });
  return repository;
}

std::vector<CachedRepository> cached_repositories(const fs::path& cache) {
  std::vector<CachedRepository> all;
  for (const fs::directory_entry& entry : entries_of(cache)) {
    std::error_code problem;
    if (!entry.is_directory(problem)) continue;
    if (auto repository = cached_repository(entry.path())) all.push_back(*std::move(repository));
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    const bool a_last = a.kind != "model";
    const bool b_last = b.kind != "model";
    return std::tie(a_last, a.kind, a.id) < std::tie(b_last, b.kind, b.id);
  });
  return all;
}

}  // namespace aira
