#include "text/vocabulary.h"

#include <array>
#include <cstring>
#include <utility>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr std::size_t kLetters = 0x100 + 68;  // the highest letter is U+0143

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

std::uint64_t hash_of(std::string_view token, bool raw) {
  constexpr std::uint64_t kMix = 0x9E3779B97F4A7C15U;  // 2^64 / golden ratio
  const auto load = [&](std::size_t at, auto block) -> std::uint64_t {
    std::memcpy(&block, token.data() + at, sizeof block);
    return block;
  };
  const std::size_t size = token.size();
  std::uint64_t hash = size << 1 | std::uint64_t{raw};
  for (std::size_t at = 0; at + 8 < size; at += 8) {
    hash = (hash ^ load(at, std::uint64_t{})) * kMix;
    hash ^= hash >> 32;
  }
  std::uint64_t last = 0;  // the last blocks overlap others where the size is not a power of two
  if (size >= 8) {
    last = load(size - 8, std::uint64_t{});
  } else if (size >= 4) {
    last = load(0, std::uint32_t{}) << 32 | load(size - 4, std::uint32_t{});
  } else if (size > 0) {
    last = load(0, std::uint8_t{}) << 16 | load(size / 2, std::uint8_t{}) << 8 |
           load(size - 1, std::uint8_t{});
  }
  hash = (hash ^ last) * kMix;
  return hash ^ hash >> 32;
}

}  // namespace

std::string_view letter_of_byte(unsigned char byte) {
  return {kAlphabet.letters[byte].data(), kAlphabet.lengths[byte]};
}

std::string letters_of(std::string_view bytes) {
  std::string letters;
  for (const char byte : bytes) letters += letter_of_byte(static_cast<unsigned char>(byte));
  return letters;
}

TokenBytes token_bytes(std::string_view token, char* out) {
  char* end = out;
  for (std::size_t at = 0; at < token.size(); ++at) {
    std::size_t letter = static_cast<unsigned char>(token[at]);
    if (letter >= 0x80) {  // the alphabet's other letters have two bytes
      const bool two = letter >= 0xC2 && letter < 0xE0 && at + 1 < token.size() &&
                       (static_cast<unsigned char>(token[at + 1]) & 0xC0U) == 0x80;
      letter = two ? (letter & 0x1FU) << 6 | (static_cast<unsigned char>(token[++at]) & 0x3FU)
                   : kLetters;
    }
    if (letter >= kLetters || kAlphabet.bytes[letter] < 0) {
      token.copy(out, token.size());
      return {token.size(), true};
    }
    *end++ = static_cast<char>(kAlphabet.bytes[letter]);
  }
  return {static_cast<std::size_t>(end - out), false};
}

void TokenList::add(std::string_view token, std::int64_t id) {
  const std::size_t begin = spans.empty() ? 0 : spans.back().begin + spans.back().length;
  if (bytes.size() < begin + token.size()) bytes.resize(begin + token.size() + 65536);
  const auto [size, raw] = token_bytes(token, bytes.data() + begin);
  spans.push_back(
      {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(size) & 0x7FFFFFFFU, raw});
  ids.push_back(id);
}

void TokenList::reserve(std::size_t size) {
  bytes.reserve(size);
  spans.reserve(size / 8);
  ids.reserve(size / 8);
}

Vocabulary::Vocabulary(TokenList list, const std::string& file) {
  const std::size_t count = list.ids.size();
  bytes_ = std::move(list.bytes);
  if (count > 0) bytes_.resize(list.spans.back().begin + list.spans.back().length);
  const auto text = [&](TokenSpan span) {
    return quote(span.raw ? std::string(bytes_of(span)) : letters_of(bytes_of(span)));
  };
  spans_.resize(count);
  std::vector<bool> taken(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t id = list.ids[i];
    const bool in_range = id >= 0 && id < static_cast<std::int64_t>(count);
    if (!in_range || taken[static_cast<std::size_t>(id)]) {
      throw Error(file + ": the vocabulary gives token " + text(list.spans[i]) + " the id " +
                  std::to_string(id) +
                  (in_range
                       ? ", which another token has already."
                       : "; expected the ids 0 to " + std::to_string(count - 1) + ", each once."));
    }
    taken[static_cast<std::size_t>(id)] = true;
    spans_[static_cast<std::size_t>(id)] = list.spans[i];
  }
  for (const std::int64_t id : list.ids) {  // in the order of the bytes
    if (!enter(static_cast<std::int32_t>(id))) {
      throw Error(file + ": the vocabulary has token " +
                  text(spans_[static_cast<std::size_t>(id)]) + " twice.");
    }
  }
}

std::int32_t Vocabulary::append(std::string_view token) {
  const std::size_t begin = bytes_.size();
  bytes_.resize(begin + token.size());
  const auto [size, raw] = token_bytes(token, bytes_.data() + begin);
  bytes_.resize(begin + size);
  spans_.push_back(
      {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(size) & 0x7FFFFFFFU, raw});
  enter(this->size() - 1);
  return this->size() - 1;
}

std::int32_t Vocabulary::find(std::string_view token) const {
  std::string bytes(token.size(), '\0');
  const auto [size, raw] = token_bytes(token, bytes.data());
  return find_bytes(std::string_view(bytes).substr(0, size), raw);
}

std::int32_t Vocabulary::find_bytes(std::string_view bytes, bool raw) const {
  return ids_.find(hash_of(bytes, raw), [&](std::int32_t id) {
    const TokenSpan span = spans_[static_cast<std::size_t>(id)];
    return span.raw == std::uint32_t{raw} && bytes_of(span) == bytes;
  });
}

bool Vocabulary::enter(std::int32_t id) {
  const auto hash = [this](std::int32_t token) {
    return hash_of(bytes(token), spans_[static_cast<std::size_t>(token)].raw != 0);
  };
  ids_.reserve(spans_.size(), hash);
  const TokenSpan entered = spans_[static_cast<std::size_t>(id)];
  return ids_.insert(hash(id), id, [&](std::int32_t other) {
    const TokenSpan span = spans_[static_cast<std::size_t>(other)];
    return span.raw == entered.raw && bytes_of(span) == bytes_of(entered);
  }) < 0;
}

}  // namespace aira
