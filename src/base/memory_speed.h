// How fast memory is read: the limit of decoding, where each step reads every weight once.
#pragma once

#include <cstdint>
#include <span>

#include "base/thread_pool.h"

namespace aira {

/// Bytes per second at which all threads of `pool` together read `words`, which should be many more
/// than caches hold.
double read_speed(std::span<const std::uint64_t> words, ThreadPool& pool);

}  // namespace aira
