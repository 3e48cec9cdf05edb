#include "text/bpe.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <queue>
#include <span>
#include <utility>

#include "aira/error.h"
#include "base/printable.h"
#include "base/utf8.h"

namespace aira {
namespace {

constexpr std::uint32_t kNoMerge = std::numeric_limits<std::uint32_t>::max();

/// Up to here looking at all symbols for each merge is faster than keeping a queue.
constexpr std::uint32_t kShort = 32;

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

/// next_code_point(), quick for the letters that stand for bytes.
char32_t next_letter(std::string_view valid, std::size_t& at) {
  const auto byte = static_cast<unsigned char>(valid[at]);
  if (byte >= 0xE0) return next_code_point(valid, at);
  ++at;
  if (byte < 0x80) return byte;
  return (byte & 0x1FU) << 6U | (static_cast<unsigned char>(valid[at++]) & 0x3FU);
}

/// The letter that `token` is; nothing when it is more or less than one.
std::optional<char32_t> only_letter(std::string_view token) {
  if (token.empty()) return std::nullopt;
  const Utf8Step step = utf8_step(token);
  const bool whole = step.kind == Utf8Kind::kLetter && step.length == token.size();
  return whole ? std::optional(step.code) : std::nullopt;
}

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, const Texts& merges, const std::string& file,
         UnknownLetters unknown)
    : unknown_(std::move(unknown)) {
  for (std::size_t letter = 0; letter < kLetters; ++letter) {
    std::string token;
    append_utf8(static_cast<char32_t>(letter), token);
    letter_ids_[letter] = vocabulary.find(token);
  }
  newest_.assign(static_cast<std::size_t>(vocabulary.size()), kNoMerge);
  of_letters_.assign(kLetters * kLetters, kNoMerge);
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
        throw Error("[E348] {}: merge {} needs token {}, which the vocabulary does not have.",
                    {file, std::to_string(i / 2 + 1), quote(needed)});
      }
    }
    const auto left_size = static_cast<std::uint32_t>(left.size());
    std::uint32_t& newest = newest_[static_cast<std::size_t>(token)];
    // Of a pair that is listed twice the later one counts, as in `tokenizers`.
    std::uint32_t* same = &newest;
    while (*same != kNoMerge && merges_[*same].left != left_size) same = &merges_[*same].older;
    if (*same != kNoMerge) *same = merges_[*same].older;
    const std::uint32_t older = std::exchange(newest, static_cast<std::uint32_t>(merges_.size()));
    merges_.push_back({token, left_size, older});
    if (merged.size() > 4) continue;  // more than two letters
    const auto first = only_letter(left);
    const auto second = only_letter(merges[i + 1]);
    if (first && second && *first < kLetters && *second < kLetters) {
      of_letters_[*first * kLetters + *second] = newest;
    }
  }
}

bool Bpe::has_all_bytes() const {
  std::string bytes(256, '\0');
  std::iota(bytes.begin(), bytes.end(), '\0');
  const std::string letters = letters_of(bytes);
  for (std::size_t at = 0; at < letters.size();) {
    if (letter_ids_[next_code_point(letters, at)] < 0) return false;
  }
  return true;
}

std::uint32_t Bpe::rank(const Vocabulary& vocabulary, std::string_view pair,
                        std::size_t left) const {
  const auto token = static_cast<std::size_t>(vocabulary.find_in_model(pair));
  if (token >= newest_.size()) return kNoMerge;
  std::uint32_t rank = newest_[token];
  while (rank != kNoMerge && merges_[rank].left != left) rank = merges_[rank].older;
  return rank;
}

std::vector<std::int32_t> Bpe::bytes_of_unknown(const Vocabulary& vocabulary,
                                                std::string_view letter) const {
  std::vector<std::int32_t> ids;
  if (!unknown_.byte_fallback) return ids;
  for (const char byte : letter) {
    constexpr const char* kDigits = "0123456789ABCDEF";
    const auto value = static_cast<unsigned char>(byte);
    ids.push_back(vocabulary.find_in_model(std::string("<0x") + kDigits[value >> 4] +
                                           kDigits[value & 0xF] + ">"));
    if (ids.back() < 0) return {};
  }
  return ids;
}

