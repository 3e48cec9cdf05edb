#include "base/disk_space.h"

#include <sys/statvfs.h>
#include <unistd.h>

namespace aira {

namespace fs = std::filesystem;

std::optional<std::int64_t> free_space(fs::path folder) {
  std::error_code problem;
  folder = fs::absolute(folder, problem);
  while (!fs::exists(folder, problem) && folder.has_relative_path()) folder = folder.parent_path();
  struct statvfs info = {};
  if (::access(folder.c_str(), W_OK | X_OK) != 0 || ::statvfs(folder.c_str(), &info) != 0) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize);
}

}  // namespace aira
