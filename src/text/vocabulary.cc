// An open-addressing hash table: std::unordered_map would take longer to fill than all the rest of
// loading a tokenizer.
#include "text/vocabulary.h"

#include <sys/auxv.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

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

/// Half of a product's bits depend on all bits of both factors: folding it mixes well.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// Of this process alone: the bytes that the kernel gives it for such a use.
std::array<std::uint64_t, 2> make_keys() {
  std::array<std::uint64_t, 2> keys = {0x9E3779B97F4A7C15, 0xD1B54A32D192ED03};
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address as a number is what the kernel gives
  const auto* random = reinterpret_cast<const std::byte*>(::getauxval(AT_RANDOM));
  if (random != nullptr) std::memcpy(keys.data(), random, sizeof keys);
  keys[1] |= 1;
  return keys;
}

/// Whoever writes a vocabulary does not know the keys, so cannot make its tokens collide.
std::size_t hash_of(std::string_view token) {
  static const std::array<std::uint64_t, 2> keys = make_keys();
  std::uint64_t hash = keys[0] ^ token.size();
  for (; !token.empty(); token.remove_prefix(std::min(token.size(), sizeof hash))) {
    std::uint64_t word = 0;
    std::memcpy(&word, token.data(), std::min(token.size(), sizeof word));
    hash = fold(hash ^ word, keys[1]);
  }
  return hash;
}

std::uint32_t tag_of(std::size_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

}  // namespace

std::string letters_of(std::string_view bytes) {
  std::string out(2 * bytes.size(), '\0');
  char* end = out.data();
  for (const char byte : bytes) {
    const char16_t letter = kAlphabet.letters[static_cast<unsigned char>(byte)];
    if (letter < 0x80) {
      *end++ = static_cast<char>(letter);
    } else {
      *end++ = static_cast<char>(0xC0 | letter >> 6);
      *end++ = static_cast<char>(0x80 | (letter & 0x3F));
    }
  }
  out.resize(static_cast<std::size_t>(end - out.data()));
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

Vocabulary::Vocabulary(TokenList list, const std::string& file) {
  constexpr std::int64_t kHighestId = (1 << 22) - 1;
  constexpr std::uint32_t kNowhere = 0;
  std::vector<std::uint32_t> places(list.ids.size() + 1);  // by id: index in the list + 1
  for (std::size_t i = 0; i < list.ids.size(); ++i) {
    const std::int64_t id = list.ids[i];
    const auto index = static_cast<std::size_t>(id);
    const bool in_range = id >= 0 && id <= kHighestId;
    if (in_range && index >= places.size()) places.resize(index + 1);
    if (!in_range || places[index] != kNowhere) {
      if (in_range) {
        throw Error(
            "[E345] {}: the vocabulary gives token {} the id {}, which another token has already.",
            {file, quote(list.tokens[i]), std::to_string(id)});
      }
      throw Error("[E346] {}: the vocabulary gives token {} the id {}; expected ids from 0 to {}.",
                  {file, quote(list.tokens[i]), std::to_string(id), std::to_string(kHighestId)});
    }
    places[index] = static_cast<std::uint32_t>(i + 1);
  }
  while (!places.empty() && places.back() == kNowhere) places.pop_back();
  places_ = static_cast<std::int32_t>(places.size());
  first_added_ = static_cast<std::int32_t>(list.ids.size());
  slots_.resize(std::bit_ceil(2 * places.size() + 2));
  if (std::is_sorted(list.ids.begin(), list.ids.end()) && places_ == first_added_) {
    tokens_ = std::move(list.tokens);
  } else {
    for (const std::uint32_t place : places) {
      tokens_.add(place == kNowhere ? std::string_view() : list.tokens[place - 1]);
    }
  }
  for (std::int32_t id = 0; id < places_; ++id) {
    if (enter(id)) continue;
    throw Error("[E347] {}: the vocabulary has token {} twice.", {file, quote(token(id))});
  }
}

std::int32_t Vocabulary::append(std::string_view token) {
  tokens_.add(token);
  const auto last = static_cast<std::int32_t>(tokens_.size()) - 1;
  if (2 * tokens_.size() > slots_.size()) {
    slots_.assign(2 * slots_.size(), 0);
    for (std::int32_t place = 0; place < last; ++place) enter(place);
  }
  enter(last);
  return first_added_ + added() - 1;
}

std::string_view Vocabulary::token(std::int32_t id) const {
  const std::int32_t number = id - first_added_;
  const std::int32_t place = number >= 0 && number < added() ? places_ + number : id;
  return tokens_[static_cast<std::size_t>(place)];
}

std::int32_t Vocabulary::find(std::string_view token) const {
  const std::int32_t place = place_in(slots_[slot_of(token, hash_of(token))]);
  return place < places_ ? place : first_added_ + (place - places_);
}

std::int32_t Vocabulary::find_in_model(std::string_view token) const {
  const std::int32_t place = place_in(slots_[slot_of(token, hash_of(token))]);
  return place < places_ ? place : -1;
}

std::size_t Vocabulary::slot_of(std::string_view token, std::size_t hash) const {
  const std::uint32_t mask = this->mask();
  const std::uint32_t tag = tag_of(hash) & ~mask;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const std::uint32_t slot = slots_[at];
    if (slot == 0) return at;
    const auto place = static_cast<std::size_t>(place_in(slot));
    if ((slot & ~mask) == tag && tokens_[place] == token) return at;
  }
}

bool Vocabulary::enter(std::int32_t place) {
  const std::string_view token = tokens_[static_cast<std::size_t>(place)];
  if (token.empty()) return true;
  const std::size_t hash = hash_of(token);
  std::uint32_t& slot = slots_[slot_of(token, hash)];
  if (slot != 0) return false;
  slot = (tag_of(hash) & ~mask()) | static_cast<std::uint32_t>(place + 1);
  return true;
}

}  // namespace aira
