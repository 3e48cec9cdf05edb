// A 64-bit digest, fast enough for megabytes: tells versions of a file apart and finds accidental
// damage; no defence against anyone who means harm.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace aira {

/// Four independent chains of multiplications, so that the processor works on all at once.
inline std::uint64_t digest(std::string_view bytes) {
  constexpr std::uint64_t kMix = 0x9E3779B97F4A7C15U;  // 2^64 / golden ratio
  std::array<std::uint64_t, 4> sums = {bytes.size(), 1, 2, 3};
  while (!bytes.empty()) {
    std::array<std::uint64_t, 4> block{};
    const std::size_t some = bytes.size() < sizeof block ? bytes.size() : sizeof block;
    std::memcpy(block.data(), bytes.data(), some);
    bytes.remove_prefix(some);
    for (std::size_t i = 0; i < 4; ++i) sums[i] = std::rotl((sums[i] ^ block[i]) * kMix, 29);
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t part : sums) sum = std::rotl((sum ^ part) * kMix, 29);
  return sum * kMix;
}

/// 16 hexadecimal digits.
inline std::string hex(std::uint64_t number) {
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; number >>= 4U) text[i] = "0123456789abcdef"[number & 0xFU];
  return text;
}

}  // namespace aira
