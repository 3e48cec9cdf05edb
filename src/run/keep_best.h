// The first k of many items under a total order, in one pass.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace aira {

/// Offers `item` to `heap`, a heap of the first up to k items so far, the last of them in front.
template <typename Item, typename Before>
void keep_best(std::vector<Item>& heap, std::size_t k, const Item& item, const Before& before) {
  if (heap.size() == k) {
    if (!before(item, heap.front())) return;
    std::pop_heap(heap.begin(), heap.end(), before);
    heap.back() = item;
  } else {
    heap.push_back(item);
  }
  std::push_heap(heap.begin(), heap.end(), before);
}

}  // namespace aira
