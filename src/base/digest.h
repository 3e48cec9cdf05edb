// A 64-bit digest that tells versions of a file apart and finds accidental damage; no defence
// against anyone who means harm.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace aira {

inline std::uint64_t digest(std::string_view bytes) {
  const auto mix = [](std::uint64_t sum, std::uint64_t word) {
    return std::rotl((sum ^ word) * 0x9E3779B97F4A7C15U, 29);  // 2^64 / golden ratio
  };
  std::array<std::uint64_t, 4> sums = {bytes.size(), 1, 2, 3};
  while (!bytes.empty()) {
    std::array<std::uint64_t, 4> block{};
    const std::size_t size = std::min(bytes.size(), sizeof block);
    std::memcpy(block.data(), bytes.data(), size);
    std::transform(sums.begin(), sums.end(), block.begin(), sums.begin(), mix);
    bytes.remove_prefix(size);
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all = mix(all, sum);
  return all * 0x9E3779B97F4A7C15U;
}

/// 16 hexadecimal digits.
inline std::string hex(std::uint64_t number) {
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; number >>= 4U) text[i] = "0123456789abcdef"[number & 0xFU];
  return text;
}

}  // namespace aira
