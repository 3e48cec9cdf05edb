#include "run/page_pool.h"

#include <cassert>

namespace aira {

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
  at(page).unused = unused_.insert(unused_.end(), page);
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

}  // namespace aira
