#include "run/sequences.h"

#include <algorithm>
#include <cassert>
#include <new>

#include "run/task.h"

namespace aira {
namespace {

std::int64_t page_count(std::int64_t positions) {
  return (positions + kPagePositions - 1) / kPagePositions;
}

PagePool::PageIds ids_of_page(const Sequence& sequence, std::int64_t page) {
  PagePool::PageIds ids{};
  std::copy_n(sequence.ids.begin() + page * kPagePositions, kPagePositions, ids.begin());
  return ids;
}

}  // namespace

PagePool::PagePool(std::int64_t pages, std::int64_t kept)
    : pages_(static_cast<std::size_t>(pages)), kept_(kept) {
  // Low pages are reused first, so that memory which is never needed is never touched.
  for (std::int64_t page = pages; page-- > 0;) free_.push_back(static_cast<std::int32_t>(page));
}

std::int32_t PagePool::evict() {
  const std::int32_t page = unused_.front();
  unused_.pop_front();
  known_.erase(at(page).known);
  at(page).number = 0;
  return page;
}

std::int32_t PagePool::take() {
  assert(available() > 0);
  std::int32_t page = kNone;
  if (free_.empty()) {
    page = evict();
  } else {
    page = free_.back();
    free_.pop_back();
  }
  at(page).users = 1;
  return page;
}

void PagePool::share(std::int32_t page) {
  if (at(page).users++ == 0) unused_.erase(at(page).unused);
}

void PagePool::release(std::int32_t page) {
  assert(at(page).users > 0);
  if (--at(page).users > 0) return;
  if (at(page).number == 0) {
    free_.push_back(page);
    return;
  }
  try {
    at(page).unused = unused_.insert(unused_.end(), page);
  } catch (const std::bad_alloc&) {  // then it is not kept
    known_.erase(at(page).known);
    at(page).number = 0;
    return free_.push_back(page);
  }
  if (static_cast<std::int64_t>(unused_.size()) > kept_) free_.push_back(evict());
}

void PagePool::publish(std::int32_t page, std::int32_t parent, const PageIds& ids) {
  if (at(page).number != 0 || (parent != kNone && at(parent).number == 0)) return;
  const std::uint64_t after = parent == kNone ? 0 : at(parent).number;
  const auto [entry, added] = known_.emplace(Key{after, ids}, page);
  if (!added) return;
  at(page).number = ++numbers_;
  at(page).known = entry;
}

std::int32_t PagePool::find(std::int32_t parent, const PageIds& ids) {
  if (parent != kNone && at(parent).number == 0) return kNone;
  const auto found = known_.find({parent == kNone ? 0 : at(parent).number, ids});
  if (found == known_.end()) return kNone;
  share(found->second);
  return found->second;
}

// Each slot can have pages for a whole context, so a sequence that has begun can always go on. The
// prefix cache may keep two contexts' worth of pages on top.
Sequences::Sequences(Session& session, std::int64_t slots, std::int64_t context)
    : session_(session),
      width_(page_count(context)),
      pool_(slots * width_, 2 * width_),
      slots_(static_cast<std::size_t>(slots)),
      table_(static_cast<std::size_t>(slots * width_)) {}

std::int64_t Sequences::free() const {
  std::map<const Task*, std::int64_t> open;
  for (const auto& sequence : slots_) {
    if (sequence) ++open[sequence->owner];
  }
  std::int64_t free = slots();
  for (const auto& [owner, count] : open) free -= std::max(count, owner->slots());
  return free;
}

Sequence& Sequences::open(Task& owner) {
  const auto slot = std::find(slots_.begin(), slots_.end(), nullptr);
  assert(slot != slots_.end());
  *slot = std::make_shared<Sequence>();
  (*slot)->pages.reserve(static_cast<std::size_t>(width_));
  (*slot)->owner = &owner;
  (*slot)->slot = static_cast<std::int32_t>(slot - slots_.begin());
  return **slot;
}

void Sequences::append_page(Sequence& sequence, std::int32_t page) {
  const auto line = static_cast<std::size_t>(sequence.slot * width_);
  table_[line + sequence.pages.size()] = page;
  sequence.pages.push_back(page);
}

Sequence& Sequences::start(Task& owner, std::span<const std::int32_t> ids,
                           std::int64_t output_from) {
  Sequence& sequence = open(owner);
  sequence.ids.assign(ids.begin(), ids.end());
  sequence.output_from = output_from;
  sequence.given = static_cast<std::int64_t>(ids.size());
  std::int32_t page = PagePool::kNone;
  while (sequence.cached + kPagePositions <= output_from) {
    page = pool_.find(page, ids_of_page(sequence, sequence.published));
    if (page == PagePool::kNone) break;
    append_page(sequence, page);
    sequence.cached += kPagePositions;
    ++sequence.published;
  }
  return sequence;
}

Sequence& Sequences::fork(const Sequence& parent, std::int64_t length) {
  Sequence& sequence = open(*parent.owner);
  sequence.ids.assign(parent.ids.begin(), parent.ids.begin() + length);
  sequence.cached = length;
  sequence.output_from = length;
  sequence.given = std::min(parent.given, length);
  const std::int64_t whole = length / kPagePositions;
  sequence.published = std::min(parent.published, whole);
  for (const std::int32_t page : std::span(parent.pages).first(static_cast<std::size_t>(whole))) {
    pool_.share(page);
    append_page(sequence, page);
  }
  if (length % kPagePositions != 0) {
    const PageCopy copy{.from = parent.pages[sequence.pages.size()], .to = pool_.take()};
    append_page(sequence, copy.to);
    session_.copy_pages({&copy, 1});
  }
  return sequence;
}

void Sequences::close(Sequence& sequence) {
  // The last page first: the prefix cache forgets pages in the order of their release, and a page
  // is of no use without those before it.
  for (auto page = sequence.pages.rbegin(); page != sequence.pages.rend(); ++page) {
    pool_.release(*page);
  }
  sequence.pages.clear();
  sequence.owner = nullptr;
  slots_[static_cast<std::size_t>(sequence.slot)].reset();
}

void Sequences::close_all(Task& owner) {
  for (const auto& sequence : slots_) {
    if (sequence && sequence->owner == &owner) close(*sequence);
  }
}

void Sequences::reserve_pages(Sequence& sequence, std::int64_t count) {
  const auto pages = static_cast<std::size_t>(page_count(sequence.cached + count));
  while (sequence.pages.size() < pages) append_page(sequence, pool_.take());
}

void Sequences::publish(Sequence& sequence, std::int64_t computed) {
  for (; sequence.published < computed / kPagePositions; ++sequence.published) {
    const auto page = static_cast<std::size_t>(sequence.published);
    pool_.publish(sequence.pages[page], page == 0 ? PagePool::kNone : sequence.pages[page - 1],
                  ids_of_page(sequence, sequence.published));
  }
}

}  // namespace aira
