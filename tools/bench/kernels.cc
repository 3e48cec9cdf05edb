// kernel-bench [--tiny]: times every launcher of kernels/kernels.h on the shapes of GPT-2 small and
// on odd ones, and prints a JSON object: per case the median time, GB/s and percent of the copy
// bandwidth measured in the same run; and our linear maps beside cuBLAS's for 1 to 4,096 rows.
// --tiny is for the stand-in of tests/cuda_on_host: it shows that the program works, its times mean
// nothing.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "cuda/gemm.h"
#include "cuda/weights.h"
#include "kernel_timer.h"
#include "kernels/kernels.h"

namespace aira::cuda {
namespace {

struct Shape {
  std::int64_t width, inner, heads, head_size, context, vocab;
};
constexpr Shape kGpt2Small = {768, 3072, 12, 64, 1024, 50259};
constexpr Shape kOdd = {97, 389, 3, 20, 150, 509};

/// "8x768".
std::string text(std::initializer_list<std::int64_t> sizes) {
  std::string all;
  for (const std::int64_t size : sizes) {
    if (!all.empty()) all += 'x';
    all += std::to_string(size);
  }
  return all;
}

std::vector<std::int32_t> counting(std::int64_t count, std::int64_t modulus) {
  std::vector<std::int32_t> all;
  for (std::int64_t i = 0; i < count; ++i) all.push_back(static_cast<std::int32_t>(i % modulus));
  return all;
}

void bench_rows(KernelTimer& bench, const Shape& s, std::int64_t rows) {
  const RowArrays arrays = {bench.indices(counting(rows, s.vocab)),
                            bench.indices(counting(rows, rows)),
                            bench.indices(counting(rows, s.context))};
  const float* x = bench.memory<float>(rows * s.width);
  auto* out = bench.memory<float>(rows * s.width);
  const EmbedJob embed = {.rows = arrays,
                          .count = rows,
                          .tokens = bench.memory<std::uint16_t>(s.vocab * s.width + 8 * s.vocab),
                          .dtype = DType::kF16,
                          .stride = (s.width + 7) / 8 * 8,
                          .positions = bench.memory<float>(s.context * s.width),
                          .width = s.width,
                          .out = out};
  const std::string shape = text({rows, s.width});
  bench.add("embed_rows", shape, rows * s.width * (2 + 4 + 4),
            [&](std::int64_t) { embed_rows(embed, bench.stream()); });
  const LayerNorm norm = {bench.memory<float>(s.width), bench.memory<float>(s.width), 1e-5F};
  bench.add("layernorm", shape, rows * s.width * 8, [&](std::int64_t) {
    layernorm({x, rows, s.width, norm, out, arrays.slot}, bench.stream());
  });
  bench.free_memory();
}

/// A linear map by the kernels that take it, and the product alone by cuBLAS; microseconds.
struct LinearTimes {
  double few = 0;
  double tile = 0;
  double wgmma = 0;  // 0: not on this GPU
  double cublas = 0;
};
LinearTimes bench_linear(KernelTimer& bench, Gemm& gemm, std::int64_t rows, std::int64_t in,
                         std::int64_t out, DType dtype) {
  const std::int64_t stride = matrix_stride(in, dtype);
  const std::int64_t weight_bytes = matrix_bytes(in, out, dtype);
  const std::int64_t bytes = weight_bytes + rows * (in + out) * 4;
  LinearJob job = {.x = bench.memory<float>(rows * in),
                   .rows = rows,
                   .dtype = dtype,
                   .in = in,
                   .out = out,
                   .stride = stride,
                   .bias = bench.memory<float>(out),
                   .activation = Activation::kGeluTanh,
                   .norm = {},
                   .y = bench.memory<float>(rows * out),
                   .halves = bench.memory<std::uint16_t>(halves_size(rows, stride))};
  const std::string shape = text({rows, in, out}) + " " + name_of(dtype);
  const auto time = [&](const char* name, void (*linear)(const LinearJob&, Stream)) {
    return bench.add(name, shape, bytes, [&](std::int64_t n) {
      job.weights = bench.weights(n, weight_bytes);
      linear(job, bench.stream());
    });
  };
  LinearTimes times;
  if (dtype != DType::kF32) {
    times.few = time("linear_few", linear_few);
    times.tile = time("linear_tile", linear_tile);
    if (device_attribute(cudaDevAttrComputeCapabilityMajor) == 9) {
      times.wgmma = time("linear_wgmma", linear_wgmma);
    }
  }
  if (dtype != DType::kI8) {
    times.cublas = bench.add("cuBLAS", shape, bytes, [&](std::int64_t n) {
      job.weights = bench.weights(n, weight_bytes);
      gemm.run(job, job.y);
    });
    bench.add("linear_epilogue", text({rows, out}), rows * out * 8,
              [&](std::int64_t) { linear_epilogue(job, job.y, bench.stream()); });
  }
  bench.free_memory();
  return times;
}

void bench_linears(KernelTimer& bench) {
  Gemm gemm(bench.stream().stream);
  const Shape& s = bench.tiny() ? kOdd : kGpt2Small;
  const std::vector<std::int64_t> rows =
      bench.tiny() ? std::vector<std::int64_t>{1, 3}
                   : std::vector<std::int64_t>{1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 256, 1024, 4096};
  for (const std::int64_t count : rows) {
    LinearTimes sum;
    LinearTimes int8;
    for (const auto& [in, out] : {std::pair{s.width, 3 * s.width},
                                  {s.width, s.width},
                                  {s.width, s.inner},
                                  {s.inner, s.width}}) {
      const LinearTimes times = bench_linear(bench, gemm, count, in, out, DType::kF16);
      sum.few += times.few;
      sum.tile += times.tile;
      sum.wgmma += times.wgmma;
      sum.cublas += times.cublas;
      const LinearTimes bytes = bench_linear(bench, gemm, count, in, out, DType::kI8);
      int8.few += bytes.few;
      int8.tile += bytes.tile;
      int8.wgmma += bytes.wgmma;
    }
    bench.add_linears(count, {{"few", sum.few},
                              {"tile", sum.tile},
                              {"wgmma", sum.wgmma},
                              {"cublas", sum.cublas},
                              {"few_int8", int8.few},
                              {"tile_int8", int8.tile},
                              {"wgmma_int8", int8.wgmma}});
  }
  for (const std::int64_t count : {1, 8, 64, 256}) {
    for (const DType dtype : {DType::kF16, DType::kI8}) {
      bench_linear(bench, gemm, count, s.width, s.vocab, dtype);  // the vocabulary
      bench_linear(bench, gemm, count, kOdd.width, kOdd.inner, dtype);
    }
    bench_linear(bench, gemm, count, s.width, s.width, DType::kF32);
  }
}

/// `rows` rows: each of its own sequence at `position`, or with `prompt` one sequence up to there.
void bench_attention(KernelTimer& bench, const Shape& s, std::int64_t rows, std::int64_t position,
                     bool prompt) {
  const std::int64_t width = s.heads * s.head_size;
  const std::int64_t slots = prompt ? 1 : rows;
  const std::int64_t pages = (s.context + kPagePositions - 1) / kPagePositions;  // of a slot
  const std::int64_t features = slots * pages * s.heads * kPagePositions * padded_head(s.head_size);
  std::vector<std::int32_t> positions(static_cast<std::size_t>(rows),
                                      static_cast<std::int32_t>(position));
  std::vector<std::int32_t> groups;  // first row, rows, slot, position
  for (std::int64_t first = 0; prompt && first < rows; first += kGroupRows) {
    const std::int64_t count = std::min<std::int64_t>(kGroupRows, rows - first);
    for (const std::int64_t number : {first, count, std::int64_t{0}, position - rows + 1 + first}) {
      groups.push_back(static_cast<std::int32_t>(number));
    }
    for (std::int64_t r = first; r < first + count; ++r) {
      positions[static_cast<std::size_t>(r)] = static_cast<std::int32_t>(position - rows + 1 + r);
    }
  }
  AttentionJob job = {
      .qkv = bench.memory<float>(rows * 3 * width),
      .count = rows,
      .rows = {.slot = bench.indices(counting(rows, slots)), .position = bench.indices(positions)},
      .groups = nullptr,
      .group_count = 0,
      .pages = {.page = bench.indices(counting(slots * pages, slots * pages)), .width = pages},
      .keys = bench.memory<std::uint16_t>(features),
      .values = bench.memory<std::uint16_t>(features),
      .tokens = nullptr,
      .dtype = DType::kF16,
      .heads = s.heads,
      .head_size = s.head_size,
      .positions = position + 1,
      .scale = 0.125F,
      .out = bench.memory<float>(rows * width)};
  const std::string shape =
      text({rows, s.heads, s.head_size}) + " to position " + std::to_string(position);
  bench.add("attention_append", shape, rows * width * 2 * (4 + 2),
            [&](std::int64_t) { attention_append(job, bench.stream()); });
  const std::int64_t own = rows * width * 4 * 4;  // queries, keys, values, out
  if (prompt) {
    static_assert(sizeof(RowGroup) == 4 * sizeof(std::int32_t));
    job.groups = reinterpret_cast<const RowGroup*>(bench.indices(groups));
    job.group_count = static_cast<std::int64_t>(groups.size()) / 4;
    bench.add("attention_prefill", shape, own + 2 * 2 * (position + 1) * width,
              [&](std::int64_t) { attention_prefill(job, bench.stream()); });
  } else {
    job.partial =
        bench.memory<float>(attention_partial_floats(rows, s.heads, s.head_size, s.context));
    job.arrived = bench.zeros<unsigned>(rows * s.heads);
    bench.add("attention_decode", shape, own + rows * 2 * 2 * (position + 1) * width,
              [&](std::int64_t) { attention_decode(job, true, bench.stream()); });
  }
  bench.free_memory();
}

/// `rows` draws by the options of the model's card, each with `history` ids.
void bench_draw(KernelTimer& bench, const Shape& s, std::int64_t rows, std::int64_t history) {
  const std::int64_t width = (history + kPagePositions - 1) / kPagePositions;
  const std::vector<DeviceDraw> options(
      static_cast<std::size_t>(rows),
      {.temperature = 0.2, .top_p = 0.3, .uniform = 0.5, .penalty = 1.2F, .top_k = 30});
  auto* device_options = bench.memory<DeviceDraw>(rows);
  check(cudaMemcpy(device_options, options.data(), options.size() * sizeof(DeviceDraw),
                   cudaMemcpyHostToDevice),
        "copying");
  const std::vector<std::int32_t> positions(static_cast<std::size_t>(rows),
                                            static_cast<std::int32_t>(history - 1));
  const DrawJob job = {
      .logits = bench.memory<float>(rows * s.vocab),
      .count = rows,
      .vocab = s.vocab,
      .rows = {.slot = bench.indices(counting(rows, rows)), .position = bench.indices(positions)},
      .output_rows = bench.indices(counting(rows, rows)),
      .pages = {bench.indices(counting(rows * width, rows * width)), width},
      .tokens = bench.indices(counting(rows * width * kPagePositions, s.vocab)),
      .options = device_options,
      .maxima = bench.memory<unsigned>(rows * draw_groups(s.vocab)),
      .sums = bench.memory<ExpSum>(rows * draw_chunks(s.vocab)),
      .last = bench.memory<std::int32_t>(rows),
      .out = bench.memory<DrawnToken>(rows),
      .room = rows,
      .flight = bench.zeros<std::int32_t>(1)};
  const std::string shape = text({rows, s.vocab}) + ", history " + std::to_string(history);
  const std::int64_t bytes = rows * s.vocab * 4;
  bench.add("scan_logits", shape, bytes, [&](std::int64_t) { scan_logits(job, bench.stream()); });
  bench.add("scan_logits, draw_tokens", shape, bytes,
            [&](std::int64_t) { draw_tokens(job, bench.stream()); });
  bench.free_memory();
}

int run(bool tiny) {
  KernelTimer bench(tiny);
  const Shape& s = tiny ? kOdd : kGpt2Small;
  for (const std::int64_t rows : {1, 5}) bench_rows(bench, kOdd, rows);
  if (!tiny) {
    for (const std::int64_t rows : {1, 8, 64, 256}) bench_rows(bench, s, rows);
  }
  bench_linears(bench);
  const std::int64_t last = s.context - 1;
  for (const std::int64_t rows :
       tiny ? std::vector<std::int64_t>{1, 2} : std::vector<std::int64_t>{1, 8, 64, 256}) {
    for (const std::int64_t position : {s.context / 8 - 1, s.context / 2 - 1, last}) {
      bench_attention(bench, s, rows, position, false);
    }
    bench_draw(bench, s, rows, s.context / 8);
  }
  for (const std::int64_t rows : {std::int64_t{65}, s.context / 2, s.context}) {
    bench_attention(bench, s, rows, std::max(rows, s.context / 2) - 1, true);
  }
  bench_attention(bench, kOdd, 33, 40, true);
  bench.print();
  return 0;
}

}  // namespace
}  // namespace aira::cuda

int main(int argc, char** argv) {
  const bool tiny = argc == 2 && std::strcmp(argv[1], "--tiny") == 0;
  if (argc > 1 && !tiny) {
    std::fprintf(stderr, "usage: kernel-bench [--tiny]\n");
    return 2;
  }
  try {
    return aira::cuda::run(tiny);
  } catch (const aira::Error& error) {
    std::fprintf(stderr, "kernel-bench: error: %s\n", error.what());
    return 1;
  }
}
