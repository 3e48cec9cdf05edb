// Finding and loading the CUDA backend, which is a library of its own: the program starts without
// it and runs where it, or a GPU, is missing. The only part of src/cuda that the program itself
// links.
#pragma once

#include <filesystem>
#include <memory>

#include "model/backend.h"

namespace aira {

/// Whether there is an NVIDIA driver and the module is where load_cuda_backend looks; costs a look
/// at a few file names.
bool can_load_cuda_backend();

/// The CUDA backend from libaira_cuda.so, beside the program or in ../lib. Throws Error with a
/// sentence: no driver, module missing, driver too old, no device, no memory.
std::unique_ptr<Backend> load_cuda_backend();

/// The same for the program at this path, wherever it runs: without a look for the driver.
std::unique_ptr<Backend> load_cuda_module(const std::filesystem::path& program);

}  // namespace aira
