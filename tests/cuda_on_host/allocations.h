// Device and pinned memory, by address.
#pragma once

#include <cstddef>

#include "runtime_api.h"

namespace cuda_on_host {

/// Of bytes at `pointer`: whether they lie within one allocation (`pointer` may be none of ours).
enum class Place : unsigned char { kHost, kPinned, kDevice, kBeyond };
Place place_of(const void* pointer, std::size_t bytes);

/// Throws KernelError when the guards of an allocation are damaged, after the kernel of this name.
void check_guards_after(const char* kernel);

/// Bytes of dynamic shared memory that a launch of `kernel` may ask for.
std::size_t dynamic_shared_limit(const void* kernel);

}  // namespace cuda_on_host
