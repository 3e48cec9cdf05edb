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
class Digest {
 public:
  explicit Digest(std::string_view bytes) : sums_{bytes.size(), 1, 2, 3} {
    for (; bytes.size() >= sizeof(Block); bytes.remove_prefix(sizeof(Block))) {
      Block block;  // of a size that the compiler knows, or each copy would be a call
      std::memcpy(block.data(), bytes.data(), sizeof block);
      add(block);
    }
    if (bytes.empty()) return;
    Block last{};
    std::memcpy(last.data(), bytes.data(), bytes.size());
    add(last);
  }
  std::uint64_t value() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t part : sums_) sum = std::rotl((sum ^ part) * kMix, 29);
    return sum * kMix;
  }

 private:
  using Block = std::array<std::uint64_t, 4>;
  static constexpr std::uint64_t kMix = 0x9E3779B97F4A7C15U;  // 2^64 / golden ratio

  void add(const Block& block) {
    for (std::size_t i = 0; i < 4; ++i) sums_[i] = std::rotl((sums_[i] ^ block[i]) * kMix, 29);
  }

  Block sums_;
};

inline std::uint64_t digest(std::string_view bytes) { return Digest(bytes).value(); }

/// 16 hexadecimal digits.
inline std::string hex(std::uint64_t number) {
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; number >>= 4U) text[i] = "0123456789abcdef"[number & 0xFU];
  return text;
}

}  // namespace aira
