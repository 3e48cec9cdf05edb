// Added tokens of any flags in any text: segments are parts of it, in order, on letters' borders.
#include "text/added_tokens.h"

#include "base/utf8.h"
#include "fuzz.h"

using namespace aira;

namespace {

/// What a finder gives is what the definition says: at each place the longest token, the first of
/// equal ones.
void check_finder(const std::vector<AddedToken>& tokens, std::string_view text) {
  TokenFinder finder;
  for (const AddedToken& token : tokens) finder.add(token);
  finder.finish();
  std::vector<TokenFinder::Found> all = finder.find(text);
  for (std::size_t at = 0; at < text.size(); ++at) {
    const AddedToken* longest = nullptr;
    for (const AddedToken& token : tokens) {
      if (!text.substr(at).starts_with(token.content)) continue;
      if (longest == nullptr || token.content.size() > longest->content.size()) longest = &token;
    }
    if (longest == nullptr) continue;
    FUZZ_CHECK(!all.empty() && all.back().begin == at && all.back().token->id == longest->id);
    all.pop_back();
  }
  FUZZ_CHECK(all.empty());
}

}  // namespace

FUZZ_TARGET(added_tokens) {
  fuzz::Choices choices(input);
  std::vector<AddedToken> tokens;
  for (auto count = choices.number(0, 7); count > 0; --count) {
    const std::uint8_t flags = choices.byte();
    AddedToken token = {.content = valid_utf8(choices.text(6)),
                        .id = static_cast<std::int32_t>(tokens.size()),
                        .single_word = (flags & 1U) != 0,
                        .lstrip = (flags & 2U) != 0,
                        .rstrip = (flags & 4U) != 0,
                        .normalized = (flags & 8U) != 0,
                        .special = (flags & 16U) != 0};
    if (!token.content.empty()) tokens.push_back(token);
  }
  const AddedTokens added(tokens);
  const std::string before = valid_utf8(choices.text(20));
  const std::string typed = valid_utf8(choices.text(60));
  const std::string text = before + typed + valid_utf8(choices.rest());
  const std::string_view typed_part = std::string_view(text).substr(before.size(), typed.size());
  check_finder(tokens, text);
  const AddedTokens::Typed typed_parts(&typed_part, typed.empty() ? 0 : 1);
  for (const bool normalized : {false, true}) {
    const char* last = nullptr;  // where the last piece of text began
    for (const Segment& segment : added.split(text, normalized, typed_parts)) {
      FUZZ_CHECK(segment.id < std::ssize(tokens));
      if (segment.id >= 0) continue;
      const char* const begin = segment.text.data();
      FUZZ_CHECK(!segment.text.empty() && begin >= text.data() &&
                 (last == nullptr || begin > last));
      FUZZ_CHECK(begin + segment.text.size() <= text.data() + text.size());
      FUZZ_CHECK(valid_utf8(segment.text) == segment.text);
      last = begin;
    }
  }
}
