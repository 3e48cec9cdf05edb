#include "text/bpe.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>

#include "aira/error.h"
#include "base/printable.h"
#include "text/byte_alphabet.h"

namespace aira {
namespace {

constexpr std::uint32_t kNoMerge = std::numeric_limits<std::uint32_t>::max();

/// Up to here looking at every neighbour for each merge is faster than keeping a queue.
constexpr std::size_t kShort = 32;

/// A token of a long piece, linked to its neighbours.
struct Symbol {
  std::int32_t id;       // -1: merged into its left neighbour
  std::uint32_t before;  // index of the neighbour; none at the ends (see kNone)
  std::uint32_t after;
  std::uint32_t rank;  // of the merge with `after`
};
constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

/// A queue entry: lowest rank first, then leftmost.
constexpr std::uint64_t pack(std::uint32_t rank, std::uint32_t at) {
  return std::uint64_t{rank} << 32 | at;
}

std::int32_t known(const Vocabulary& vocabulary, std::string_view token, std::size_t number,
                   const std::string& file) {
  const std::int32_t id = vocabulary.find(token);
  if (id < 0) {
    throw Error(file + ": merge " + std::to_string(number) + " needs token " + quote(token) +
                ", which the vocabulary does not have.");
  }
  return id;
}

}  // namespace

void MergeList::add(std::string_view left, std::string_view right) {
  entries.push_back({static_cast<std::uint32_t>(text.size()),
                     static_cast<std::uint32_t>(left.size()),
                     static_cast<std::uint32_t>(right.size())});
  text.append(left);
  text.append(right);
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
  int bits = 6;
  while ((std::size_t{1} << bits) < 2 * merges.entries.size()) ++bits;
  slots_.assign(std::size_t{1} << bits, {});
  shift_ = 64 - bits;
  merged_.reserve(merges.entries.size());
  for (const MergeList::Entry& entry : merges.entries) {
    const auto pair = std::string_view(merges.text).substr(entry.begin, entry.left + entry.right);
    const std::size_t number = merged_.size() + 1;
    const std::int32_t left = known(vocabulary, pair.substr(0, entry.left), number, merges_file);
    const std::int32_t right = known(vocabulary, pair.substr(entry.left), number, merges_file);
    insert(left, right, static_cast<std::uint32_t>(merged_.size()));
    // Trained vocabularies list merged tokens in the order of the merges: try the next id first.
    const std::int32_t next = merged_.empty() ? -1 : merged_.back() + 1;
    const bool hit = vocabulary.has(next) && vocabulary.token(next) == pair;
    merged_.push_back(hit ? next : known(vocabulary, pair, number, merges_file));
  }
}

std::uint32_t Bpe::rank(std::int32_t left, std::int32_t right) const {
  const std::uint64_t key = std::uint64_t(left) << 32 | std::uint64_t(right);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = (key * 0x9E3779B97F4A7C15U) >> shift_;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.left < 0) return kNoMerge;
    if (slot.left == left && slot.right == right) return slot.rank;
  }
}

void Bpe::insert(std::int32_t left, std::int32_t right, std::uint32_t rank) {
  const std::uint64_t key = std::uint64_t(left) << 32 | std::uint64_t(right);
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = (key * 0x9E3779B97F4A7C15U) >> shift_;
  while (slots_[at].left >= 0 && (slots_[at].left != left || slots_[at].right != right)) {
    at = (at + 1) & mask;
  }
  slots_[at] = {left, right,
                rank};  // a pair that stands twice: the later rank, as `tokenizers` does
}

void Bpe::encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
  if (piece.size() <= kShort) {
    encode_short(piece, ids);
  } else {
    encode_long(piece, ids);
  }
}

void Bpe::encode_short(std::string_view piece, std::vector<std::int32_t>& ids) const {
  std::array<std::int32_t, kShort> tokens;
  std::array<std::uint32_t, kShort> ranks;  // of the merge of i and i + 1
  std::size_t count = piece.size();
  for (std::size_t i = 0; i < count; ++i) {
    tokens[i] = byte_ids_[static_cast<unsigned char>(piece[i])];
  }
  for (std::size_t i = 0; i + 1 < count; ++i) ranks[i] = rank(tokens[i], tokens[i + 1]);
  while (count > 1) {
    const auto best = static_cast<std::size_t>(
        std::min_element(ranks.begin(), ranks.begin() + count - 1) - ranks.begin());
    if (ranks[best] == kNoMerge) break;
    tokens[best] = merged_[ranks[best]];
    std::copy(tokens.begin() + best + 2, tokens.begin() + count, tokens.begin() + best + 1);
    std::copy(ranks.begin() + best + 1, ranks.begin() + count - 1, ranks.begin() + best);
    --count;
    if (best > 0) ranks[best - 1] = rank(tokens[best - 1], tokens[best]);
    if (best + 1 < count) ranks[best] = rank(tokens[best], tokens[best + 1]);
  }
  ids.insert(ids.end(), tokens.begin(), tokens.begin() + count);
}

void Bpe::encode_long(std::string_view piece, std::vector<std::int32_t>& ids) const {
  const auto count = static_cast<std::uint32_t>(piece.size());
  std::vector<Symbol> symbols(count);
  std::vector<std::uint64_t> entries;
  entries.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    symbols[i] = {byte_ids_[static_cast<unsigned char>(piece[i])], i - 1, i + 1, kNoMerge};
  }
  symbols[0].before = kNone;
  symbols[count - 1].after = kNone;
  const auto update = [&](std::uint32_t at) {
    Symbol& symbol = symbols[at];
    symbol.rank = symbol.after == kNone ? kNoMerge : rank(symbol.id, symbols[symbol.after].id);
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
    symbol.id = merged_[symbol.rank];
    symbol.after = right.after;
    right.id = -1;
    right.rank = kNoMerge;
    if (symbol.after != kNone) symbols[symbol.after].before = at;
    if (update(at)) queue.push(pack(symbol.rank, at));
    const std::uint32_t before = symbol.before;
    if (before != kNone && update(before)) queue.push(pack(symbols[before].rank, before));
  }
  for (std::uint32_t at = 0; at != kNone; at = symbols[at].after) ids.push_back(symbols[at].id);
}

}  // namespace aira
