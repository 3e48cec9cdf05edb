#include "cuda/weights.h"

#include <algorithm>

#include "aira/error.h"

namespace aira::cuda {
namespace {

constexpr std::int64_t kPartBytes = std::int64_t{1} << 20;

}  // namespace

void WeightLoader::load(const HostTensor& source, std::int64_t rows, std::int64_t cols, DType dtype,
                        std::int64_t stride, void* to) {
  const std::int64_t row_bytes = cols * size_of(source.dtype);
  // Whole groups of inputs.
  const std::int64_t unit = dtype == DType::kI8 && !source.out_major ? kScaleInputs : 1;
  const std::int64_t part_rows = std::max<std::int64_t>(kPartBytes / row_bytes / unit, 1) * unit;
  part_.reserve(std::min(part_rows, rows) * row_bytes);
  overflows_.reserve(1);
  check(cudaMemsetAsync(overflows_.get(1), 0, sizeof(std::int32_t), stream_), "clearing memory");
  for (std::int64_t first = 0; first < rows; first += part_rows) {
    const std::int64_t count = std::min(part_rows, rows - first);
    std::byte* part = part_.get(count * row_bytes);
    check(cudaMemcpyAsync(part, source.data.get() + first * row_bytes,
                          static_cast<std::size_t>(count * row_bytes), cudaMemcpyHostToDevice,
                          stream_),
          "uploading weights");
    convert({.source = part,
             .stored = source.dtype,
             .out_major = source.out_major,
             .first_row = first,
             .rows = count,
             .cols = cols,
             .to = to,
             .dtype = dtype,
             .out = source.out_major ? rows : cols,
             .stride = stride,
             .overflows = overflows_.get(1)},
            {stream_});
  }
  std::int32_t overflows = 0;
  check(cudaMemcpyAsync(&overflows, overflows_.get(1), sizeof overflows, cudaMemcpyDeviceToHost,
                        stream_),
        "uploading weights");
  check(cudaStreamSynchronize(stream_), "uploading weights");
  if (overflows != 0) {
    throw Error("[E512] a weight is too large for half precision (beyond 65504); use --dtype f32.");
  }
}

Matrix WeightLoader::matrix(const HostTensor& source, DType dtype) {
  const std::int64_t in = source.in();
  const std::int64_t out = source.out();
  const std::int64_t stride = matrix_stride(in, dtype);
  const std::int64_t bytes = matrix_bytes(in, out, dtype);
  const Buffer memory = allocate_device(bytes);
  check(cudaMemsetAsync(memory.get(), 0, static_cast<std::size_t>(bytes), stream_),
        "clearing memory");
  load(source, source.shape[0], source.shape[1], dtype, stride, memory.get());
  return {memory, dtype, in, out};
}

Vector WeightLoader::vector(const HostTensor& source) {
  const std::int64_t size = source.size();
  const Buffer memory = allocate_device(size * size_of(DType::kF32));
  load(source, size, 1, DType::kF32, 1, memory.get());
  return {std::shared_ptr<const float>(memory, static_cast<const float*>(memory.get())), size};
}

}  // namespace aira::cuda
