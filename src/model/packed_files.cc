#include "model/packed_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string_view>
#include <system_error>

#include "base/digest.h"
#include "base/mapped_file.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

/// Must be changed with the heading, the order of the parameters or what surrounds them.
constexpr std::string_view kFormat = "aira-cli packed weights 4\n";
constexpr std::size_t kLongestHeading = std::size_t{1} << 18;

/// Takes what is before `end` out of `text`, with it; all of it when there is none.
std::string take_until(std::string_view& text, char end) {
  const std::size_t length = std::min(text.find(end), text.size());
  std::string part(text.substr(0, length));
  text.remove_prefix(std::min(length + 1, text.size()));
  return part;
}

struct Heading {
  PackedSource source;  // nothing in it when the file does not begin with one of this version
  std::size_t bytes = 0;
};

Heading read_heading(const fs::path& path) {
  std::string bytes(kLongestHeading, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), std::ssize(bytes));
  std::string_view rest(bytes.data(), static_cast<std::size_t>(file.gcount()));
  if (!rest.starts_with(kFormat)) return {};
  const std::size_t all = rest.size();
  rest.remove_prefix(kFormat.size());
  take_until(rest, '\n');  // the packing
  PackedSource source;
  source.dtype = take_until(rest, '\n');
  source.model = take_until(rest, '\0');
  source.adapter = take_until(rest, '\0');
  source.fingerprint = take_until(rest, '\0');
  return {source, round_up_packed(all - rest.size())};
}

}  // namespace

std::string model_place(const std::string& folder) {
  std::error_code problem;
  fs::path source = fs::canonical(folder, problem);
  if (problem) source = folder;
  if (source.parent_path().filename() == "snapshots") source = source.parent_path().parent_path();
  return source.string();
}

PackedSource PackedSource::of(const ModelFiles& files, const char* dtype) {
  return {.dtype = dtype,
          .model = model_place(files.place()),
          .adapter = files.adapter() == nullptr ? "" : model_place(files.adapter()->place()),
          .fingerprint = files.fingerprint({"config.json", ".safetensors", ".bin", ".index.json"})};
}

std::string PackedSource::file_name() const {
  std::string name = fs::path(model).filename().string().substr(0, 64);
  const auto odd = [](char c) {
    return !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             c == '-');
  };
  std::replace_if(name.begin(), name.end(), odd, '_');
  const std::string whole = adapter.empty() ? model : model + "\n" + adapter;
  return name + "-" + hex(digest(whole)) + "-" + dtype + ".packed";
}

std::string PackedSource::heading(const std::string& packing) const {
  std::string text(kFormat);
  text.append(packing).append("\n").append(dtype).append("\n");
  text.append(model).append(1, '\0').append(adapter).append(1, '\0').append(fingerprint);
  text.resize(round_up_packed(text.size()));
  return text;
}

bool PackedFile::has_model() const {
  const auto is_there = [](const fs::path& place) {
    for (const char* name : {"config.json", "adapter_config.json", "snapshots"}) {
      std::error_code problem;
      if (fs::exists(place / name, problem) || problem) return true;  // out of reach is not gone
    }
    return false;
  };
  return !source.model.empty() && is_there(source.model) &&
         (source.adapter.empty() || is_there(source.adapter));
}

bool is_named(int fd, const std::string& path) {
  struct stat open = {};
  struct stat named = {};
  return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

bool remove_abandoned(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (fd.get() < 0 || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return false;
  return is_named(fd.get(), path) && ::unlink(path.c_str()) == 0;
}

std::vector<PackedFile> packed_files(const std::string& folder) {
  std::vector<PackedFile> files;
  std::error_code problem;
  for (fs::directory_iterator entry(folder, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    const bool unfinished = name.ends_with(std::string(".packed") + kUnfinishedEnding);
    std::error_code gone;
    if ((!name.ends_with(".packed") && !unfinished) || entry->is_symlink(gone) ||
        !entry->is_regular_file(gone)) {
      continue;
    }
    PackedFile file = {.path = entry->path(),
                       .bytes = static_cast<std::int64_t>(entry->file_size(gone)),
                       .unfinished = unfinished,
                       .given_up = false,
                       .source = {}};
    if (gone) continue;
    const Heading heading = read_heading(entry->path());
    file.given_up = unfinished && heading.bytes == static_cast<std::size_t>(file.bytes);
    if (!unfinished) file.source = heading.source;
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(),
            [](const PackedFile& a, const PackedFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace aira
