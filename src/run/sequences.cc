#include "run/sequences.h"

#include <algorithm>
#include <array>
#include <cassert>

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

// Each slot can have pages for a whole context, so a sequence that has begun can always go on. The
// prefix cache may keep two contexts' worth of pages on top.
Sequences::Sequences(Session& session, std::int64_t slots, std::int64_t context)
    : session_(session),
      width_(page_count(context)),
      pool_(slots * width_, 2 * width_),
      slots_(static_cast<std::size_t>(slots)),
      table_(static_cast<std::size_t>(slots * width_)) {}

std::int64_t Sequences::free() const {
  std::int64_t free = slots();
  for (const auto& [owner, share] : shares_) free -= std::max(share.open, share.reserved);
  return free;
}

Sequence& Sequences::open(Task& owner) {
  const auto slot = std::find(slots_.begin(), slots_.end(), nullptr);
  assert(slot != slots_.end());
  *slot = std::make_shared<Sequence>();
  (*slot)->owner = &owner;
  (*slot)->slot = static_cast<std::int32_t>(slot - slots_.begin());
  ++shares_[&owner].open;
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
  while (sequence.cached + kPagePositions <= output_from) {
    const std::int32_t parent = sequence.pages.empty() ? PagePool::kNone : sequence.pages.back();
    const std::int32_t page =
        pool_.find(parent, ids_of_page(sequence, sequence.cached / kPagePositions));
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
  for (std::int64_t i = 0; i < whole; ++i) {
    const std::int32_t page = parent.pages[static_cast<std::size_t>(i)];
    pool_.share(page);
    append_page(sequence, page);
  }
  if (length % kPagePositions != 0) {
    const std::array<PageCopy, 1> copy = {
        {{.from = parent.pages[static_cast<std::size_t>(whole)], .to = pool_.take()}}};
    append_page(sequence, copy[0].to);
    session_.copy_pages(copy);
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
  --shares_[sequence.owner].open;
  sequence.owner = nullptr;
  slots_[static_cast<std::size_t>(sequence.slot)].reset();
}

void Sequences::close_all(Task& owner) {
  for (const auto& sequence : slots_) {
    if (sequence && sequence->owner == &owner) close(*sequence);
  }
  shares_.erase(&owner);
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
