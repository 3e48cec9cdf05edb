#include "server/token_logprobs.h"

#include <algorithm>

#include "base/utf8.h"

namespace aira {

using nlohmann::ordered_json;

namespace {

/// The token as text; one that is no whole letters as "bytes:\xe2\x80", as OpenAI writes it.
std::string text_of(const Tokenizer& tokenizer, std::int32_t id) {
  std::string bytes = tokenizer.bytes(id);
  if (valid_utf8(bytes) == bytes) return bytes;
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text = "bytes:";
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    text += std::string("\\x") + kDigits[value >> 4] + kDigits[value & 15];
  }
  return text;
}

/// Characters that begin in these bytes.
std::int64_t characters_in(std::string_view bytes) {
  return std::count_if(bytes.begin(), bytes.end(),
                       [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; });
}

/// The most probable tokens and, if it is none of them, the token itself.
std::vector<TokenLogProbability> with_itself(const RatedToken& token) {
  std::vector<TokenLogProbability> top = token.top;
  const bool there = std::any_of(top.begin(), top.end(),
                                 [&](const auto& other) { return other.token == token.id; });
  if (!there) top.push_back({token.id, *token.logprob});
  return top;
}

ordered_json entry(const Tokenizer& tokenizer, const TokenLogProbability& token) {
  const std::string bytes = tokenizer.bytes(token.token);
  ordered_json values = ordered_json::array();
  for (const char byte : bytes) values.push_back(static_cast<unsigned char>(byte));
  ordered_json made = {{"token", text_of(tokenizer, token.token)},
                       {"logprob", token.log_probability},
                       {"bytes", std::move(values)},
                       {"id", token.token}};
  if (tokenizer.is_special(token.token)) made["special"] = true;
  return made;
}

}  // namespace

ordered_json completion_logprobs(const Tokenizer& tokenizer, const std::vector<RatedToken>& tokens,
                                 std::int64_t& offset, bool special_is_text) {
  ordered_json texts = ordered_json::array();
  ordered_json logprobs = ordered_json::array();
  ordered_json tops = ordered_json::array();
  ordered_json offsets = ordered_json::array();
  for (const RatedToken& token : tokens) {
    texts.push_back(text_of(tokenizer, token.id));
    offsets.push_back(offset);
    if (special_is_text || !tokenizer.is_special(token.id)) {
      offset += characters_in(tokenizer.bytes(token.id));
    }
    if (!token.logprob) {
      logprobs.push_back(nullptr);
      tops.push_back(nullptr);
      continue;
    }
    logprobs.push_back(*token.logprob);
    ordered_json top = ordered_json::object();
    // Of tokens with the same text the most probable one comes first and stays.
    for (const auto& [id, logprob] : with_itself(token))
      top.emplace(text_of(tokenizer, id), logprob);
    tops.push_back(std::move(top));
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

ordered_json chat_logprobs(const Tokenizer& tokenizer, const std::vector<RatedToken>& tokens) {
  ordered_json content = ordered_json::array();
  for (const RatedToken& token : tokens) {
    ordered_json one = entry(tokenizer, {token.id, *token.logprob});
    one["top_logprobs"] = ordered_json::array();
    for (const TokenLogProbability& other : token.top) {
      one["top_logprobs"].push_back(entry(tokenizer, other));
    }
    content.push_back(std::move(one));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

}  // namespace aira
