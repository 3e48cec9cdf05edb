// The list only grows, by entries that are used again, so that a handler may walk it while other
// threads map files. An entry that it finds cannot change meanwhile: its own thread reads there.
#include "base/lost_pages.h"

#include <atomic>
#include <mutex>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

struct Entry {
  std::atomic<const std::byte*> begin = nullptr;  // null: free
  std::atomic<std::size_t> size = 0;
  std::string sentence;
  Entry* next = nullptr;
};

std::mutex mutex;  // of those who change the list
std::atomic<Entry*> first = nullptr;
static_assert(std::atomic<Entry*>::is_always_lock_free);
static_assert(std::atomic<std::size_t>::is_always_lock_free);

Entry* free_entry() {
  for (Entry* entry = first; entry != nullptr; entry = entry->next) {
    if (entry->begin == nullptr) return entry;
  }
  auto* const entry = new Entry;  // for the rest of the program
  entry->next = first;
  first = entry;
  return entry;
}

}  // namespace

void Forget::operator()(void* entry) const {
  const std::lock_guard lock(mutex);
  static_cast<Entry*>(entry)->begin = nullptr;
}

Watched watch_mapping(const void* begin, std::size_t size, const std::string& path) {
  std::string sentence =
      message("[E545] {} was cut short while it was in use, or its disk failed; start again.",
              {printable(path)});
  const std::lock_guard lock(mutex);
  Entry* const entry = free_entry();
  entry->sentence = std::move(sentence);
  entry->size = size;
  entry->begin = static_cast<const std::byte*>(begin);
  return Watched(entry);
}

const char* lost_page_sentence(const void* address) {
  const auto* const at = static_cast<const std::byte*>(address);
  for (const Entry* entry = first; entry != nullptr; entry = entry->next) {
    const std::byte* const begin = entry->begin;
    if (begin != nullptr && at >= begin && at < begin + entry->size) return entry->sentence.c_str();
  }
  return nullptr;
}

}  // namespace aira
