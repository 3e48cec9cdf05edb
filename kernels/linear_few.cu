// y = residual + activation(norm(x) W + bias) for few rows and f16 or int8 weights, on tensor
// cores. Bound by the bandwidth of W; for a row or two, by the latency between kernels.
//
// A block computes 8, 16 or 32 outputs of 8 rows. Its warps split the inputs by whole slices.
// Everything that does not depend on the previous kernel (weights, bias, gains) is loaded before
// the wait for it; after the wait, a warp only needs its own slices of x. The warps synchronise
// twice: for the moments of a LayerNorm, and to add up the slices. If there are many more outputs
// than blocks (the vocabulary), a block loops over tiles with the same x and prefetches the next
// weights while it multiplies. More rows take more blocks (grid y), which find W in the L2 cache.
#include "kernels/activation.h"
#include "kernels/linear_slices.h"

namespace aira::cuda {
namespace {

constexpr int kRows = 8;
constexpr int kMostWarps = 16;
constexpr int kLoopBlocks = 2;  // per multiprocessor, when blocks loop over tiles

/// How the work is split.
struct Plan {
  Slices slices;
  int warps = 0;
  int parts = 0;  // per warp
  int tiles = 0;  // of outputs
};

/// A lane's weights of one part, for kEights x 8 outputs.
template <typename Storage, int kEights>
struct Weights {
  StoredPiece<Storage> piece[kPartChunks][kEights];
  std::uint16_t scale[2][kEights] = {};  // of the part's groups, for int8
};

template <typename Storage, int kEights>
__device__ __forceinline__ Weights<Storage, kEights> fetch(const LinearJob& job, int tile,
                                                           int part) {
  Weights<Storage, kEights> weights;
  const int output = tile * kEights * 8 + static_cast<int>(threadIdx.x % 32) / 4;
  const int k = own_input(part, 0);
  const int stride = static_cast<int>(job.stride);
  const auto* from =
      static_cast<const Storage*>(job.weights) + static_cast<std::int64_t>(output) * stride + k;
#pragma unroll
  for (int c = 0; c < kPartChunks; ++c) {
#pragma unroll
    for (int e = 0; e < kEights; ++e) {
      const bool there = output + 8 * e < job.out && k + c * kChunkInputs < stride;
      weights.piece[c][e] = {};
      if (there) {
        weights.piece[c][e] = __ldg(reinterpret_cast<const StoredPiece<Storage>*>(
            from + 8 * e * stride + c * kChunkInputs));
      }
    }
  }
  if constexpr (kScaled<Storage>) {
    const int group = first_group(part);
    const std::int64_t pitch = scale_pitch(job.out);
    const std::uint16_t* scales = scales_of(job.weights, job.out, stride) + group * pitch + output;
#pragma unroll
    for (int g = 0; g < 2; ++g) {
#pragma unroll
      for (int e = 0; e < kEights; ++e) {
        if (output + 8 * e < job.out && group + g < scale_groups(job.in)) {
          weights.scale[g][e] = __ldg(scales + g * pitch + 8 * e);
        }
      }
    }
  }
  return weights;
}

/// kParts: parts per warp if that is a small number, each of them a slice whose inputs stay in
/// registers; 0 for any number, and for an `in` that is not a multiple of four. kLoops: blocks loop
/// over tiles, with one part per warp.
template <typename Storage, int kEights, int kParts, bool kNorm, bool kLoops>
__global__ void __launch_bounds__(kMostWarps * 32, 1)
    linear_few_block_per_outputs(LinearJob job, Plan plan) {
  static_assert((!kNorm || kParts > 0) && (!kLoops || kParts == 1));
  constexpr int kOutputs = kEights * 8;
  constexpr int kTiles = (kEights + 1) / 2;  // of 16 outputs
  constexpr int kPitch = kOutputs + 4;       // of a row of sums: stores hit each bank once
  constexpr int kKept = kParts > 0 ? kParts : 1;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int first_row = static_cast<int>(blockIdx.y) * kRows;
  const int rows = min(static_cast<int>(job.rows) - first_row, kRows);
  const int in = static_cast<int>(job.in);
  const int parts = kParts > 0 ? kParts : plan.parts;
  const int first_part = static_cast<int>(threadIdx.x / 32) * parts;
  const int all_parts = plan.slices.count * plan.slices.parts;
  const int sums_size = plan.slices.count * kRows * kPitch;
  auto* const sums = block_shared_dynamic<float>();
  float* const gain = sums + (kLoops ? 2 : 1) * sums_size;
  float* const shift = gain + plan.warps * parts * kPartInputs;
  // [all_parts][kRows]
  auto* const moments = reinterpret_cast<Moments*>(shift + plan.warps * parts * kPartInputs);

  Weights<Storage, kEights> weights[kKept];
#pragma unroll
  for (int p = 0; p < kKept; ++p) {
    weights[p] = fetch<Storage, kEights>(job, static_cast<int>(blockIdx.x), first_part + p);
  }
  // A thread finishes one output of each tile, for every row_step-th row.
  const int own_output = static_cast<int>(threadIdx.x) % kOutputs;
  const int own_row = static_cast<int>(threadIdx.x) / kOutputs;
  const int row_step = static_cast<int>(blockDim.x) / kOutputs;
  const auto bias_of = [&](int tile) {
    const std::int64_t output = static_cast<std::int64_t>(tile) * kOutputs + own_output;
    return job.bias != nullptr && output < job.out ? job.bias[output] : 0.0F;
  };
  float bias = bias_of(static_cast<int>(blockIdx.x));
  if constexpr (kNorm) {
    for (int k = static_cast<int>(threadIdx.x); k < in; k += static_cast<int>(blockDim.x)) {
      gain[k] = job.norm.gain[k];
      shift[k] = job.norm.bias[k];
    }
  }
  grid_dependency_trigger();
  grid_dependency_wait();

  const auto residual_of = [&](int tile, int r) {
    const std::int64_t output = static_cast<std::int64_t>(tile) * kOutputs + own_output;
    return job.residual != nullptr && output < job.out && r < rows
               ? job.residual[(first_row + r) * job.out + output]
               : 0.0F;
  };
  const float first_residual = residual_of(static_cast<int>(blockIdx.x), own_row);
  const float* x = nullptr;  // the lane's row
  if (lane / 4 < rows) {
    const std::int64_t row = first_row + lane / 4;
    x = job.x + (job.from == nullptr ? row : job.from[row]) * in;
  }
  uint4 words[kKept][kPartChunks];
  if constexpr (kNorm) {
    PartInputs inputs[kKept];
#pragma unroll
    for (int p = 0; p < kKept; ++p) inputs[p] = load_part<true>(x, first_part + p, in);
#pragma unroll
    for (int p = 0; p < kKept; ++p) {
      const Moments mine = moments_of(inputs[p], first_part + p, in);
      if (lane % 4 == 0 && first_part + p < all_parts) {
        moments[(first_part + p) * kRows + lane / 4] = mine;
      }
    }
    __syncthreads();
    const RowNorm norm =
        combine_moments(moments + lane / 4, kRows, all_parts, in, job.norm.epsilon);
#pragma unroll
    for (int p = 0; p < kKept; ++p) {
      if (x != nullptr) normalise(inputs[p], first_part + p, in, norm, gain, shift);
      to_halves(inputs[p], words[p]);
    }
  } else if constexpr (kParts > 0) {
#pragma unroll
    for (int p = 0; p < kKept; ++p) to_halves(load_part<true>(x, first_part + p, in), words[p]);
  }

  int buffer = 0;
  for (int tile = static_cast<int>(blockIdx.x); tile < plan.tiles;
       tile += static_cast<int>(gridDim.x)) {
    float* const to = sums + buffer * sums_size;
    float acc[kTiles][1][4] = {};
    // Accumulates a part's products and stores the sums of a completed slice.
    const auto multiply = [&](int p, const Weights<Storage, kEights>& w,
                              const uint4(&halves)[kPartChunks]) {
#pragma unroll
      for (int c = 0; c < kPartChunks; ++c) {
        const uint4 inputs[1] = {halves[c]};
        const int group = group_of(first_part + p, c);
        uint4 outputs[2][kTiles] = {};  // rows g, rows g + 8
        float scale[kTiles][2] = {};
#pragma unroll
        for (int e = 0; e < kEights; ++e) {
          outputs[e % 2][e / 2] = halves_of(w.piece[c][e]);
          scale[e / 2][e % 2] = bfloat_to_float(group == 0 ? w.scale[0][e] : w.scale[1][e]);
        }
        multiply_chunk<Storage>(acc, outputs[0], outputs[1], inputs, scale);
      }
      int slice = first_part + p;
      if constexpr (kParts == 0) {
        if ((slice + 1) % plan.slices.parts != 0) return;
        slice /= plan.slices.parts;
      }
      if (slice >= plan.slices.count) return;
#pragma unroll
      for (int e = 0; e < kEights; ++e) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& sum = acc[e / 2][0][e % 2 * 2 + i];
          to[(slice * kRows + lane % 4 * 2 + i) * kPitch + lane / 4 + e * 8] = sum;
          sum = 0;
        }
      }
    };
    if constexpr (kLoops) {
      const Weights<Storage, kEights> now = weights[0];
      weights[0] = fetch<Storage, kEights>(job, tile + static_cast<int>(gridDim.x), first_part);
      multiply(0, now, words[0]);
    } else if constexpr (kParts > 0) {
#pragma unroll
      for (int p = 0; p < kKept; ++p) multiply(p, weights[p], words[p]);
    } else {
      for (int p = 0; p < parts; ++p) {
        const Weights<Storage, kEights> now = weights[0];
        if (p + 1 < parts) weights[0] = fetch<Storage, kEights>(job, tile, first_part + p + 1);
        to_halves(load_part<false>(x, first_part + p, in), words[0]);
        multiply(p, now, words[0]);
      }
    }
    __syncthreads();
    const std::int64_t output = static_cast<std::int64_t>(tile) * kOutputs + own_output;
    for (int r = own_row; r < rows && output < job.out; r += row_step) {
      float sum = 0;
#pragma unroll 8
      for (int s = 0; s < plan.slices.count; ++s) sum += to[(s * kRows + r) * kPitch + own_output];
      const float residual = !kLoops && r == own_row ? first_residual : residual_of(tile, r);
      job.y[(first_row + r) * job.out + output] = activate(sum + bias, job.activation) + residual;
    }
    if constexpr (!kLoops) return;
    bias = bias_of(tile + static_cast<int>(gridDim.x));
    buffer = 1 - buffer;
  }
}

