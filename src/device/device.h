// Which device computes: the CPU, or a GPU through the CUDA backend, a library of its own, so that
// the program starts quickly without it and runs on machines without CUDA.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "aira/device.h"
#include "base/thread_pool.h"
#include "model/backend.h"

namespace aira {

/// The backend for `device`. kAuto takes the GPU if there is one
/// that can be used; if it fails, `notice` gets a sentence and the CPU takes over. `pool` must
/// outlive the backend. Starting a GPU takes a good part of a second. Throws Error: no driver,
/// module missing, driver too old, no device.
std::unique_ptr<Backend> make_backend(Device device, ThreadPool& pool,
                                      const std::function<void(const std::string&)>& notice = {});

/// Whether a GPU is expected to have given `answers` answers sooner than the CPU, its start
/// included; 0 answers: nobody knows how many there will be. `weights`: bytes of the model's file.
bool gpu_is_sooner(std::int64_t weights, std::int64_t answers);

/// Where this program finds its CUDA module; empty when it has none.
std::filesystem::path cuda_module();

/// The CUDA backend from libaira_cuda.so, beside `program` or where it is installed. Throws Error.
std::unique_ptr<Backend> load_cuda_module(const std::filesystem::path& program);

}  // namespace aira
