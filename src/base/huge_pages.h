// Memory in 2 MB pages: weights are read from end to end for each token, and with 4 kB pages
// address translation takes a fifth to a half of the speed of that.
#pragma once

#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "base/lost_pages.h"

namespace aira {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// At least `bytes` of zeroed memory on a 2 MB boundary, in 2 MB pages if the system has them. Null
/// when there is not enough.
std::shared_ptr<std::byte> allocate_huge_pages(std::size_t bytes);

/// A file mapped read-only. Mapping takes no time, but most file systems keep files in small pages,
/// and copying them costs as much as 48 passes over small pages lose. So the mapping is used as it
/// is, and replaced in place by a copy in 2 MB pages once the process has run that long.
class SettlingFile {
 public:
  /// Maps the first `bytes` (> 0) of the open regular file `fd`, `path` in messages, which may be
  /// closed then. Null when that fails.
  static std::shared_ptr<SettlingFile> map(int fd, std::size_t bytes, const std::string& path);

  /// On a 2 MB boundary.
  const std::byte* data() const { return place_.get(); }
  /// Starts a thread that calls settle() later, if that pays. Must be called once at most.
  void start();
  /// Copies the file into 2 MB pages until `stop` or the end of memory. Others may read it
  /// meanwhile: neither addresses nor bytes change.
  void settle(const std::stop_token& stop);

 private:
  SettlingFile(std::shared_ptr<std::byte> place, std::size_t bytes, const std::string& path)
      : place_(std::move(place)),
        bytes_(bytes),
        watched_(watch_mapping(place_.get(), bytes, path)) {}

  std::shared_ptr<std::byte> place_;
  std::size_t bytes_;
  Watched watched_;
  std::jthread settler_;
};

}  // namespace aira
