// Memory in 2 MB pages: weights are read from end to end for each token, and with 4 kB pages
// address translation takes a fifth to a half of the speed of that.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace aira {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// At least `bytes` of zeroed memory on a 2 MB boundary that asks for 2 MB pages (a wish: small
/// ones work too). Null when there is not enough.
std::shared_ptr<std::byte> allocate_huge_pages(std::size_t bytes);

/// A file mapped read-only. Mapping takes no time, but most file systems keep files in small pages;
/// copying costs as much as some 48 passes over small pages lose. So the file is used as it is
/// mapped, and copied into 2 MB pages, in its place, once the process has lived for so long.
class SettlingFile {
 public:
  /// Maps the first `bytes` (> 0) of the open regular file `fd`, which may be closed then. Null
  /// when that fails.
  static std::shared_ptr<SettlingFile> map(int fd, std::size_t bytes);

  SettlingFile(const SettlingFile&) = delete;
  SettlingFile& operator=(const SettlingFile&) = delete;
  ~SettlingFile();

  /// On a 2 MB boundary.
  const std::byte* data() const { return place_.get(); }
  /// To be called once, when the file is about to be read. Enters all of it into the process's page
  /// tables, and has settle() done by a thread of its own when the time has come, unless it would
  /// not pay.
  void start();
  /// Copies the file into 2 MB pages, as far as there is memory. Others may read it meanwhile:
  /// neither addresses nor bytes change. `go_on` is asked before every page.
  void settle(const std::function<bool()>& go_on);

 private:
  void populate(std::size_t begin, std::size_t end) const;
  void settle_in_time();
  SettlingFile(std::shared_ptr<std::byte> place, std::size_t bytes)
      : place_(std::move(place)), bytes_(bytes) {}

  std::shared_ptr<std::byte> place_;
  std::size_t bytes_;
  std::thread settler_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool leaving_ = false;
};

}  // namespace aira
