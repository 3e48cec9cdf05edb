// The sequences in the KV cache: their ids, their pages, and how far each has been computed; and a
// prefix cache, so that a prompt that begins like an earlier one is not computed again from the
// start.
#pragma once

#include <array>
#include <list>
#include <map>

#include "model/model.h"

namespace aira {

class Task;

/// Pages of the KV cache with reference counts. A full page can be published under its parent (the
/// published page before it, or none) and its own ids. Published pages without a user stay cached
/// until room is needed, least recently used first.
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

/// One sequence. Ids are appended by its owner or, as they are drawn, by the scheduler; the cache
/// follows step by step. An id is kDrawnToken while only the device knows it.
struct Sequence {
  Task* owner = nullptr;          // null once it is closed
  std::int32_t slot = 0;          // its line in the page table
  std::vector<std::int32_t> ids;  // prompt and generated
  std::int64_t given = 0;         // ids of the prompt
  std::int64_t cached = 0;        // ids whose keys and values are, or are about to be, in the cache
  std::int64_t output_from = 0;   // logits are wanted from this position on
  std::int64_t published = 0;     // full pages offered to the prefix cache
  std::vector<std::int32_t> pages;  // of positions 0, 32, 64, ...

  std::int64_t pending() const { return static_cast<std::int64_t>(ids.size()) - cached; }
};

class Sequences {
 public:
  /// `slots` sequences of up to `context` positions each, in the cache of `session`.
  Sequences(Session& session, std::int64_t slots, std::int64_t context);

  std::int64_t slots() const { return static_cast<std::int64_t>(slots_.size()); }
  /// Slots that are neither open nor, by Task::slots(), for a task that has opened others.
  std::int64_t free() const;
  /// Pages that no sequence holds.
  std::int64_t free_pages() const { return pool_.available(); }

  /// A new sequence that begins with `ids`. Leading pages found in the prefix cache are shared, but
  /// positions from `output_from` on are always computed. There must be a free slot, or one for
  /// `owner`.
  Sequence& start(Task& owner, std::span<const std::int32_t> ids, std::int64_t output_from);
  /// A new sequence that shares the first `length` <= parent.cached positions of `parent` and has
  /// no ids beyond them yet. There must be a free slot, or one for the owner.
  Sequence& fork(const Sequence& parent, std::int64_t length);
  void close(Sequence& sequence);
  /// Closes all sequences of `owner`.
  void close_all(Task& owner);

  /// Takes pages for the next `count` positions of `sequence`.
  void reserve_pages(Sequence& sequence, std::int64_t count);
  /// Offers the full pages among the first `computed` positions to the prefix cache. Only to be
  /// called once the computation has succeeded: others will rely on these pages.
  void publish(Sequence& sequence, std::int64_t computed);

  /// The sequence in each slot; null where there is none.
  std::span<const std::shared_ptr<Sequence>> all() const { return slots_; }
  PageTable table() const { return {table_, width_}; }

 private:
  Sequence& open(Task& owner);
  void append_page(Sequence& sequence, std::int32_t page);

  Session& session_;
  std::int64_t width_;  // pages of a slot
  PagePool pool_;
  std::vector<std::shared_ptr<Sequence>> slots_;
  std::vector<std::int32_t> table_;  // [slots, width]
};

}  // namespace aira
