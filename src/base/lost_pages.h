// Files that others cut short while they are mapped, or whose disk fails: reading a page that the
// system cannot bring in is a SIGBUS. A program that handles it asks here which file that was.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace aira {

/// Takes a mapping out of the list.
struct Forget {
  void operator()(void* entry) const;
};
using Watched = std::unique_ptr<void, Forget>;

/// Puts the mapping of `size` bytes at `begin` of the file `path` on a list until the result is
/// destroyed, which must be before it is unmapped.
Watched watch_mapping(const void* begin, std::size_t size, const std::string& path);

/// The sentence, with its id, for a mapping on the list that `address` belongs to; null for none.
/// Safe in a signal handler.
const char* lost_page_sentence(const void* address);

}  // namespace aira
