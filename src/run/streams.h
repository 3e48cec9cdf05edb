// The sequences that are in the KV cache at the moment: their ids, their pages, and what of them
// the next step is to compute.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/model.h"
#include "run/page_pool.h"

namespace aira {

class Task;

/// One sequence. Ids are appended by its owner; the cache follows step by step. An id may be
/// kDrawnToken as long as only the device knows it.
struct Stream {
  Task* owner = nullptr;            // who gets the logits
  std::int32_t slot = 0;            // its line in the page table
  std::vector<std::int32_t> ids;    // all that are known
  std::int64_t cached = 0;          // how many of them are in the cache
  std::int64_t wanted_from = 0;     // logits are wanted from this position on
  std::int64_t published = 0;       // pages that PagePool was told of
  std::vector<std::int32_t> pages;  // of positions 0.. in order

  std::int64_t pending() const { return static_cast<std::int64_t>(ids.size()) - cached; }
};

class Streams {
 public:
  /// `slots` sequences of up to `context` positions each, in the cache of `session`.
  Streams(Session& session, std::int64_t slots, std::int64_t context);

  std::int64_t slots() const { return static_cast<std::int64_t>(slots_.size()); }
  std::int64_t free() const { return slots() - open_ - held_; }
  /// Keeps `count` more slots from being free (fewer, when negative): for who will need them.
  void hold(std::int64_t count) { held_ += count; }

  /// A new sequence that begins with `ids`; what of them is known from earlier ones is not computed
  /// again, but for the logits from `wanted_from` on. There must be a free slot.
  Stream& start(Task& owner, std::span<const std::int32_t> ids, std::int64_t wanted_from);
  /// A new sequence that goes on from what `parent` has in the cache, with the same ids. There must
  /// be a free slot.
  Stream& fork(const Stream& parent);
  /// The sequence is not needed any more.
  void close(Stream& stream);

  /// Gives pages to the next `count` positions of `stream`.
  void reserve(Stream& stream, std::int64_t count);
  /// `count` more ids of `stream` are in the cache.
  void advance(Stream& stream, std::int64_t count);

  /// The sequence of each slot, null where there is none.
  std::span<const std::unique_ptr<Stream>> all() const { return slots_; }
  PageTable table() const { return {table_, width_}; }

 private:
  Stream& claim();
  void append_page(Stream& stream, std::int32_t page);

  Session& session_;
  std::int64_t width_;  // pages of a slot
  PagePool pool_;
  std::vector<std::unique_ptr<Stream>> slots_;
  std::vector<std::int32_t> table_;  // [slots, width]
  std::int64_t open_ = 0;
  std::int64_t held_ = 0;
};

}  // namespace aira
