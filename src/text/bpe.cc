#include "text/bpe.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <span>
#include <utility>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr std::uint32_t kNoMerge = std::numeric_limits<std::uint32_t>::max();

/// Up to here looking at all symbols for each merge is faster than keeping a queue.
constexpr std::uint32_t kShort = 32;

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

/// A token of a piece, linked to its neighbours.
struct Symbol {
  std::int32_t id;
  std::uint32_t begin;   // of its letters
  std::uint32_t before;  // index of the neighbour; kNone at the beginning
  std::uint32_t after;   // the last one's is a symbol without letters
  std::uint32_t rank;    // of the merge with `after`
};

std::size_t index_of(std::string_view two_bytes) {
  return std::size_t{static_cast<unsigned char>(two_bytes[0])} << 8 |
         static_cast<unsigned char>(two_bytes[1]);
}

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, const Texts& merges, const std::string& vocabulary_file,
         const std::string& merges_file) {
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const std::string letter = letters_of(std::string(1, static_cast<char>(byte)));
    byte_ids_[byte] = vocabulary.find(letter);
    if (byte_ids_[byte] < 0) {
      throw Error(vocabulary_file + ": the vocabulary has no token for byte " +
                  std::to_string(byte) + " (" + quote(letter) +
                  "); expected a byte-level vocabulary with all 256.");
    }
  }
  newest_.assign(static_cast<std::size_t>(vocabulary.size()), kNoMerge);
  of_bytes_.assign(std::size_t{256} * 256, kNoMerge);
  merges_.reserve(merges.size() / 2);
  for (std::size_t i = 0; i < merges.size(); i += 2) {
    const std::string_view left = merges[i];
    const std::string_view merged = merges.join(i, i + 1);
    // Trained vocabularies list merged tokens in the order of the merges: try the next id first.
    std::int32_t token = merges_.empty() ? -1 : merges_.back().token + 1;
    if (!vocabulary.has(token) || vocabulary.token(token) != merged) {
      for (const std::string_view needed : {left, merges[i + 1], merged}) {
        token = vocabulary.find(needed);
        if (token >= 0) continue;
        throw Error(merges_file + ": merge " + std::to_string(i / 2 + 1) + " needs token " +
                    quote(needed) + ", which the vocabulary does not have.");
      }
    }
    std::uint32_t& newest = newest_[static_cast<std::size_t>(token)];
    const std::uint32_t older = std::exchange(newest, static_cast<std::uint32_t>(merges_.size()));
    merges_.push_back({token, static_cast<std::uint32_t>(left.size()), older});
    if (merged.size() > 4) continue;  // more than two letters
    const std::string bytes = bytes_of(merged);
    // Letters outside the alphabet may look like two bytes.
    if (bytes.size() != 2 || letters_of(bytes) != merged) continue;
    if (letters_of(bytes.substr(0, 1)) == left) of_bytes_[index_of(bytes)] = newest;
  }
}

std::uint32_t Bpe::rank(const Vocabulary& vocabulary, std::string_view pair,
                        std::size_t left) const {
  const auto token = static_cast<std::size_t>(vocabulary.find(pair));
  if (token >= newest_.size()) return kNoMerge;  // none, or an added token
  std::uint32_t rank = newest_[token];
  while (rank != kNoMerge && merges_[rank].left != left) rank = merges_[rank].older;
  return rank;  // of a pair that is listed twice the later, as in `tokenizers`
}

void Bpe::encode(const Vocabulary& vocabulary, std::string_view piece,
                 std::vector<std::int32_t>& ids) const {
  const auto count = static_cast<std::uint32_t>(piece.size());
  const std::string letters = letters_of(piece);
  std::array<Symbol, kShort + 1> few;
  std::vector<Symbol> many(count > kShort ? count + 1 : 0);
  const std::span<Symbol> symbols(many.empty() ? few.data() : many.data(), count + 1);
  using Entry = std::pair<std::uint32_t, std::uint32_t>;  // rank and index: leftmost of equals
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;  // of long pieces
  const auto set_rank = [&](std::uint32_t at, std::uint32_t rank) {
    symbols[at].rank = rank;
    if (count > kShort && rank != kNoMerge) queue.emplace(rank, at);
  };
  std::uint32_t begin = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    symbols[i] = {byte_ids_[static_cast<unsigned char>(piece[i])], begin, i - 1, i + 1, kNoMerge};
    if (i + 1 < count) set_rank(i, of_bytes_[index_of(piece.substr(i, 2))]);
    begin += static_cast<unsigned char>(letters[begin]) < 0x80 ? 1 : 2;
  }
  symbols[count] = {-1, begin, count - 1, kNone, kNoMerge};
  const auto update = [&](std::uint32_t at) {
    const Symbol& symbol = symbols[at];
    const Symbol& right = symbols[symbol.after];
    if (right.after == kNone) return set_rank(at, kNoMerge);
    const std::size_t size = symbols[right.after].begin - symbol.begin;
    const auto pair = std::string_view(letters).substr(symbol.begin, size);
    set_rank(at, rank(vocabulary, pair, right.begin - symbol.begin));
  };
  const auto next = [&]() -> std::uint32_t {
    if (count <= kShort) {
      const auto less = [](const Symbol& a, const Symbol& b) { return a.rank < b.rank; };
      return static_cast<std::uint32_t>(std::min_element(symbols.begin(), symbols.end(), less) -
                                        symbols.begin());
    }
    while (!queue.empty()) {
      const auto [rank, at] = queue.top();
      queue.pop();
      // Otherwise it is stale: a neighbour was merged since, and the pair has another rank or none.
      if (symbols[at].rank == rank) return at;
    }
    return count;
  };
  for (std::uint32_t at = next(); symbols[at].rank != kNoMerge; at = next()) {
    Symbol& symbol = symbols[at];
    Symbol& right = symbols[symbol.after];
    symbol.id = merges_[symbol.rank].token;
    symbol.after = right.after;
    symbols[symbol.after].before = at;
    right.rank = kNoMerge;
    update(at);
    if (symbol.before != kNone) update(symbol.before);
  }
  for (std::uint32_t at = 0; at < count; at = symbols[at].after) ids.push_back(symbols[at].id);
}

}  // namespace aira
