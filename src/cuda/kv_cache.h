// The KV cache on the device: of each layer its keys and then its values, pages of each; behind all
// layers the tokens of the positions, [pages, kPagePositions] ids, which the repetition penalty of
// a draw counts.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/kernels.h"
#include "model/backend.h"

namespace aira::cuda {

/// Bytes of a layer's keys, and of its values.
std::int64_t keys_bytes(const KvCache& cache);
std::int32_t* tokens_of(const KvCache& cache);

/// Backend::make_cache. Throws Error when heads are too large or memory too small.
KvCache make_cache(KvCache shape);
/// Backend::copy_pages.
void copy_pages(const KvCache& cache, std::span<const PageCopy> copies, Stream stream);

}  // namespace aira::cuda