template <typename Storage, int kEights, int kParts, bool kNorm, bool kLoops = false>
void launch_few(const LinearJob& job, Plan plan, Stream stream) {
  const auto kernel = linear_few_block_per_outputs<Storage, kEights, kParts, kNorm, kLoops>;
  plan.tiles = static_cast<int>((job.out + kEights * 8 - 1) / (kEights * 8));
  const int parts = plan.slices.count * plan.slices.parts;
  const std::int64_t floats =
      (kLoops ? 2 : 1) * plan.slices.count * kRows * (kEights * 8 + 4) +
      (kNorm ? 2 * plan.warps * plan.parts * kPartInputs + 2 * parts * kRows : 0);
  const std::int64_t bytes = floats * static_cast<std::int64_t>(sizeof(float));
  const int blocks = kLoops ? multiprocessors() * kLoopBlocks : plan.tiles;
  allow_shared(kernel, bytes);
  launch({.grid = {static_cast<unsigned>(blocks),
                   static_cast<unsigned>((job.rows + kRows - 1) / kRows)},
          .block = static_cast<unsigned>(plan.warps * 32),
          .shared_bytes = static_cast<std::size_t>(bytes),
          .stream = stream,
          .name = "linear_few_block_per_outputs"},
         kernel, job, plan);
}

