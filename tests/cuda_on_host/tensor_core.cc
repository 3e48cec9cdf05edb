// The warp's matrix product, done once for all lanes, and the addresses of ldmatrix. Layouts are
// written down from the PTX manual: element (row, column) of each fragment by lane and register.
#include "tensor_core.h"

#include <bit>

#include "half.h"
#include "scheduler.h"

namespace cuda_on_host {
namespace {

struct ProductFrame {
  float* d;
  const std::uint32_t* a;
  const std::uint32_t* b;
};

float half_of(std::uint32_t word, int index) {
  return half_to_float(static_cast<std::uint16_t>(word >> (16 * index)));
}

void complete_product(Thread* lanes, unsigned members) {
  if (members != 0xffffffffU) fail("a matrix product needs all 32 lanes of the warp");
  float a[16][16];
  float b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& frame = *static_cast<const ProductFrame*>(lanes[lane].frame);
    const int group = lane / 4;
    const int pair = lane % 4 * 2;
    for (int i = 0; i < 8;
         ++i) {  // the i-th half of a: rows +8 in words 1 and 3, columns +8 in 2, 3
      const int row = group + (i / 2 % 2) * 8;
      const int column = pair + i % 2 + (i / 4) * 8;
      a[row][column] = half_of(frame.a[i / 2], i % 2);
    }
    for (int i = 0; i < 4; ++i) {
      b[pair + i % 2 + (i / 2) * 8][group] = half_of(frame.b[i / 2], i % 2);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto& frame = *static_cast<const ProductFrame*>(lanes[lane].frame);
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + (i / 2) * 8;
      const int column = lane % 4 * 2 + i % 2;
      float sum = frame.d[i];
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      frame.d[i] = sum;
    }
  }
}

struct AddressFrame {
  const std::uint16_t* row;
  const std::uint16_t** elements;
  int tiles;
  bool transposed;
};

void complete_addresses(Thread* lanes, unsigned members) {
  if (members != 0xffffffffU) fail("a matrix load needs all 32 lanes of the warp");
  const auto row = [lanes](int lane) {
    return static_cast<const AddressFrame*>(lanes[lane].frame)->row;
  };
  for (int lane = 0; lane < 32; ++lane) {
    const auto& frame = *static_cast<const AddressFrame*>(lanes[lane].frame);
    const int group = lane / 4;
    const int pair = lane % 4 * 2;
    for (int i = 0; i < 2 * frame.tiles; ++i) {
      const int tile = i / 2 * 8;
      const int second = i % 2;
      frame.elements[i] =
          frame.transposed ? row(tile + pair + second) + group : row(tile + group) + pair + second;
    }
  }
}

constexpr WarpOperation kProduct = {"mma_m16n8k16", complete_product};
constexpr WarpOperation kAddresses = {"load_matrix", complete_addresses};

}  // namespace

void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                  std::source_location where) {
  ProductFrame frame = {d, a, b};
  together(kProduct, 0xffffffffU, &frame, false, where);
}

void matrix_addresses(const std::uint16_t** elements, int tiles, bool transposed, const void* row,
                      std::source_location where) {
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) {
    fail(text(*thread) + " gives load_matrix at " + text(where) +
         " the address of a row that is not on a 16-byte boundary");
  }
  AddressFrame frame = {static_cast<const std::uint16_t*>(row), elements, tiles, transposed};
  together(kAddresses, 0xffffffffU, &frame, false, where);
}

}  // namespace cuda_on_host
