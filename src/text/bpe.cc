#include "text/bpe.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <queue>
#include <utility>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr std::uint32_t kNoMerge = std::numeric_limits<std::uint32_t>::max();

/// Up to here looking at every neighbour for each merge is faster than keeping a queue.
constexpr std::size_t kShort = 32;

/// A token of a long piece, linked to its neighbours.
struct Symbol {
  std::int32_t id;
  std::uint32_t begin;   // of its bytes in the piece
  std::uint32_t before;  // index of the neighbour; none at the ends (see kNone)
  std::uint32_t after;
  std::uint32_t rank;  // of the merge with `after`
};
constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

/// A queue entry: lowest rank first, then leftmost.
constexpr std::uint64_t pack(std::uint32_t rank, std::uint32_t at) {
  return std::uint64_t{rank} << 32 | at;
}

std::size_t index_of(std::string_view two_bytes) {
  return std::size_t{static_cast<unsigned char>(two_bytes[0])} << 8 |
         static_cast<unsigned char>(two_bytes[1]);
}

}  // namespace

void MergeList::add(std::string_view left, std::string_view right) {
  const std::size_t begin =
      entries_.empty() ? 0 : entries_.back().begin + bytes(entries_.back()).size();
  const std::size_t room = begin + left.size() + right.size();
  if (bytes_.size() < room) bytes_.resize(room + 65536);
  TokenBytes first = token_bytes(left, bytes_.data() + begin);
  TokenBytes second = token_bytes(right, bytes_.data() + begin + first.size);
  const bool raw = first.raw || second.raw;
  if (raw) {
    left.copy(bytes_.data() + begin, left.size());
    right.copy(bytes_.data() + begin + left.size(), right.size());
    first.size = left.size();
    second.size = right.size();
  }
  entries_.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(first.size),
                      static_cast<std::uint32_t>(second.size) & 0x7FFFFFFFU, raw});
}

Bpe::Bpe(const Vocabulary& vocabulary, const MergeList& merges, const std::string& vocabulary_file,
         const std::string& merges_file) {
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const std::string_view letter = letter_of_byte(static_cast<unsigned char>(byte));
    byte_ids_[byte] = vocabulary.find(letter);
    if (byte_ids_[byte] < 0) {
      throw Error(vocabulary_file + ": the vocabulary has no token for byte " +
                  std::to_string(byte) + " (" + quote(letter) +
                  "); expected a byte-level vocabulary with all 256.");
    }
  }
  newest_.assign(static_cast<std::size_t>(vocabulary.size()), kNoMerge);
  of_bytes_.assign(std::size_t{256} * 256, kNoMerge);
  merges_.reserve(merges.entries().size());
  for (const MergeList::Entry& entry : merges.entries()) {
    const std::string_view merged = merges.bytes(entry);
    // Trained vocabularies list merged tokens in the order of the merges: try the next id first.
    std::int32_t token = merges_.empty() ? -1 : merges_.back().token + 1;
    if (entry.raw || !vocabulary.has(token) || vocabulary.bytes(token) != merged) {
      for (const std::string_view needed :
           {merged.substr(0, entry.left), merged.substr(entry.left), merged}) {
        token = entry.raw ? vocabulary.find(needed) : vocabulary.find_bytes(needed, false);
        if (token >= 0) continue;
        throw Error(merges_file + ": merge " + std::to_string(merges_.size() + 1) +
                    " needs token " + quote(entry.raw ? std::string(needed) : letters_of(needed)) +
                    ", which the vocabulary does not have.");
      }
    }
    std::uint32_t& newest = newest_[static_cast<std::size_t>(token)];
    const std::uint32_t older = std::exchange(newest, static_cast<std::uint32_t>(merges_.size()));
    merges_.push_back({token, entry.left, older});
    if (merged.size() == 2 && entry.left == 1) of_bytes_[index_of(merged)] = newest;
  }
}

std::uint32_t Bpe::rank(const Vocabulary& vocabulary, std::string_view pair,
                        std::size_t left) const {
  if (pair.size() == 2) return of_bytes_[index_of(pair)];
  const auto token = static_cast<std::size_t>(vocabulary.find_bytes(pair, false));
  if (token >= newest_.size()) return kNoMerge;  // none, or an added token
  std::uint32_t rank = newest_[token];
  while (rank != kNoMerge && merges_[rank].left != left) rank = merges_[rank].older;
  return rank;  // of a pair that is listed twice the later, as in `tokenizers`
}

