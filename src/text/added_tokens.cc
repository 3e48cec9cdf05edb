#include "text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "text/unicode.h"

namespace aira {
namespace {

bool touches_word(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && is_word_char(previous_code_point(text, begin))) return true;
  return end < text.size() && is_word_char(next_code_point(text, end));
}

}  // namespace

TokenFinder::TokenFinder() : nodes_(1) {}

std::uint32_t TokenFinder::child(std::uint32_t node, unsigned char byte) const {
  if (node == 0) return of_root_[byte];
  std::uint32_t at = nodes_[node].child;
  while (at != kNone && nodes_[at].byte != byte) at = nodes_[at].sibling;
  return at;
}

void TokenFinder::add(AddedToken token) {
  std::uint32_t node = 0;
  for (auto at = token.content.rbegin(); at != token.content.rend(); ++at) {
    const auto byte = static_cast<unsigned char>(*at);
    std::uint32_t next = child(node, byte);
    if (next == kNone) {
      next = static_cast<std::uint32_t>(nodes_.size());
      nodes_.push_back({.byte = byte, .sibling = nodes_[node].child});
      nodes_[node].child = next;
      if (node == 0) of_root_[byte] = next;
    }
    node = next;
  }
  if (nodes_[node].token != kNone) return;
  tokens_.push_back(std::move(token));
  nodes_[node].token = static_cast<std::uint32_t>(tokens_.size());
}

std::uint32_t TokenFinder::next(std::uint32_t node, unsigned char byte) const {
  std::uint32_t found = child(node, byte);
  while (found == kNone && node != 0) {
    node = nodes_[node].shorter;
    found = child(node, byte);
  }
  return found;
}

void TokenFinder::finish() {
  std::vector<std::uint32_t> nodes = {0};  // by the number of their bytes
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const std::uint32_t node = nodes[i];
    for (std::uint32_t at = nodes_[node].child; at != kNone; at = nodes_[at].sibling) {
      if (node != 0) nodes_[at].shorter = next(nodes_[node].shorter, nodes_[at].byte);
      if (nodes_[at].token == kNone) nodes_[at].token = nodes_[nodes_[at].shorter].token;
      nodes.push_back(at);
    }
  }
}

std::vector<TokenFinder::Found> TokenFinder::find(std::string_view text) const {
  std::vector<Found> found;
  std::uint32_t node = 0;
  for (std::size_t at = text.size(); at-- > 0;) {
    node = next(node, static_cast<unsigned char>(text[at]));
    const std::uint32_t token = nodes_[node].token;
    if (token != kNone) found.push_back({at, &tokens_[token - 1]});
  }
  return found;
}

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens, const Normalizer& normalizer) {
  for (AddedToken token : tokens) {
    if (token.normalized && !normalizer.empty()) token.content = normalizer(token.content);
    if (token.content.empty()) continue;
    (token.normalized ? normalized_ : raw_).add(std::move(token));
  }
  raw_.finish();
  normalized_.finish();
}

bool AddedTokens::touches(Typed typed, std::string_view part) {
  const auto one = std::partition_point(typed.begin(), typed.end(), [&](std::string_view before) {
    return before.data() + before.size() <= part.data();
  });
  return one != typed.end() && one->data() < part.data() + part.size();
}

std::vector<Segment> AddedTokens::split(std::string_view text, bool normalized, Typed typed) const {
  const TokenFinder& finder = normalized ? normalized_ : raw_;
  std::vector<Segment> out;
  if (finder.empty() && !text.empty()) out.push_back({text, -1});
  if (finder.empty()) return out;
  std::size_t at = 0;
  std::size_t done = 0;                    // what precedes it is in `out`
  std::size_t run_begin = 0, run_end = 0;  // white space that an rstrip token took last
  std::vector<TokenFinder::Found> all = finder.find(text);
  for (; !all.empty(); all.pop_back()) {
    const auto [first, token] = all.back();
    if (first < at) continue;
    at = first;
    std::size_t begin = at;
    std::size_t end = at += token->content.size();
    if (token->special && touches(typed, text.substr(begin, end - begin))) continue;
    if (token->single_word && touches_word(text, begin, end)) continue;
    if (token->lstrip) begin = std::max(done, space_begin(text, begin, done));
    if (token->rstrip) {
      if (end < run_begin || end > run_end) {
        run_begin = end;
        run_end = space_end(text, end);
      }
      end = run_end;
    }
    // Nothing is left of it when an rstrip token before it took all: dropped, as in `tokenizers`.
    if (begin >= end) continue;
    if (done < begin) out.push_back({text.substr(done, begin - done), -1});
    out.push_back({{}, token->id});
    // Not max(done, end): a token found inside white space that was taken already gives back the
    // white space behind it, as in `tokenizers`.
    done = end;
  }
  if (done < text.size()) out.push_back({text.substr(done), -1});
  return out;
}

}  // namespace aira
