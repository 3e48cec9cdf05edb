// An open-addressing hash table: std::unordered_map would take longer to fill than all the rest of
// loading a tokenizer.
#include "text/vocabulary.h"

#include <array>
#include <bit>
#include <functional>

#include "aira/error.h"
#include "base/printable.h"
#include "base/utf8.h"

namespace aira {
namespace {

constexpr std::size_t kLetters = 0x100 + 68;  // the highest letter is U+0143

struct Alphabet {
  std::array<char16_t, 256> letters{};
  std::array<std::int16_t, kLetters> bytes{};  // -1: not in the alphabet
};

constexpr Alphabet kAlphabet = [] {
  Alphabet alphabet;
  for (auto& byte : alphabet.bytes) byte = -1;
  char16_t next = 0x100;
  for (char16_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
    alphabet.letters[byte] = printable ? byte : next++;
    alphabet.bytes[alphabet.letters[byte]] = static_cast<std::int16_t>(byte);
  }
  return alphabet;
}();

std::size_t hash_of(std::string_view token) { return std::hash<std::string_view>()(token); }

std::uint32_t tag_of(std::size_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

}  // namespace

std::string letters_of(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) {
    const char16_t letter = kAlphabet.letters[static_cast<unsigned char>(byte)];
    if (letter < 0x80) {
      out.push_back(static_cast<char>(letter));
    } else {
      out.push_back(static_cast<char>(0xC0 | letter >> 6));
      out.push_back(static_cast<char>(0x80 | (letter & 0x3F)));
    }
  }
  return out;
}

std::string bytes_of(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const char32_t letter = next_code_point(token, at);
    if (letter >= kLetters || kAlphabet.bytes[letter] < 0) return std::string(token);
    bytes.push_back(static_cast<char>(kAlphabet.bytes[letter]));
  }
  return bytes;
}

Vocabulary::Vocabulary(const TokenList& list, const std::string& file) {
  const auto count = static_cast<std::int64_t>(list.ids.size());
  std::vector<std::size_t> places(list.ids.size(), list.ids.size());  // by id: index in the list
  for (std::size_t i = 0; i < list.ids.size(); ++i) {
    const std::int64_t id = list.ids[i];
    const bool in_range = id >= 0 && id < count;
    if (!in_range || places[static_cast<std::size_t>(id)] < list.ids.size()) {
      throw Error(file + ": the vocabulary gives token " + quote(list.tokens[i]) + " the id " +
                  std::to_string(id) +
                  (in_range
                       ? ", which another token has already."
                       : "; expected the ids 0 to " + std::to_string(count - 1) + ", each once."));
    }
    places[static_cast<std::size_t>(id)] = i;
  }
  for (const std::size_t place : places) tokens_.add(list.tokens[place]);
  slots_.resize(std::bit_ceil(2 * places.size() + 2));
  for (std::int32_t id = 0; id < size(); ++id) {
    if (!enter(id))
      throw Error(file + ": the vocabulary has token " + quote(token(id)) + " twice.");
  }
}

std::int32_t Vocabulary::append(std::string_view token) {
  tokens_.add(token);
  if (2 * tokens_.size() > slots_.size()) {
    slots_.assign(2 * slots_.size(), 0);
    for (std::int32_t id = 0; id + 1 < size(); ++id) enter(id);
  }
  enter(size() - 1);
  return size() - 1;
}

std::int32_t Vocabulary::find(std::string_view token) const {
  return id_in(slots_[slot_of(token, hash_of(token))]);
}

std::size_t Vocabulary::slot_of(std::string_view token, std::size_t hash) const {
  const std::uint32_t mask = this->mask();
  const std::uint32_t tag = tag_of(hash) & ~mask;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const std::uint32_t slot = slots_[at];
    if (slot == 0) return at;
    if ((slot & ~mask) == tag && this->token(id_in(slot)) == token) return at;
  }
}

bool Vocabulary::enter(std::int32_t id) {
  const std::size_t hash = hash_of(token(id));
  std::uint32_t& slot = slots_[slot_of(token(id), hash)];
  if (slot != 0) return false;
  slot = (tag_of(hash) & ~mask()) | static_cast<std::uint32_t>(id + 1);
  return true;
}

}  // namespace aira
