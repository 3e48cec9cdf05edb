// Merges in any order on any piece: the ids are those of the definition.
#include "text/bpe.h"

#include <map>

#include "fuzz.h"
#include "text/vocabulary.h"

using namespace aira;

namespace {

using Pair = std::pair<std::int32_t, std::int32_t>;

struct Merges {
  std::vector<std::string> tokens;  // by id; those below 256 stand for bytes
  std::map<std::string, std::int32_t> ids;
  std::vector<std::pair<Pair, std::int32_t>> list;  // what becomes of a pair
  Texts texts;
};

/// Up to 31 merges of tokens that are there already.
Merges merges_of(fuzz::Choices& choices) {
  Merges merges;
  for (int byte = 0; byte < 256; ++byte) {
    merges.tokens.push_back(letters_of(std::string(1, static_cast<char>(byte))));
    merges.ids[merges.tokens.back()] = byte;
  }
  const auto any = [&] {
    const std::size_t pick = choices.byte();
    const bool letter = pick < 128 || merges.tokens.size() == 256;
    return letter ? 'a' + pick % 4 : 256 + pick % (merges.tokens.size() - 256);
  };
  for (auto count = choices.number(0, 31); count > 0; --count) {
    const std::size_t left = any();
    const std::size_t right = any();
    const std::string token = merges.tokens[left] + merges.tokens[right];
    if (token.size() > 40) continue;
    const auto id = static_cast<std::int32_t>(merges.tokens.size());
    const auto [entry, is_new] = merges.ids.emplace(token, id);
    if (is_new) merges.tokens.push_back(token);
    merges.list.push_back({Pair(left, right), entry->second});
    merges.texts.add(merges.tokens[left]);
    merges.texts.add(merges.tokens[right]);
  }
  return merges;
}

/// Always the first merge of the list that applies, at the leftmost place; of a pair that is listed
/// twice the later counts.
std::vector<std::int32_t> by_definition(const Merges& merges, std::string_view piece) {
  std::map<Pair, std::size_t> ranks;
  for (std::size_t i = 0; i < merges.list.size(); ++i) ranks[merges.list[i].first] = i;
  std::vector<std::int32_t> ids;
  for (const char byte : piece) ids.push_back(static_cast<unsigned char>(byte));
  for (;;) {
    std::size_t best = merges.list.size();
    std::size_t place = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = ranks.find({ids[i], ids[i + 1]});
      if (found == ranks.end() || found->second >= best) continue;
      best = found->second;
      place = i;
    }
    if (best == merges.list.size()) return ids;
    ids[place] = merges.list[best].second;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

}  // namespace

FUZZ_TARGET(bpe) {
  fuzz::Choices choices(input);
  const Merges merges = merges_of(choices);
  TokenList list;
  for (std::size_t id = 0; id < merges.tokens.size(); ++id) {
    list.tokens.add(merges.tokens[id]);
    list.ids.push_back(static_cast<std::int64_t>(id));
  }
  const Vocabulary vocabulary(std::move(list), "vocabulary");
  const Bpe bpe(vocabulary, merges.texts, "merges");
  std::string piece(choices.rest().substr(0, 200));
  for (char& byte : piece) {
    if ((byte & 0x60) != 0x20) byte = static_cast<char>('a' + byte % 4);
  }
  if (piece.empty()) return;
  std::vector<std::int32_t> ids;
  bpe.encode(vocabulary, letters_of(piece), ids);
  FUZZ_CHECK(ids == by_definition(merges, piece));
}
