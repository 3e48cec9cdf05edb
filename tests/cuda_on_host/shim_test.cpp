// The sample kernels without mistakes, under eight seeds: right results, and nothing for a
// sanitizer to report. Planted mistakes are in planted_mistakes.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "aira/error.h"
#include "control.h"
#include "device_array.h"
#include "sample_checks.h"

namespace aira::cuda::sample {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CudaOnHostSeeds : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  void SetUp() override { cuda_on_host::set_seed(GetParam()); }
  void TearDown() override {
    EXPECT_EQ(cuda_on_host::counts().bytes_allocated, 0U);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  }
};
INSTANTIATE_TEST_SUITE_P(Seed, CudaOnHostSeeds, ::testing::Range<std::uint64_t>(1, 9));

TEST_P(CudaOnHostSeeds, ReducesRows) { EXPECT_TRUE(row_sums_is_right(Plant::kNothing)); }
TEST_P(CudaOnHostSeeds, Scans) { EXPECT_TRUE(scan_is_right(Plant::kNothing)); }
TEST_P(CudaOnHostSeeds, Transposes) { EXPECT_TRUE(transpose_is_right(Plant::kNothing)); }
TEST_P(CudaOnHostSeeds, MultipliesOnTensorCores) {
  EXPECT_TRUE(small_gemm_is_right(Plant::kNothing));
}
TEST_P(CudaOnHostSeeds, CopiesInAPipeline) { EXPECT_TRUE(pipelined_sum_is_right(Plant::kNothing)); }
TEST_P(CudaOnHostSeeds, LastBlockReduces) { EXPECT_TRUE(grid_sum_is_right(Plant::kNothing)); }
TEST_P(CudaOnHostSeeds, StartsDependentKernels) {
  EXPECT_TRUE(grid_wait_is_right(Plant::kNothing));
}
TEST_P(CudaOnHostSeeds, CopiesTails) { EXPECT_TRUE(copy_by_four_is_right(Plant::kNothing)); }

TEST_P(CudaOnHostSeeds, Votes) {
  const DeviceArray<int> out(4);
  block_votes(out.get(), 96);
  EXPECT_THAT(out.read(), ElementsAre(1, 0, 32, 8));
}

TEST_P(CudaOnHostSeeds, CompactsWithBallots) {
  const DeviceArray<int> in(std::vector<int>{0, 3, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                             2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0});
  const DeviceArray<int> out(5);
  const DeviceArray<int> count(1);
  compact(out.get(), count.get(), in.get(), 35);
  EXPECT_THAT(out.read(), ElementsAre(1, 4, 5, 18, 33));
  EXPECT_THAT(count.read(), ElementsAre(5));
}

// A graph keeps arguments as they were; what changes between its launches is in device memory.
TEST_P(CudaOnHostSeeds, RepeatsAGraph) {
  const DeviceArray<int> token(std::vector<int>{2});
  const DeviceArray<int> position(std::vector<int>{0});
  const DeviceArray<int> next(std::vector<int>{3, 0, 1, 2});
  const DeviceArray<int> history(6);
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capturing");
  const std::uint64_t kernels = cuda_on_host::counts().kernels;
  step(token.get(), position.get(), history.get(), next.get(), stream);
  step(token.get(), position.get(), history.get(), next.get(), stream);
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream, &graph), "ending a capture");
  EXPECT_EQ(cuda_on_host::counts().kernels, kernels) << "a capture does nothing yet";
  cudaGraphExec_t exec = nullptr;
  check(cudaGraphInstantiate(&exec, graph, 0), "instantiating");
  for (int i = 0; i < 3; ++i) check(cudaGraphLaunch(exec, stream), "launching a graph");
  check(cudaStreamSynchronize(stream), "waiting");
  EXPECT_THAT(history.read(), ElementsAre(2, 1, 0, 3, 2, 1));
  EXPECT_THAT(position.read(), ElementsAre(6));
  check(cudaGraphExecDestroy(exec), "destroying");
  check(cudaGraphDestroy(graph), "destroying");
  check(cudaStreamDestroy(stream), "destroying");
}

