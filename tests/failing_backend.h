// A Backend whose operations fail when a test says so, as they do for lack of memory on a GPU.
#pragma once

#include <memory>
#include <span>
#include <utility>

#include "aira/error.h"
#include "model/backend.h"

namespace aira {

class FailingBackend final : public Backend {
 public:
  explicit FailingBackend(std::unique_ptr<Backend> backend)
      : Backend(backend->description()), backend_(std::move(backend)) {}

  /// Makes the `n`-th linear from now on, counted from 0, throw; the others work.
  void fail_at(int n) { left_ = n; }
  /// Computed so far.
  std::size_t rows() const { return rows_; }

  Buffer alloc(std::int64_t bytes, const void* contents) override {
    return backend_->alloc(bytes, contents);
  }
  Matrix load_matrix(const HostTensor& source, DType dtype) override {
    return backend_->load_matrix(source, dtype);
  }
  Vector load_vector(const HostTensor& source) override { return backend_->load_vector(source); }
  StepRows reserve(const StepLimits& limits) override { return backend_->reserve(limits); }
  KvCache make_cache(KvCache shape) override { return backend_->make_cache(std::move(shape)); }
  void copy_pages(const KvCache& cache, std::span<const PageCopy> copies) override {
    backend_->copy_pages(cache, copies);
  }
  void begin(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
             const PageTable& table) override {
    rows_ += rows.size();
    backend_->begin(rows, output_rows, table);
  }
  void end() override { backend_->end(); }
  std::span<const float> read(const Tensor& tensor) override { return backend_->read(tensor); }
  void embed(const Matrix& tokens, const Vector& positions, Tensor out) override {
    backend_->embed(tokens, positions, out);
  }
  void layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon, Tensor out,
                 RowSet rows) override {
    backend_->layernorm(x, gain, bias, epsilon, out, rows);
  }
  void linear(Tensor x, const Matrix& weights, const Epilogue& epilogue, Tensor out) override {
    if (left_-- == 0) throw Error("There is not enough memory.");
    backend_->linear(x, weights, epilogue, out);
  }
  void attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                 Tensor out) override {
    backend_->attention(qkv, cache, layer, scale, out);
  }
  DeviceSampler* device_sampler() override { return backend_->device_sampler(); }

 private:
  std::unique_ptr<Backend> backend_;
  int left_ = -1;
  std::size_t rows_ = 0;
};

}  // namespace aira
