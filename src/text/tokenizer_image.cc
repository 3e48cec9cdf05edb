#include "text/tokenizer_image.h"

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "base/digest.h"

namespace aira {
namespace {

class Writer {
 public:
  template <typename T>
  void operator()(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    append(&value, sizeof value);
  }
  template <typename T>
  void operator()(const std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    (*this)(values.size());
    append(values.data(), values.size() * sizeof(T));
  }
  void operator()(const std::string& text) {
    (*this)(text.size());
    append(text.data(), text.size());
  }
  std::string bytes;

 private:
  void append(const void* data, std::size_t size) {
    bytes.append(static_cast<const char*>(data), size);
  }
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <typename T>
  void operator()(T& value) {
    take(&value, sizeof value);
  }
  template <typename T>
  void operator()(std::vector<T>& values) {
    fill(values, sizeof(T));
  }
  void operator()(std::string& text) { fill(text, 1); }
  /// Whether everything asked for was there, and no more.
  bool complete() const { return good_ && rest_.empty(); }

 private:
  void take(void* out, std::size_t size) {
    good_ = good_ && size <= rest_.size();
    if (!good_ || size == 0) return;
    std::memcpy(out, rest_.data(), size);
    rest_.remove_prefix(size);
  }
  template <typename Container>
  void fill(Container& container, std::size_t element) {
    std::size_t count = 0;
    take(&count, sizeof count);
    good_ = good_ && count <= rest_.size() / element;
    if (!good_) return;
    container.resize(count);
    take(container.data(), count * element);
  }

  std::string_view rest_;
  bool good_ = true;
};

/// `parts` is TokenizerParts, const for a Writer.
template <typename Archive, typename Parts>
void each_table(Archive& archive, Parts& parts) {
  Vocabulary::each_table(parts.vocabulary, archive);
  archive(parts.model_tokens);
  Bpe::each_table(parts.bpe, archive);
  std::size_t added = parts.added.size();
  archive(added);
  if constexpr (!std::is_const_v<Parts>) {
    constexpr std::size_t kMost = 1U << 24;  // the digest was right; this is for the compiler
    parts.added.resize(added < kMost ? added : 0);
  }
  for (auto& token : parts.added) {
    archive(token.content);
    archive(token.id);
    for (auto* flag :
         {&token.single_word, &token.lstrip, &token.rstrip, &token.normalized, &token.special}) {
      archive(*flag);
    }
  }
  for (auto* flag : {&parts.add_prefix_space, &parts.use_regex, &parts.ignore_merges}) {
    archive(*flag);
  }
  for (auto* role :
       {&parts.roles.bos, &parts.roles.sep, &parts.roles.eos, &parts.roles.pad, &parts.roles.unk}) {
    std::int64_t id = role->has_value() ? std::int64_t{**role} : -1;
    archive(id);
    if constexpr (!std::is_const_v<Parts>) {
      if (id >= 0) *role = static_cast<std::int32_t>(id);
    }
  }
}

}  // namespace

std::string to_image(const TokenizerParts& parts) {
  Writer writer;
  each_table(writer, parts);
  writer(digest(writer.bytes));
  return std::move(writer.bytes);
}

std::optional<TokenizerParts> from_image(std::string_view image) {
  std::uint64_t expected = 0;
  if (image.size() < sizeof expected) return std::nullopt;
  const std::string_view body = image.substr(0, image.size() - sizeof expected);
  std::memcpy(&expected, image.data() + body.size(), sizeof expected);
  if (digest(body) != expected) return std::nullopt;
  Reader reader(body);
  TokenizerParts parts;
  each_table(reader, parts);
  if (!reader.complete()) return std::nullopt;
  return parts;
}

}  // namespace aira
