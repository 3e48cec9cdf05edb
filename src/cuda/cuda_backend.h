// The Backend over a GPU's memory.
#pragma once

#include <memory>

#include "model/backend.h"

namespace aira {

/// A backend on the first visible GPU (CUDA_VISIBLE_DEVICES chooses). Throws Error if there is no
/// driver, no device, or one that is too old.
std::unique_ptr<Backend> make_cuda_backend();

}  // namespace aira
