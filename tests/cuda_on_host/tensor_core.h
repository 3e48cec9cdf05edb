// The warp's matrix instructions; the fragments' layouts are those of PTX (see
// kernels/device.h).
#pragma once

#include <cstdint>

#include "source_location.h"

namespace cuda_on_host {

/// d += a b over the warp: 16x16 and 16x8 halves, products and sums in float.
void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                  std::source_location where);

/// Gives each lane the addresses of the elements it gets from `tiles` 8x8 tiles of halves: two for
/// each tile. `row` is the address of row (lane % 8) of tile (lane / 8).
void matrix_addresses(const std::uint16_t** elements, int tiles, bool transposed, const void* row,
                      std::source_location where);

/// Reads shared memory here, where sanitizers see it, one lane its own elements.
inline void load_matrix(std::uint32_t* r, int tiles, bool transposed, const void* row,
                        std::source_location where) {
  const std::uint16_t* elements[8];
  matrix_addresses(elements, tiles, transposed, row, where);
  for (int i = 0; i < tiles; ++i) {
    r[i] = static_cast<std::uint32_t>(*elements[2 * i]) |
           static_cast<std::uint32_t>(*elements[2 * i + 1]) << 16;
  }
}

}  // namespace cuda_on_host
