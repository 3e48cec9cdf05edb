// Pages of the KV cache: reference counts, and a prefix cache, so that a prompt that begins like an
// earlier one is not computed again from the start.
//
// A full page can be published under its parent (the published page before it, or none) and its own
// ids. Published pages without a user stay cached until room is needed, least recently used first.
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

  /// `pages` in all, of which at most `kept` stay cached without a user.
  PagePool(std::int64_t pages, std::int64_t kept);

  /// A page of the caller's own. available() must be positive.
  std::int32_t take();
  /// Adds a user to a page.
  void share(std::int32_t page);
  /// Removes one.
  void release(std::int32_t page);

  /// Caches that `page` holds `ids` after `parent` (a page, or kNone). Does nothing when another
  /// page is cached for that, or the parent is not cached.
  void publish(std::int32_t page, std::int32_t parent, const PageIds& ids);
  /// The page cached for `ids` after `parent`, with a user added; kNone when there is none.
  std::int32_t find(std::int32_t parent, const PageIds& ids);

  /// Pages that take() could give.
  std::int64_t available() const {
    return static_cast<std::int64_t>(free_.size() + unused_.size());
  }

 private:
  /// A published page is identified by a number that is never reused, so that the continuations of
  /// a page's old contents are not found after its new ones.
  using Key = std::pair<std::uint64_t, PageIds>;
  struct Page {
    std::int32_t users = 0;
    std::uint64_t number = 0;  // 0: not published
    std::map<Key, std::int32_t>::iterator known;
    std::list<std::int32_t>::iterator unused;
  };

  Page& at(std::int32_t page) { return pages_[static_cast<std::size_t>(page)]; }
  /// Evicts the least recently used page without a user.
  std::int32_t evict();

  std::vector<Page> pages_;
  std::vector<std::int32_t> free_;  // a stack
  std::list<std::int32_t> unused_;  // published, without a user, least recently used first
  std::map<Key, std::int32_t> known_;
  std::int64_t kept_;
  std::uint64_t numbers_ = 0;
};

}  // namespace aira
