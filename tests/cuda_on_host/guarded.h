// Memory of exactly the size asked for, all 0xff (a NaN in every float type, -1 in every integer).
// AddressSanitizer watches its ends; without it guard bytes on both sides are compared later.
#pragma once

#include <cstddef>

namespace cuda_on_host {

/// On a boundary of `alignment`, a power of two of at least 16. Null when there is none.
void* guarded_alloc(std::size_t bytes, std::size_t alignment);
/// Whether the bytes around it are what they were.
bool guards_intact(const void* memory, std::size_t bytes);
void set_guards(void* memory, std::size_t bytes);
void guarded_free(void* memory, std::size_t alignment);

}  // namespace cuda_on_host
