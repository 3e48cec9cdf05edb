#include "run/streams.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace aira {
namespace {

std::int64_t pages_of(std::int64_t positions) {
  return (positions + kPagePositions - 1) / kPagePositions;
}

PagePool::PageIds ids_of_page(const Stream& stream, std::int64_t page) {
  PagePool::PageIds ids{};
  std::copy_n(stream.ids.begin() + page * kPagePositions, kPagePositions, ids.begin());
  return ids;
}

}  // namespace

// A slot's worst case is reserved, so that a sequence that has begun can always go on. Kept
// besides: as many beginnings of texts as two whole contexts hold.
Streams::Streams(Session& session, std::int64_t slots, std::int64_t context)
    : session_(session),
      width_(pages_of(context)),
      pool_(slots * width_, 2 * width_),
      slots_(static_cast<std::size_t>(slots)),
      table_(static_cast<std::size_t>(slots * width_)) {}

Stream& Streams::claim() {
  const auto slot = std::find(slots_.begin(), slots_.end(), nullptr);
  assert(slot != slots_.end());
  *slot = std::make_unique<Stream>();
  (*slot)->slot = static_cast<std::int32_t>(slot - slots_.begin());
  ++open_;
  return **slot;
}

void Streams::append_page(Stream& stream, std::int32_t page) {
  const auto line = static_cast<std::size_t>(stream.slot * width_);
  table_[line + stream.pages.size()] = page;
  stream.pages.push_back(page);
}

Stream& Streams::start(Task& owner, std::span<const std::int32_t> ids, std::int64_t wanted_from) {
  Stream& stream = claim();
  stream.owner = &owner;
  stream.ids.assign(ids.begin(), ids.end());
  stream.wanted_from = wanted_from;
  while (stream.cached + kPagePositions <= wanted_from) {
    const std::int32_t parent = stream.pages.empty() ? PagePool::kNone : stream.pages.back();
    const std::int32_t page =
        pool_.find(parent, ids_of_page(stream, stream.cached / kPagePositions));
    if (page == PagePool::kNone) break;
    append_page(stream, page);
    stream.cached += kPagePositions;
    ++stream.published;
  }
  return stream;
}

Stream& Streams::fork(const Stream& parent) {
  Stream& stream = claim();
  stream.owner = parent.owner;
  stream.ids = parent.ids;
  stream.cached = parent.cached;
  stream.wanted_from = parent.wanted_from;
  stream.published = std::min(parent.published, parent.cached / kPagePositions);
  const std::int64_t whole = parent.cached / kPagePositions;
  for (std::int64_t i = 0; i < whole; ++i) {
    const std::int32_t page = parent.pages[static_cast<std::size_t>(i)];
    pool_.share(page);
    append_page(stream, page);
  }
  if (parent.cached % kPagePositions != 0) {
    const std::array<PageCopy, 1> copy = {
        {{.from = parent.pages[static_cast<std::size_t>(whole)], .to = pool_.take()}}};
    append_page(stream, copy[0].to);
    session_.copy_pages(copy);
  }
  return stream;
}

void Streams::close(Stream& stream) {
  // The last page first: what is kept is forgotten in the same order, and a page is of no use
  // without those before it.
  for (auto page = stream.pages.rbegin(); page != stream.pages.rend(); ++page) pool_.release(*page);
  --open_;
  slots_[static_cast<std::size_t>(stream.slot)].reset();
}

void Streams::reserve(Stream& stream, std::int64_t count) {
  const auto pages = static_cast<std::size_t>(pages_of(stream.cached + count));
  while (stream.pages.size() < pages) append_page(stream, pool_.take());
}

void Streams::advance(Stream& stream, std::int64_t count) {
  stream.cached += count;
  for (; stream.published < stream.cached / kPagePositions; ++stream.published) {
    const auto page = static_cast<std::size_t>(stream.published);
    const PagePool::PageIds ids = ids_of_page(stream, stream.published);
    if (std::find(ids.begin(), ids.end(), kDrawnToken) != ids.end()) return;  // later
    pool_.publish(stream.pages[page], page == 0 ? PagePool::kNone : stream.pages[page - 1], ids);
  }
}

}  // namespace aira