std::uint16_t half_of(int value) {
  return __half_as_ushort(__float2half(static_cast<float>(value)));
}

// PTX ISA, "Matrix Fragments for mma.m16n8k16": where lane L (groupID = L / 4, threadID_in_group =
// L % 4) keeps a0..a7, b0..b3 and c0..c3, in the manual's own words.
TEST(CudaOnHost, ProductHasThePtxLayout) {
  std::vector<std::uint32_t> a(32 * 4);
  std::vector<std::uint32_t> b(32 * 2);
  const auto a_at = [](int row, int column) { return (row * 5 + column * 3) % 17 - 8; };
  const auto b_at = [](int row, int column) { return (row * 7 + column * 2) % 13 - 6; };
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2;
    const int in_group = lane % 4;
    for (int i = 0; i < 8; ++i) {
      const int row = (0 <= i && i < 2) || (4 <= i && i < 6) ? group : group + 8;
      const int column = i < 4 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
      a[static_cast<std::size_t>(lane * 4 + i / 2)] |=
          static_cast<std::uint32_t>(half_of(a_at(row, column))) << (i % 2 * 16);
    }
    for (int i = 0; i < 4; ++i) {
      const int row = i < 2 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
      b[static_cast<std::size_t>(lane * 2 + i / 2)] |=
          static_cast<std::uint32_t>(half_of(b_at(row, group))) << (i % 2 * 16);
    }
  }
  const DeviceArray<float> d(std::vector<float>(128, 0.5F));
  product(d.get(), DeviceArray<std::uint32_t>(a).get(), DeviceArray<std::uint32_t>(b).get());
  const std::vector<float> result = d.read();
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = i < 2 ? lane >> 2 : (lane >> 2) + 8;
      const int column = lane % 4 * 2 + (i & 1);
      int sum = 0;
      for (int k = 0; k < 16; ++k) sum += a_at(row, k) * b_at(k, column);
      EXPECT_EQ(result[static_cast<std::size_t>(lane * 4 + i)], static_cast<float>(sum) + 0.5F)
          << "lane " << lane << ", c" << i;
    }
  }
}

// PTX ISA, ldmatrix: lane L gets row L / 4, elements 2 (L % 4) and the next, of each tile, whose
// row j is at the address that lane 8 tile + j gave; .trans exchanges row and column.
TEST(CudaOnHost, MatrixLoadHasThePtxLayout) {
  std::vector<std::uint16_t> in(256);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<std::uint16_t>(i);
  const DeviceArray<std::uint16_t> tiles(in);
  for (const bool transposed : {false, true}) {
    const DeviceArray<std::uint32_t> r(128);
    matrix_load(r.get(), tiles.get(), transposed);
    const std::vector<std::uint32_t> result = r.read();
    for (unsigned lane = 0; lane < 32; ++lane) {
      for (unsigned tile = 0; tile < 4; ++tile) {
        const auto element = [&](unsigned which) {
          const unsigned row = lane / 4;
          const unsigned column = 2 * (lane % 4) + which;
          return tile * 64 + (transposed ? column * 8 + row : row * 8 + column);
        };
        EXPECT_EQ(result[lane * 4 + tile], element(0) | element(1) << 16)
            << "lane " << lane << ", tile " << tile << (transposed ? ", transposed" : "");
      }
    }
  }
}

