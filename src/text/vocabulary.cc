#include "text/vocabulary.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "aira/error.h"
#include "base/printable.h"
#include "text/byte_alphabet.h"

namespace aira {
namespace {

constexpr std::uint64_t kMix = 0x9E3779B97F4A7C15U;  // 2^64 / golden ratio

std::uint32_t hash_of(std::string_view token) {
  std::uint64_t hash = token.size();
  for (std::size_t at = 0; at < token.size(); at += 8) {
    std::uint64_t block = 0;
    std::memcpy(&block, token.data() + at, std::min<std::size_t>(8, token.size() - at));
    hash = (hash ^ block) * kMix;
    hash ^= hash >> 32;
  }
  return static_cast<std::uint32_t>(hash);
}

}  // namespace

void TokenList::add(std::string_view token, std::int64_t id) {
  entries.push_back(
      {static_cast<std::uint32_t>(text.size()), static_cast<std::uint32_t>(token.size()), id});
  text.append(token);
}

Vocabulary::Vocabulary(TokenList list, const std::string& file) {
  const auto count = static_cast<std::int64_t>(list.entries.size());
  spans_.resize(list.entries.size());
  std::vector<bool> taken(list.entries.size());
  for (const TokenList::Entry& entry : list.entries) {
    const std::string what = file + ": the vocabulary gives token ";
    if (entry.id < 0 || entry.id >= count) {
      throw Error(what + quote(list.token(entry)) + " the id " + std::to_string(entry.id) +
                  "; expected the ids 0 to " + std::to_string(count - 1) + ", each once.");
    }
    const auto id = static_cast<std::size_t>(entry.id);
    if (taken[id]) {
      throw Error(what + quote(list.token(entry)) + " the id " + std::to_string(entry.id) +
                  ", which another token has already.");
    }
    taken[id] = true;
    spans_[id] = {entry.begin, entry.length};
  }
  text_ = std::move(list.text);
  grow_slots(spans_.size());
  bytes_.reserve(text_.size());
  byte_spans_.reserve(spans_.size());
  for (std::int32_t id = 0; id < size(); ++id) {
    if (!insert(id)) {
      throw Error(file + ": the vocabulary has token " + quote(token(id)) + " twice.");
    }
    add_bytes(id);
  }
}

std::int32_t Vocabulary::append(std::string_view token) {
  const std::int32_t id = size();
  spans_.push_back(
      {static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(token.size())});
  text_.append(token);
  if (spans_.size() * 2 > slots_.size()) grow_slots(spans_.size());
  insert(id);
  add_bytes(id);
  return id;
}

std::int32_t Vocabulary::find(std::string_view wanted) const {
  if (slots_.empty()) return -1;
  const std::uint32_t hash = hash_of(wanted);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask; slots_[at].id >= 0; at = (at + 1) & mask) {
    if (slots_[at].hash == hash && token(slots_[at].id) == wanted) return slots_[at].id;
  }
  return -1;
}

bool Vocabulary::insert(std::int32_t id) {
  const std::string_view wanted = token(id);
  const std::uint32_t hash = hash_of(wanted);
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  for (; slots_[at].id >= 0; at = (at + 1) & mask) {
    if (slots_[at].hash == hash && token(slots_[at].id) == wanted) return false;
  }
  slots_[at] = {hash, id};
  return true;
}

void Vocabulary::add_bytes(std::int32_t id) {
  const auto begin = static_cast<std::uint32_t>(bytes_.size());
  append_token_bytes(token(id), bytes_);
  byte_spans_.push_back({begin, static_cast<std::uint32_t>(bytes_.size() - begin)});
}

void Vocabulary::grow_slots(std::size_t tokens) {
  const std::vector<Slot> old = std::move(slots_);
  std::size_t size = 64;
  while (size < 2 * tokens) size *= 2;
  slots_.assign(size, {});
  for (const Slot& slot : old) {
    if (slot.id >= 0) insert(slot.id);
  }
}

}  // namespace aira