void Bpe::encode(const Vocabulary& vocabulary, std::string_view piece,
                 std::vector<std::int32_t>& ids) const {
  if (piece.size() <= kShort) {
    encode_short(vocabulary, piece, ids);
  } else {
    encode_long(vocabulary, piece, ids);
  }
}

void Bpe::encode_short(const Vocabulary& vocabulary, std::string_view piece,
                       std::vector<std::int32_t>& ids) const {
  std::array<std::int32_t, kShort> tokens;
  std::array<std::uint32_t, kShort + 1> bounds;  // of the tokens in `piece`
  std::array<std::uint32_t, kShort> ranks;       // of the merge of i and i + 1
  std::size_t count = piece.size();
  for (std::size_t i = 0; i < count; ++i) {
    tokens[i] = byte_ids_[static_cast<unsigned char>(piece[i])];
  }
  std::iota(bounds.begin(), bounds.begin() + count + 1, 0U);
  const auto update = [&](std::size_t i) {
    ranks[i] = rank(vocabulary, piece.substr(bounds[i], bounds[i + 2] - bounds[i]),
                    bounds[i + 1] - bounds[i]);
  };
  for (std::size_t i = 0; i + 1 < count; ++i) update(i);
  while (count > 1) {
    const auto best = static_cast<std::size_t>(
        std::min_element(ranks.begin(), ranks.begin() + count - 1) - ranks.begin());
    if (ranks[best] == kNoMerge) break;
    tokens[best] = merges_[ranks[best]].token;
    std::copy(tokens.begin() + best + 2, tokens.begin() + count, tokens.begin() + best + 1);
    std::copy(bounds.begin() + best + 2, bounds.begin() + count + 1, bounds.begin() + best + 1);
    std::copy(ranks.begin() + best + 1, ranks.begin() + count - 1, ranks.begin() + best);
    --count;
    if (best > 0) update(best - 1);
    if (best + 1 < count) update(best);
  }
  ids.insert(ids.end(), tokens.begin(), tokens.begin() + count);
}

void Bpe::encode_long(const Vocabulary& vocabulary, std::string_view piece,
                      std::vector<std::int32_t>& ids) const {
  const auto count = static_cast<std::uint32_t>(piece.size());
  std::vector<Symbol> symbols(count);
  std::vector<std::uint64_t> entries;
  entries.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    symbols[i] = {byte_ids_[static_cast<unsigned char>(piece[i])], i, i - 1, i + 1, kNoMerge};
  }
  symbols[0].before = kNone;
  symbols[count - 1].after = kNone;
  const auto update = [&](std::uint32_t at) {
    Symbol& symbol = symbols[at];
    symbol.rank = kNoMerge;
    if (symbol.after == kNone) return false;
    const Symbol& right = symbols[symbol.after];
    const std::uint32_t end = right.after == kNone ? count : symbols[right.after].begin;
    symbol.rank = rank(vocabulary, piece.substr(symbol.begin, end - symbol.begin),
                       right.begin - symbol.begin);
    return symbol.rank != kNoMerge;
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    if (update(i)) entries.push_back(pack(symbols[i].rank, i));
  }
  std::priority_queue queue(std::greater<>{}, std::move(entries));
  while (!queue.empty()) {
    const std::uint64_t top = queue.top();
    queue.pop();
    const auto at = static_cast<std::uint32_t>(top);
    Symbol& symbol = symbols[at];
    // The entry is stale when a neighbour was merged since: the pair has another rank, or none.
    if (symbol.rank != top >> 32) continue;
    Symbol& right = symbols[symbol.after];
    symbol.id = merges_[symbol.rank].token;
    symbol.after = right.after;
    right.rank = kNoMerge;
    if (symbol.after != kNone) symbols[symbol.after].before = at;
    if (update(at)) queue.push(pack(symbol.rank, at));
    const std::uint32_t before = symbol.before;
    if (before != kNone && update(before)) queue.push(pack(symbols[before].rank, before));
  }
  for (std::uint32_t at = 0; at != kNone; at = symbols[at].after) ids.push_back(symbols[at].id);
}

}  // namespace aira