TEST(CudaOnHost, RoundsToNearestEven) {
  const std::vector<float> in = {1.0F,           -2.5F,          65504.0F, 65519.996F,
                                 65520.0F,       0x1p-24F,       0x1p-25F, 0x1.8p-25F,
                                 1.00048828125F, 1.00146484375F, 0.0F,     6.1035156e-5F,
                                 -0x1.ffcp-15F,  0x1.ffep-15F};
  const std::vector<std::uint16_t> expected = {0x3c00, 0xc100, 0x7bff, 0x7bff, 0x7c00,
                                               0x0001, 0x0000, 0x0001, 0x3c00, 0x3c02,
                                               0x0000, 0x0400, 0x8400, 0x0400};
  const DeviceArray<float> numbers(in);
  const DeviceArray<std::uint16_t> halves(in.size());
  const DeviceArray<std::uint16_t> bfloats(in.size());
  round_numbers(halves.get(), bfloats.get(), numbers.get(), static_cast<int>(in.size()));
  EXPECT_EQ(halves.read(), expected);
  EXPECT_EQ(bfloats.read()[1], 0xc020);
  EXPECT_EQ(bfloats.read()[8], 0x3f80);
  // Every half that is a number survives the way to float and back.
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const auto half = __ushort_as_half(static_cast<std::uint16_t>(bits));
    if (std::isnan(static_cast<float>(half))) continue;
    ASSERT_EQ(__half_as_ushort(__float2half(static_cast<float>(half))), bits);
  }
}

std::vector<int> arrivals_with(std::uint64_t seed) {
  cuda_on_host::set_seed(seed);
  const DeviceArray<int> order(6 * 70);
  const DeviceArray<int> ticket(std::vector<int>{0});
  arrivals(order.get(), ticket.get(), 6, 70);
  return order.read();
}

TEST(CudaOnHost, SeedsShuffleBlocksWarpsAndLanes) {
  std::set<std::vector<int>> orders;
  std::set<int> first_blocks;
  std::set<int> first_lanes;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const std::vector<int> order = arrivals_with(seed);
    EXPECT_EQ(arrivals_with(seed), order) << "a seed repeats its order";
    EXPECT_EQ(std::set<int>(order.begin(), order.end()).size(), order.size());
    orders.insert(order);
    first_blocks.insert(order.front() / 70);
    first_lanes.insert(order.front() % 70);
  }
  EXPECT_EQ(orders.size(), 8U);
  EXPECT_GE(first_blocks.size(), 3U);
  EXPECT_GE(first_lanes.size(), 5U);
}

TEST(CudaOnHost, RefusesWrongLaunches) {
  const DeviceArray<int> out(4);
  try {
    block_votes(out.get(), 1056);
    FAIL() << "a block of 1056 threads ran";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("starting block_votes"));
  }
  EXPECT_THROW(row_sums(Plant::kNothing, nullptr, nullptr, 0, 1, nullptr), Error);
}

TEST(CudaOnHost, ChecksCopies) {
  const DeviceArray<int> device(4);
  std::vector<int> host(5);
  EXPECT_EQ(cudaMemcpy(device.get(), host.data(), 20, cudaMemcpyHostToDevice),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(device.get(), host.data(), 16, cudaMemcpyDeviceToHost),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(host.data(), 0, 4), cudaErrorInvalidValue);
  EXPECT_EQ(device.read(), std::vector<int>(4, -1)) << "memory starts as 0xff";
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
}

TEST(CudaOnHost, InjectsFailures) {
  cuda_on_host::set_machine({.memory = 1000});
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 1001), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMalloc(&memory, 1000), cudaSuccess);
  std::size_t free_bytes = 1;
  std::size_t all = 0;
  EXPECT_EQ(cudaMemGetInfo(&free_bytes, &all), cudaSuccess);
  EXPECT_EQ(free_bytes, 0U);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
  cuda_on_host::set_machine({.devices = 0, .device_count_status = cudaErrorNoDevice});
  int count = -1;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_EQ(count, 0);
  EXPECT_THROW(check(cudaSetDevice(0), "choosing the device"), Error);
  cuda_on_host::set_machine({});
}

TEST(CudaOnHost, ErrorsNameKernelAndLine) {
  try {
    static_cast<void>(row_sums_is_right(Plant::kDivergentBarrier));
    FAIL() << "the divergent barrier went unnoticed";
  } catch (const cuda_on_host::KernelError& error) {
    EXPECT_THAT(error.what(), HasSubstr("kernel row_sums"));
    EXPECT_THAT(error.what(), HasSubstr("__syncthreads at sample_kernels.cu:"));
  }
  EXPECT_TRUE(row_sums_is_right(Plant::kNothing)) << "the next launch is not affected";
}

}  // namespace
}  // namespace aira::cuda::sample