std::uint32_t Bpe::read_letters(const Vocabulary& vocabulary, std::string_view piece,
                                Symbol* symbols, std::string& replaced) const {
  std::uint32_t count = 0;
  std::size_t begin = 0;
  while (begin < piece.size()) {  // the alphabet's letters, which most pieces have alone
    std::size_t at = begin;
    const char32_t code = next_letter(piece, at);
    if (code >= kLetters || letter_ids_[code] < 0) break;
    symbols[count] = {letter_ids_[code], static_cast<std::uint32_t>(begin), count - 1, count + 1,
                      code};
    ++count;
    begin = at;
  }
  bool any_unknown = false;
  bool pending = false;  // an unknown letter, which the next may join
  const auto add = [&](std::int32_t id, std::string_view token, char32_t letter) {
    symbols[count] = {id, static_cast<std::uint32_t>(begin), count - 1, count + 1, letter};
    if (any_unknown) replaced += token;
    begin += token.size();
    ++count;
  };
  const auto add_token = [&](std::int32_t id) { add(id, vocabulary.token(id), kNone); };
  const auto add_pending = [&] {
    if (!std::exchange(pending, false)) return;
    const std::int32_t id = vocabulary.find_in_model(unknown_.token);
    if (id < 0) {
      throw Error(
          "[E349] The text has a letter that the vocabulary lacks, and its \"unk_token\", {}, is "
          "missing too.",
          {quote(unknown_.token)});
    }
    add_token(id);
  };
  for (std::size_t at = begin; at < piece.size();) {
    const std::size_t start = at;
    const char32_t code = next_letter(piece, at);
    const std::string_view letter = piece.substr(start, at - start);
    const std::int32_t id = code < kLetters ? letter_ids_[code] : vocabulary.find_in_model(letter);
    if (id >= 0) {
      if (pending) add_pending();
      add(id, letter, code);
      continue;
    }
    if (!std::exchange(any_unknown, true)) replaced = piece.substr(0, start);
    const std::vector<std::int32_t> bytes = bytes_of_unknown(vocabulary, letter);
    for (const std::int32_t byte : bytes) add_token(byte);  // before a pending one
    if (!bytes.empty()) continue;
    if (!unknown_.fuse) add_pending();
    pending = !unknown_.token.empty();
  }
  add_pending();
  if (begin >= kNone) throw Error("[E350] The text is too long for the letters that it has.");
  symbols[count] = {-1, static_cast<std::uint32_t>(begin), count - 1, kNone, kNoMerge};
  return count;
}

void Bpe::encode(const Vocabulary& vocabulary, std::string_view piece,
                 std::vector<std::int32_t>& ids) const {
  std::array<Symbol, kShort + 1> few;
  std::vector<Symbol> many(piece.size() > kShort ? piece.size() + 1 : 0);
  Symbol* const all = many.empty() ? few.data() : many.data();
  std::string replaced;
  const std::uint32_t count = read_letters(vocabulary, piece, all, replaced);
  const std::string_view letters = replaced.empty() ? piece : replaced;
  const std::span<Symbol> symbols(all, count + 1);
  using Entry = std::pair<std::uint32_t, std::uint32_t>;  // rank and index: leftmost of equals
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;  // of long pieces
  const auto set_rank = [&](std::uint32_t at, std::uint32_t rank) {
    symbols[at].rank = rank;
    if (count > kShort && rank != kNoMerge) queue.emplace(rank, at);
  };
  const auto update = [&](std::uint32_t at) {
    const Symbol& symbol = symbols[at];
    const Symbol& right = symbols[symbol.after];
    if (right.after == kNone) return set_rank(at, kNoMerge);
    const std::size_t size = symbols[right.after].begin - symbol.begin;
    const auto pair = letters.substr(symbol.begin, size);
    set_rank(at, rank(vocabulary, pair, right.begin - symbol.begin));
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t first = symbols[i].rank;
    const std::size_t second = symbols[i + 1].rank;
    if (first < kLetters && second < kLetters) {
      set_rank(i, of_letters_[first * kLetters + second]);
    } else {
      update(i);
    }
  }
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
