#include "model/packed_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "aira/error.h"
#include "base/printable.h"
#include "base/user_path.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

/// Words that someone writes who wants no cache; folders of these names are written ./off.
bool is_off(std::string word) {
  constexpr std::array<std::string_view, 5> kOff = {"off", "none", "no", "false", "0"};
  std::transform(word.begin(), word.end(), word.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return std::find(kOff.begin(), kOff.end(), word) != kOff.end();
}

/// The one that nobody has named.
std::string default_folder() {
  const fs::path xdg = expand_path(environment("XDG_CACHE_HOME").value_or(""));
  if (!xdg.empty()) return xdg / "aira";
  const fs::path home = environment("HOME").value_or("");
  return home.empty() ? "" : (home / ".cache" / "aira").string();
}

}  // namespace

std::string cache_folder() {
  const std::optional<std::string> own = environment("AIRA_CACHE");
  if (!own) return default_folder();
  return is_off(*own) ? "" : expand_path(*own);
}

bool is_private(const struct stat& info) {
  return info.st_uid == ::geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

PackedFolder::PackedFolder(std::string path, Missing missing) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (missing == Missing::kIsMade) {
    std::error_code problem;
    const fs::path parent = fs::path(path).parent_path();
    if (!parent.empty()) fs::create_directories(parent, problem);
    const bool made = ::mkdir(path.c_str(), S_IRWXU) == 0 || errno == EEXIST;
    if (problem || !made) {
      problem_ = system_message(problem ? problem.value() : errno);
      return;
    }
  }
  folder_.emplace(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat info = {};
  if (get() < 0 || ::fstat(get(), &info) != 0) {
    problem_ = system_message(errno);
    return;
  }
  if (is_private(info)) return;
  if (info.st_uid != ::geteuid()) {
    problem_ = message("that folder belongs to another user");
  } else if (path != default_folder() || ::fchmod(get(), S_IRWXU) != 0) {
    problem_ =
        message("others can write to that folder; {} ends that", {"chmod go-w " + printable(path)});
  }  // else a umask of 002 had made it, and nobody has asked for that
}

int PackedFolder::open(const std::string& name) const {
  if (!problem_.empty()) return -1;
  const int fd = ::openat(get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  struct stat info = {};
  if (fd < 0 || (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && is_private(info))) return fd;
  ::close(fd);
  return -1;
}

}  // namespace aira
