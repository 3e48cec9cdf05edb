// Looks files up by bare name, in a folder (mapped when asked for) or in memory. Names may come
// from an untrusted index, so nothing outside the folder can be named.
#include "aira/model_files.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <mutex>
#include <numeric>
#include <set>
#include <system_error>
#include <utility>

#include "aira/error.h"
#include "base/digest.h"
#include "base/mapped_file.h"
#include "base/printable.h"

namespace aira {
namespace {

std::string join(const std::string& folder, const std::string& name) {
  return folder.ends_with('/') ? folder + name : folder + '/' + name;
}

void require_folder(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) {
    throw Error("[E418] The model folder {} cannot be opened: {}.",
                {quote(path, 4096), system_message(errno)});
  }
  if (S_ISDIR(info.st_mode)) return;
  const bool weights = path.ends_with(".safetensors") || path.ends_with(".bin");
  if (weights) {
    throw Error(
        "[E419] {} is not a folder; give the folder that holds it together with config.json.",
        {quote(path, 4096)});
  }
  throw Error("[E420] {} is not a folder, but a model is a folder in Hugging Face layout.",
              {quote(path, 4096)});
}

/// The files of a folder; each is opened once.
class Folder {
 public:
  explicit Folder(std::string path) : path_(std::move(path)) {}

  std::optional<File> find(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto known = files_.find(name);
    if (known != files_.end()) return known->second;
    std::optional<File> file = map_file(join(path_, name));
    if (file) files_.emplace(name, *file);
    return file;
  }

  std::vector<File> opened() {
    const std::lock_guard lock(mutex_);
    std::vector<File> files;
    for (const auto& [name, file] : files_) files.push_back(file);
    return files;
  }

 private:
  std::string path_;
  std::mutex mutex_;
  std::map<std::string, File> files_;
};

void require_bare_name(const std::string& name, const std::string& place) {
  const bool bare = !name.empty() && name != "." && name != ".." &&
                    name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
  if (!bare) {
    throw Error(
        "[E421] {} asks for the file {}, which is not the plain name of a file in that place.",
        {printable(place), quote(name)});
  }
}

}  // namespace

/// Of the first bytes, which are the header of a weights file or most of it, and of pieces all over
/// the file: reading all of it would take longer than the packed weights save. Made for file
/// systems whose times say nothing, as those of Nix and of images built to be reproducible.
std::uint64_t sampled_digest(const File& file) {
  constexpr std::size_t kFirstBytes = 16384;
  constexpr std::size_t kPieces = 64;
  constexpr std::size_t kPieceBytes = 512;
  // No reading ahead behind each piece.
  auto* const begin = const_cast<std::byte*>(file.data.get());
  ::madvise(begin, file.size, MADV_RANDOM);
  std::string sample(file.text().substr(0, kFirstBytes));
  for (std::size_t i = 1; i <= kPieces; ++i) {
    const std::size_t at = file.size * i / kPieces;
    sample += file.text().substr(at - std::min(at, kPieceBytes), kPieceBytes);
    give_back(file.data, file.size);  // with what came in around it, 64 kB to 2 MB
  }
  ::madvise(begin, file.size, MADV_NORMAL);
  return digest(sample);
}

ModelFiles::ModelFiles(std::string place,
                       std::function<std::optional<File>(const std::string&)> find)
    : place_(std::move(place)), find_(std::move(find)) {}

ModelFiles ModelFiles::from_folder(const std::string& path) {
  require_folder(path);
  const auto folder = std::make_shared<Folder>(path);
  ModelFiles files(path, [folder](const std::string& name) { return folder->find(name); });
  files.opened_ = [folder] { return folder->opened(); };
  return files;
}

ModelFiles ModelFiles::from_memory(std::string label,
                                   std::function<std::optional<File>(const std::string&)> find) {
  return {std::move(label), std::move(find)};
}

std::string ModelFiles::fingerprint(std::initializer_list<std::string_view> endings) const {
  if (!opened_) return {};
  std::set<std::string> lines;
  std::error_code problem;
  for (std::filesystem::directory_iterator entry(place_, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    const bool meant = std::any_of(endings.begin(), endings.end(),
                                   [&](std::string_view ending) { return name.ends_with(ending); });
    if (meant) lines.insert(name + " " + fingerprint_of(name) + "\n");
  }
  const std::string own = std::accumulate(lines.begin(), lines.end(), std::string());
  return adapter_ == nullptr ? own : own + "adapter\n" + adapter_->fingerprint(endings);
}

/// A file that cannot be opened is no error here: the folder may hold more than the model.
std::string ModelFiles::fingerprint_of(const std::string& name) const {
  std::optional<File> file;
  try {
    file = find_(name);
  } catch (const Error&) {
    return "is no file";
  }
  if (!file) return "is gone";
  const FileStamp& stamp = file->stamp;
  std::string line = std::to_string(stamp.size);
  for (const std::int64_t time : {stamp.modified, stamp.changed}) {
    line.append(" ").append(std::to_string(time));
  }
  for (const std::uint64_t number : {stamp.inode, stamp.device}) {
    line.append(" ").append(std::to_string(number));
  }
  return line + " " + hex(sampled_digest(*file));
}

// A write shows in the time of modification, but not one that comes in the same tick of the clock,
// a few milliseconds, as the last one before the file was opened.
void ModelFiles::require_untouched() const {
  for (const File& file : opened_ ? opened_() : std::vector<File>()) {
    struct stat info = {};
    if (::stat(file.path.c_str(), &info) != 0) continue;  // removed
    const FileStamp now = stamp_of(info);
    const bool replaced = now.inode != file.stamp.inode || now.device != file.stamp.device;
    if (replaced || (now.size == file.stamp.size && now.modified == file.stamp.modified)) continue;
    throw Error("[E546] {} was written to while it was read; start again when it is whole.",
                {printable(file.path)});
  }
  if (adapter_ != nullptr) adapter_->require_untouched();
}

ModelFiles ModelFiles::with_adapter(ModelFiles adapter) const {
  ModelFiles both = *this;
  both.adapter_ = std::make_shared<const ModelFiles>(std::move(adapter));
  return both;
}

std::optional<File> ModelFiles::find(const std::string& name) const {
  require_bare_name(name, place_);
  return find_(name);
}

File ModelFiles::require(const std::string& name) const {
  std::optional<File> file = find(name);
  if (!file) throw Error("[E422] {} has no file {}.", {printable(place_), quote(name)});
  return *std::move(file);
}

}  // namespace aira
