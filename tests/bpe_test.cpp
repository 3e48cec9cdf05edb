// BPE against the definition written down naively, with merges in any order.
#include "text/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "aira/error.h"
#include "text/tokenizer_files.h"
#include "text/vocabulary.h"

namespace aira {
namespace {

/// All 256 bytes and `merges` random merges over the letters a to c, in no useful order.
struct RandomModel {
  explicit RandomModel(unsigned seed, int merges) {
    std::mt19937 random(seed);
    TokenList list;
    std::int64_t id = 0;
    for (int byte = 0; byte < 256; ++byte) {
      list.tokens.add(letters_of(std::string(1, static_cast<char>(byte))));
      list.ids.push_back(id++);
    }
    std::vector<std::string> tokens = {"a", "b", "c"};
    while (merges-- > 0) {
      const std::string left = tokens[random() % tokens.size()];
      const std::string right = tokens[random() % tokens.size()];
      if (left.size() + right.size() > 12) continue;
      pairs.emplace_back(left, right);
      if (std::find(tokens.begin(), tokens.end(), left + right) != tokens.end()) continue;
      tokens.push_back(left + right);
      list.tokens.add(left + right);
      list.ids.push_back(id++);
    }
    std::shuffle(pairs.begin(), pairs.end(), random);
    vocabulary = Vocabulary(list, "vocab.json");
    Texts both;
    for (const auto& [left, right] : pairs) {
      both.add(left);
      both.add(right);
    }
    bpe = Bpe(vocabulary, both, "merges.txt");
  }

  /// The last place of a pair in the list counts.
  std::size_t rank(const std::string& left, const std::string& right) const {
    for (std::size_t i = pairs.size(); i-- > 0;) {
      if (pairs[i].first == left && pairs[i].second == right) return i;
    }
    return pairs.size();
  }

  std::vector<std::int32_t> encode_naively(const std::string& piece) const {
    std::vector<std::string> parts;
    for (const char letter : piece) parts.emplace_back(1, letter);
    while (parts.size() > 1) {
      std::size_t best = pairs.size();
      std::size_t at = 0;
      for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
        const std::size_t here = rank(parts[i], parts[i + 1]);
        if (here < best) {
          best = here;
          at = i;
        }
      }
      if (best == pairs.size()) break;
      parts[at] += parts[at + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
    std::vector<std::int32_t> ids;
    for (const std::string& part : parts) ids.push_back(vocabulary.find(part));
    return ids;
  }

  std::vector<std::pair<std::string, std::string>> pairs;
  Vocabulary vocabulary;
  Bpe bpe;
};

TEST(Bpe, EqualsTheDefinition) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    const RandomModel model(seed, 40);
    std::mt19937 random(seed);
    for (const std::size_t size : {1, 2, 3, 5, 31, 32, 33, 34, 120}) {
      std::string piece(size, 'a');
      for (char& letter : piece) letter = static_cast<char>('a' + random() % (1 + seed % 3));
      std::vector<std::int32_t> ids = {-7};  // what is there already stays
      model.bpe.encode(model.vocabulary, piece, ids);
      ASSERT_EQ(ids.front(), -7);
      ids.erase(ids.begin());
      ASSERT_EQ(ids, model.encode_naively(piece)) << seed << " " << piece;
    }
  }
}

/// A vocabulary of `tokens`, whose ids are their places.
Vocabulary vocabulary_of(const std::vector<std::string>& tokens) {
  TokenList list;
  for (const std::string& token : tokens) {
    list.ids.push_back(static_cast<std::int64_t>(list.ids.size()));
    list.tokens.add(token);
  }
  return {list, "vocab.json"};
}

std::vector<std::int32_t> encode(const std::vector<std::string>& tokens, const Texts& merges,
                                 const UnknownLetters& unknown, std::string_view piece) {
  const Vocabulary vocabulary = vocabulary_of(tokens);
  std::vector<std::int32_t> ids;
  Bpe(vocabulary, merges, "merges.txt", unknown).encode(vocabulary, piece, ids);
  return ids;
}

using Ids = std::vector<std::int32_t>;

TEST(Bpe, UnknownLettersAreDroppedAndTheirNeighboursMeet) {
  Texts merges;
  ASSERT_TRUE(add_merge("a \xC3\xA9", merges));
  const std::vector<std::string> tokens = {"a", "\xC3\xA9", "a\xC3\xA9"};
  EXPECT_EQ(encode(tokens, merges, {}, "xa\xE6\x97\xA5\xC3\xA9y"), Ids{2});
  EXPECT_EQ(encode(tokens, merges, {}, "xyz"), Ids{});
}

TEST(Bpe, UnknownLettersHaveAToken) {
  const std::vector<std::string> tokens = {"a", "?", "<0xC3>", "<0xA9>", "?a"};
  Texts merges;
  ASSERT_TRUE(add_merge("? a", merges));
  EXPECT_EQ(encode(tokens, merges, {"?"}, "axya"), (Ids{0, 1, 4}));
  EXPECT_EQ(encode(tokens, merges, {"?", true}, "axya"), (Ids{0, 4}));
  EXPECT_EQ(encode(tokens, merges, {"?", false, true}, "a\xC3\xA9\xC3\xA8"), (Ids{0, 2, 3, 1}));
  EXPECT_THROW(encode(tokens, merges, {"nowhere"}, "x"), Error);
  EXPECT_EQ(encode(tokens, merges, {"nowhere"}, "a"), Ids{0});
}

TEST(Bpe, LongPiecesKeepEveryByte) {
  const RandomModel model(1, 40);
  std::string piece(200'003, 'a');
  for (std::size_t i = 0; i < piece.size(); i += 3) piece[i] = 'b';
  std::vector<std::int32_t> ids;
  model.bpe.encode(model.vocabulary, piece, ids);
  std::string back;
  for (const std::int32_t id : ids) back += bytes_of(model.vocabulary.token(id));
  EXPECT_EQ(back, piece);
}

}  // namespace
}  // namespace aira
