// The kernels of sample_kernels.h that use asynchronous copies, atomics, streams and global memory.
#include "sample_kernels.h"

#ifndef AIRA_CUDA_ON_HOST
#include <cuda_bf16.h>
#endif

namespace aira::cuda::sample {
namespace {

constexpr int kStageFloats = 512;

// 128 threads; each fetches four floats of a stage and adds up four that another one fetched.
template <Plant plant>
__global__ void __launch_bounds__(128)
    pipelined_sum_kernel(float* out, const float* in, int stages) {
  float* const shared = block_shared_dynamic<float>();  // [3][kStageFloats]
  const int thread = static_cast<int>(threadIdx.x);
  const auto fetch = [=](int stage) {
    if (stage < stages) {
      copy_async_16(shared + stage % 3 * kStageFloats + thread * 4,
                    in + stage * kStageFloats + thread * 4);
    }
    if (plant != Plant::kMissingCommit) copy_async_commit();
  };
  fetch(0);
  fetch(1);
  const int mine = (thread + 77) % 128 * 4;
  float sum[4] = {};
  for (int stage = 0; stage < stages; ++stage) {
    if (plant != Plant::kMissingCopyWait) copy_async_wait<1>();
    if (plant != Plant::kMissingBarrier) __syncthreads();
    fetch(stage + 2);
    for (int i = 0; i < 4; ++i) sum[i] += shared[stage % 3 * kStageFloats + mine + i];
  }
  for (int i = 0; i < 4; ++i) out[mine + i] = sum[i];
}

struct Last {
  bool block;
};

template <Plant plant>
__global__ void __launch_bounds__(64)
    grid_sum_kernel(float* out, float* partial, unsigned* counter, const float* in, int n) {
  Last& last = block_shared<Last>();
  const int thread = static_cast<int>(threadIdx.x);
  const int i = static_cast<int>(blockIdx.x) * 32 + thread;
  if (thread < 32) {
    const float sum = warp_sum(i < n ? in[i] : 0.0F);
    if (thread == 0) {
      partial[blockIdx.x] = sum;
      if (plant != Plant::kMissingFence) __threadfence();
      if (plant == Plant::kPlainCounter) {
        last.block = (*counter)++ == gridDim.x - 1;
      } else {
        last.block = atomicAdd(counter, 1U) == gridDim.x - 1;
      }
    }
  }
  __syncthreads();
  if (!last.block || thread != 0) return;
  float sum = 0.0F;
  for (unsigned b = 0; b < gridDim.x; ++b) sum += partial[b];
  *out = sum;
  *counter = 0;
}

__global__ void add_one_kernel(float* out, const float* in, int n) {
  grid_dependency_trigger();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) out[i] = in[i] + 1.0F;
}

template <Plant plant>
__global__ void double_kernel(float* out, int n) {
  if (plant != Plant::kMissingGridWait) grid_dependency_wait();
  // Each block takes what another block wrote.
  const int i = static_cast<int>((gridDim.x - 1 - blockIdx.x) * blockDim.x + threadIdx.x);
  if (i < n) out[i] *= 2.0F;
}

__global__ void step_kernel(int* token, int* position, int* history, const int* next) {
  if (threadIdx.x != 0) return;
  history[*position] = *token;
  *token = next[*token];
  ++*position;
}

template <Plant plant>
__global__ void copy_by_four_kernel(float* out, const float* in, int n) {
  const int first = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (first + 4 <= n) {
    *reinterpret_cast<float4*>(out + first) = __ldg(reinterpret_cast<const float4*>(in + first));
  } else if (plant != Plant::kWrongTail) {
    const int end = plant == Plant::kPastEnd ? n + 1 : n;
    for (int i = first; i < end; ++i) {
      out[i] = plant == Plant::kReadPastEnd ? in[i] + 0.0F * in[i + 1] : in[i];
    }
  }
}

__global__ void arrivals_kernel(int* order, int* ticket) {
  order[atomicAdd(ticket, 1)] = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}

__global__ void round_numbers_kernel(std::uint16_t* halves, std::uint16_t* bfloats, const float* in,
                                     int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  halves[i] = __half_as_ushort(__float2half_rn(in[i]));
  bfloats[i] = __bfloat16_as_ushort(__float2bfloat16_rn(in[i]));
}

unsigned blocks_for(int n, int block) { return static_cast<unsigned>((n + block - 1) / block); }

}  // namespace

