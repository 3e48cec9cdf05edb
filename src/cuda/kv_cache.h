// The KV cache on the device: the pages of each layer's keys, then of its values; after all layers
// the token ids of the positions, [pages, kPagePositions], for the repetition penalty of draws.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/kernels.h"
#include "model/backend.h"

namespace aira::cuda {

/// Bytes of a layer's keys, or of its values.
std::int64_t keys_bytes(const KvCache& cache);
std::int32_t* tokens_of(const KvCache& cache);

/// Backend::make_cache. Throws Error when heads are too large or memory too small.
KvCache make_cache(KvCache shape);
/// Backend::copy_pages.
void copy_pages(const KvCache& cache, std::span<const PageCopy> copies, Stream stream);

}  // namespace aira::cuda
