#include "text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "text/utf8.h"

namespace aira {
namespace {

constexpr int kLetters = 0x100 + 68;  // the highest letter is U+0143

struct Alphabet {
  std::array<std::array<char, 2>, 256> letters{};
  std::array<std::uint8_t, 256> lengths{};
  std::array<std::int16_t, kLetters> bytes{};  // -1: not in the alphabet
};

constexpr bool is_printable(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.bytes) byte = -1;
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const int letter = is_printable(byte) ? byte : next++;
    alphabet.bytes[static_cast<std::size_t>(letter)] = static_cast<std::int16_t>(byte);
    auto& text = alphabet.letters[static_cast<std::size_t>(byte)];
    auto& length = alphabet.lengths[static_cast<std::size_t>(byte)];
    if (letter < 0x80) {
      text[0] = static_cast<char>(letter);
      length = 1;
    } else {
      text[0] = static_cast<char>(0xC0 | letter >> 6);
      text[1] = static_cast<char>(0x80 | (letter & 0x3F));
      length = 2;
    }
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string_view letter_of_byte(unsigned char byte) {
  return {kAlphabet.letters[byte].data(), kAlphabet.lengths[byte]};
}

void append_token_bytes(std::string_view token, std::string& out) {
  const std::size_t before = out.size();
  for (std::size_t at = 0; at < token.size();) {
    const char32_t letter = next_code_point(token, at);
    const int byte = letter < kLetters ? kAlphabet.bytes[letter] : -1;
    if (byte < 0) {
      out.resize(before);
      out.append(token);
      return;
    }
    out.push_back(static_cast<char>(byte));
  }
}

}  // namespace aira