void pipelined_sum(Plant plant, float* out, const float* in, int stages) {
  const Launch how = {
      .block = 128, .shared_bytes = 3 * kStageFloats * sizeof(float), .name = "pipelined_sum"};
  switch (plant) {
    case Plant::kMissingCommit:
      return launch(how, pipelined_sum_kernel<Plant::kMissingCommit>, out, in, stages);
    case Plant::kMissingCopyWait:
      return launch(how, pipelined_sum_kernel<Plant::kMissingCopyWait>, out, in, stages);
    case Plant::kMissingBarrier:
      return launch(how, pipelined_sum_kernel<Plant::kMissingBarrier>, out, in, stages);
    default:
      return launch(how, pipelined_sum_kernel<Plant::kNothing>, out, in, stages);
  }
}

void grid_sum(Plant plant, float* out, float* partial, unsigned* counter, const float* in, int n) {
  const Launch how = {.grid = blocks_for(n, 32), .block = 64, .name = "grid_sum"};
  switch (plant) {
    case Plant::kMissingFence:
      return launch(how, grid_sum_kernel<Plant::kMissingFence>, out, partial, counter, in, n);
    case Plant::kPlainCounter:
      return launch(how, grid_sum_kernel<Plant::kPlainCounter>, out, partial, counter, in, n);
    default:
      return launch(how, grid_sum_kernel<Plant::kNothing>, out, partial, counter, in, n);
  }
}

void add_one_then_double(Plant plant, float* out, const float* in, int n, cudaStream_t stream) {
  launch({.grid = blocks_for(n, 64), .block = 64, .stream = {stream}, .name = "add_one"},
         add_one_kernel, out, in, n);
  const Launch how = {
      .grid = blocks_for(n, 64), .block = 64, .stream = {stream, true}, .name = "double"};
  if (plant == Plant::kMissingGridWait) {
    launch(how, double_kernel<Plant::kMissingGridWait>, out, n);
  } else {
    launch(how, double_kernel<Plant::kNothing>, out, n);
  }
}

void step(int* token, int* position, int* history, const int* next, cudaStream_t stream) {
  launch({.block = 32, .stream = {stream}, .name = "step"}, step_kernel, token, position, history,
         next);
}

void copy_by_four(Plant plant, float* out, const float* in, int n) {
  const Launch how = {.grid = blocks_for(n, 4 * 32), .block = 32, .name = "copy_by_four"};
  switch (plant) {
    case Plant::kPastEnd:
      return launch(how, copy_by_four_kernel<Plant::kPastEnd>, out, in, n);
    case Plant::kReadPastEnd:
      return launch(how, copy_by_four_kernel<Plant::kReadPastEnd>, out, in, n);
    case Plant::kWrongTail:
      return launch(how, copy_by_four_kernel<Plant::kWrongTail>, out, in, n);
    default:
      return launch(how, copy_by_four_kernel<Plant::kNothing>, out, in, n);
  }
}

void arrivals(int* order, int* ticket, int blocks, int threads) {
  launch({.grid = static_cast<unsigned>(blocks),
          .block = static_cast<unsigned>(threads),
          .name = "arrivals"},
         arrivals_kernel, order, ticket);
}

void round_numbers(std::uint16_t* halves, std::uint16_t* bfloats, const float* in, int n) {
  launch({.grid = blocks_for(n, 256), .block = 256, .name = "round_numbers"}, round_numbers_kernel,
         halves, bfloats, in, n);
}

}  // namespace aira::cuda::sample
