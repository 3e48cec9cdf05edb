// Numbers in device memory, for tests.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/launch.h"

namespace aira::cuda::sample {

template <typename T>
class DeviceArray {
 public:
  /// Uninitialised: 0xff in every byte.
  explicit DeviceArray(std::size_t size) : size_(size) {
    check(cudaMalloc(&data_, size * sizeof(T)), "allocating");
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) { write(values); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { static_cast<void>(cudaFree(data_)); }

  T* get() const { return data_; }
  void write(const std::vector<T>& values) {
    check(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), "writing");
  }
  std::vector<T> read() const {
    check(cudaDeviceSynchronize(), "waiting");
    std::vector<T> values(size_);
    check(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), "reading");
    return values;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_;
};

}  // namespace aira::cuda::sample
