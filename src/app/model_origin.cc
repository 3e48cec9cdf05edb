#include "app/model_origin.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>

#include "app/output.h"
#include "base/hash.h"
#include "hub/cache_contents.h"
#include "run/answer_text.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

/// The next line of `text`, less white space at its end.
std::string take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string line(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  line.erase(line.find_last_not_of(" \t\r") + 1);
  return line;
}

/// A YAML scalar less quotes and comment.
std::string scalar(std::string text) {
  text = without_white_space(text);
  if (text.size() > 1 && (text.front() == '"' || text.front() == '\'')) {
    const std::size_t end = text.find(text.front(), 1);
    if (end != std::string::npos) return text.substr(1, end - 1);
  }
  if (text.starts_with('#')) return {};
  return without_white_space(text.substr(0, text.find(" #")));
}

/// The snapshot's files, whose blobs are called by their hashes.
void take_snapshot(const fs::path& folder, ModelOrigin& origin) {
  origin.commit = folder.filename().string();
  for (const CachedFile& file : files_of_snapshot(folder)) {
    const std::string blob = file.blob.filename().string();
    origin.files.push_back({.name = file.name,
                            .path = file.path,
                            .bytes = file.bytes,
                            .missing = file.missing,
                            .hash = hash_kind(blob) ? blob : ""});
  }
}

void take_folder(const fs::path& folder, ModelOrigin& origin) {
  std::error_code problem;
  for (fs::directory_iterator entry(folder, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    std::error_code gone;
    const bool missing = !entry->exists(gone);
    if (!missing && !entry->is_regular_file(gone)) continue;
    OriginFile file = {.name = entry->path().filename().string(),
                       .path = entry->path(),
                       .bytes = size_of_file(entry->path()),
                       .missing = missing,
                       .hash = {}};
    // A line for the commit, one for the hash, one for the time.
    std::ifstream notes(folder / ".cache/huggingface/download" / (file.name + ".metadata"));
    std::string commit;
    std::string hash;
    if (notes >> commit >> hash) {
      if (origin.commit.empty() || file.name == "config.json") origin.commit = commit;
      if (hash_kind(hash)) file.hash = hash;
    }
    origin.files.push_back(std::move(file));
  }
  std::sort(origin.files.begin(), origin.files.end(),
            [](const OriginFile& a, const OriginFile& b) { return a.name < b.name; });
}

}  // namespace

std::string licence_in(std::string_view card) {
  std::map<std::string, std::string, std::less<>> values;
  std::string key;
  if (take_line(card) != "---") return {};
  while (!card.empty()) {
    const std::string line = take_line(card);
    if (line == "---") break;
    const std::string inner = without_white_space(line);
    if (inner.starts_with("- ") && !key.empty()) {  // of a list
      std::string& value = values[key];
      value += (value.empty() ? "" : ", ") + scalar(inner.substr(2));
    } else if (line.starts_with("license") && line.find(':') != std::string::npos) {
      key = line.substr(0, line.find(':'));
      values[key] = scalar(line.substr(key.size() + 1));
    } else if (!inner.empty()) {
      key.clear();
    }
  }
  const std::string name = values["license_name"];
  return values["license"] == "other" && !name.empty() ? name : values["license"];
}

ModelOrigin model_origin(const ModelFiles& files) {
  ModelOrigin origin;
  std::error_code problem;
  const fs::path folder = fs::weakly_canonical(files.place(), problem);
  const fs::path above = folder.parent_path();
  const bool snapshot = above.filename() == "snapshots" &&
                        above.parent_path().filename().string().starts_with("models--");
  if (snapshot) {
    take_snapshot(folder, origin);
  } else if (fs::is_directory(folder, problem)) {
    take_folder(folder, origin);
  }
  static_cast<void>(problem_in([&] {
    if (const auto card = files.find("README.md")) origin.licence = licence_in(card->text());
  }));
  return origin;
}

std::string check_file(OriginFile& file) {
  if (file.missing) return "missing";
  const bool known = !file.hash.empty();
  const HashKind kind = known ? *hash_kind(file.hash) : HashKind::kSha256;
  const std::string hash = hash_of_file(file.path.string(), kind);
  if (known) return hash == file.hash ? "ok" : "damaged";
  file.hash = hash;
  return "unknown";
}

}  // namespace aira
