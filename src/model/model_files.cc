// Looks files up by bare name, in a folder (mapped when asked for) or in memory. Names may come
// from an untrusted index, so nothing outside the folder can be named.
#include "aira/model_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
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
    throw Error("The model folder " + quote(path, 4096) +
                " cannot be opened: " + std::generic_category().message(errno) + ".");
  }
  if (S_ISDIR(info.st_mode)) return;
  const bool weights = path.ends_with(".safetensors") || path.ends_with(".bin");
  throw Error(quote(path, 4096) + " is not a folder" +
              (weights ? "; give the folder that holds it together with config.json."
                       : ", but a model is a folder in Hugging Face layout."));
}

std::optional<File> find_in_folder(const std::string& folder, const std::string& name) {
  return map_file(join(folder, name));
}

void require_bare_name(const std::string& name, const std::string& place) {
  const bool bare = !name.empty() && name != "." && name != ".." &&
                    name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
  if (!bare) {
    throw Error(printable(place) + " asks for the file " + quote(name) +
                ", which is not the plain name of a file in that place.");
  }
}

/// The first bytes of a weights file are its header, or most of it. A file that cannot be opened is
/// no error here: the folder may hold more than the model.
std::string fingerprint_of(const std::string& folder, const std::string& name) {
  constexpr std::size_t kFirstBytes = 16384;
  struct stat info = {};
  std::optional<File> file;
  try {
    file = find_in_folder(folder, name);
  } catch (const Error&) {
    return name + " is no file\n";
  }
  if (!file || ::stat(join(folder, name).c_str(), &info) != 0) return name + " is gone\n";
  const auto begin = file->text().substr(0, kFirstBytes);
  return name + " " + std::to_string(file->size) + " " + std::to_string(info.st_mtim.tv_sec) + "." +
         std::to_string(info.st_mtim.tv_nsec) + " " + hex(digest(begin)) + "\n";
}

}  // namespace

ModelFiles::ModelFiles(std::string place,
                       std::function<std::optional<File>(const std::string&)> find)
    : place_(std::move(place)), find_(std::move(find)) {}

ModelFiles ModelFiles::from_folder(const std::string& path) {
  require_folder(path);
  ModelFiles files(path, [path](const std::string& name) { return find_in_folder(path, name); });
  files.is_folder_ = true;
  return files;
}

ModelFiles ModelFiles::from_memory(std::string label,
                                   std::function<std::optional<File>(const std::string&)> find) {
  return {std::move(label), std::move(find)};
}

std::string ModelFiles::fingerprint(std::initializer_list<std::string_view> endings) const {
  if (!is_folder_) return {};
  std::set<std::string> lines;
  std::error_code problem;
  for (std::filesystem::directory_iterator entry(place_, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    const bool meant = std::any_of(endings.begin(), endings.end(),
                                   [&](std::string_view ending) { return name.ends_with(ending); });
    if (meant) lines.insert(fingerprint_of(place_, name));
  }
  return std::accumulate(lines.begin(), lines.end(), std::string());
}

std::optional<File> ModelFiles::find(const std::string& name) const {
  require_bare_name(name, place_);
  return find_(name);
}

File ModelFiles::require(const std::string& name) const {
  std::optional<File> file = find(name);
  if (!file) throw Error(printable(place_) + " has no file " + quote(name) + ".");
  return *std::move(file);
}

}  // namespace aira