/// Chooses the outputs per block: as many as leave work for a quarter of the multiprocessors,
/// because a block costs more than the work it takes off the others (measured on an H100).
template <typename Storage, bool kNorm>
void launch_parts(const LinearJob& job, const Plan& plan, Stream stream) {
  const std::int64_t most = multiprocessors();
  if (plan.parts == 2) {
    launch_few<Storage, 1, 2, kNorm>(job, plan, stream);
  } else if (job.out > 2 * kLoopBlocks * most * 16) {
    launch_few<Storage, 2, 1, kNorm, true>(job, plan, stream);
  } else if (job.out > most / 4 * 32) {
    launch_few<Storage, 4, 1, kNorm>(job, plan, stream);
  } else if (job.out > most / 4 * 16) {
    launch_few<Storage, 2, 1, kNorm>(job, plan, stream);
  } else {
    launch_few<Storage, 1, 1, kNorm>(job, plan, stream);
  }
}

template <typename Storage>
void launch_stored(const LinearJob& job, Stream stream) {
  Plan plan{.slices = slices_of(job.stride)};
  const int warp_slices = (plan.slices.count + kMostWarps - 1) / kMostWarps;
  plan.warps = (plan.slices.count + warp_slices - 1) / warp_slices;
  plan.parts = warp_slices * plan.slices.parts;
  if (job.norm.gain != nullptr) {
    if (!linear_can_normalise(job.in)) throw Error("linear_few: no LayerNorm of such rows.");
    launch_parts<Storage, true>(job, plan, stream);
  } else if (plan.parts <= 2 && job.in % 4 == 0) {
    launch_parts<Storage, false>(job, plan, stream);
  } else {
    launch_few<Storage, 1, 0, false>(job, plan, stream);
  }
}

}  // namespace

void linear_few(const LinearJob& job, Stream stream) {
  if (job.dtype == DType::kI8) return launch_stored<std::uint8_t>(job, stream);
  if (job.dtype != DType::kF16) throw Error("linear_few: the weights are in f32.");
  launch_stored<__half>(job, stream);
}

}  // namespace aira::cuda
