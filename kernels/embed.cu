// out[t] = tokens[token of t] + positions[position of t].
//
// One block per row, threads along the width.
#include "kernels/device.h"
#include "kernels/kernels.h"
#include "kernels/pages.h"
#include "kernels/storage.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 128;

template <typename Storage>
__global__ void __launch_bounds__(kThreads) embed_block_per_row(EmbedJob job) {
  grid_dependency_trigger();
  grid_dependency_wait();
  const auto t = static_cast<std::int64_t>(blockIdx.x);
  float* out = job.out + t * job.width;
  const bool filler = job.rows.slot[t] < 0;
  const std::int64_t id = filler ? 0 : static_cast<std::int64_t>(token_of(job.rows, t));
  const auto* token = static_cast<const Storage*>(job.tokens) + id * job.stride;
  const float* position =
      job.positions + (filler ? 0 : static_cast<std::int64_t>(job.rows.position[t])) * job.width;
  for (std::int64_t c = threadIdx.x; c < job.width; c += kThreads) {
    if constexpr (std::is_same_v<Storage, std::uint8_t>) {
      const std::uint16_t* scales = scales_of(job.tokens, job.vocab, job.stride);
      const float scale = bfloat_to_float(scales[c / kScaleInputs * scale_pitch(job.vocab) + id]);
      out[c] = fmaf(static_cast<float>(token[c] - 128), scale, position[c]);
    } else {
      out[c] = to_float(token[c]) + position[c];
    }
  }
}

}  // namespace

void embed_rows(const EmbedJob& job, Stream stream) {
  const Launch how = {.grid = static_cast<unsigned>(job.count),
                      .block = kThreads,
                      .stream = stream,
                      .name = "embed_block_per_row"};
  if (job.dtype == DType::kF32) {
    launch(how, embed_block_per_row<float>, job);
  } else if (job.dtype == DType::kI8) {
    launch(how, embed_block_per_row<std::uint8_t>, job);
  } else {
    launch(how, embed_block_per_row<__half>, job);
  }
}

}  // namespace aira::cuda
