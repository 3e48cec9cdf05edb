// Pages of the KV cache: which are free, who shares one, and which full ones hold a known beginning
// of a text, so that a later prompt that begins alike need not be computed again.
//
// A full page can be published under what it continues (its parent, a published page, or nothing)
// and its own ids. Published pages that nobody uses any more are kept for a while, the oldest going
// first.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "model/backend.h"

namespace aira {

class PagePool {
 public:
  using PageIds = std::array<std::int32_t, kPagePositions>;
  static constexpr std::int32_t kNone = -1;

  /// `pages` in all, of which at most `kept` stay published without a user.
  PagePool(std::int64_t pages, std::int64_t kept);

  /// A page of the caller's own. There must be one: free or kept.
  std::int32_t take();
  /// One more user of a page.
  void share(std::int32_t page);
  /// One user less.
  void release(std::int32_t page);

  /// Makes known that `page` holds `ids` after what `parent` (a page, or kNone) ends; nothing when
  /// another page is known for that already, or the parent is not known.
  void publish(std::int32_t page, std::int32_t parent, const PageIds& ids);
  /// The page known for `ids` after `parent`, with one user more; kNone when there is none.
  std::int32_t find(std::int32_t parent, const PageIds& ids);

  /// Pages that take() could give.
  std::int64_t available() const {
    return static_cast<std::int64_t>(free_.size() + unused_.size());
  }

 private:
  /// A published page is known by a number that is never used again, so that what continued a page
  /// of long ago cannot be found after the page's new contents.
  using Key = std::pair<std::uint64_t, PageIds>;
  struct Page {
    std::int32_t users = 0;
    std::uint64_t number = 0;  // 0: not published
    std::map<Key, std::int32_t>::iterator known;
    std::list<std::int32_t>::iterator unused;
  };

  Page& at(std::int32_t page) { return pages_[static_cast<std::size_t>(page)]; }
  /// Forgets the published page that has been without a user for the longest time.
  std::int32_t forget_oldest();

  std::vector<Page> pages_;
  std::vector<std::int32_t> free_;  // the last one is given out first
  std::list<std::int32_t> unused_;  // published, without a user, the oldest first
  std::map<Key, std::int32_t> known_;
  std::int64_t kept_;
  std::uint64_t numbers_ = 0;
};

}  // namespace aira
