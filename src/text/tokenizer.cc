// The order of work is that of `tokenizers`: added tokens, add_prefix_space, pieces, BPE.
#include "aira/tokenizer.h"

#include <utility>

#include "aira/error.h"
#include "base/utf8.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pretokenizer.h"
#include "text/tokenizer_files.h"
#include "text/vocabulary.h"

namespace aira {

struct Tokenizer::Impl {
  explicit Impl(TokenizerParts parts);

  void encode_text(std::string_view text, bool plain, std::vector<std::int32_t>& ids) const;
  void encode_piece(std::string_view piece, bool plain, std::vector<std::int32_t>& ids) const;
  bool is_special(std::int32_t id) const {
    return vocabulary.has(id) && special[static_cast<std::size_t>(id)];
  }

  Vocabulary vocabulary;
  std::int32_t model_tokens;
  Bpe bpe;
  AddedTokens added;
  bool add_prefix_space, use_regex, ignore_merges;
  Roles roles;
  std::vector<bool> special;  // by id
};

Tokenizer::Impl::Impl(TokenizerParts parts)
    : vocabulary(std::move(parts.vocabulary)),
      model_tokens(parts.model_tokens),
      bpe(std::move(parts.bpe)),
      added(std::move(parts.added)),
      add_prefix_space(parts.add_prefix_space),
      use_regex(parts.use_regex),
      ignore_merges(parts.ignore_merges),
      roles(parts.roles),
      special(static_cast<std::size_t>(vocabulary.size())) {
  for (const AddedToken& token : added.tokens()) {
    if (token.special) special[static_cast<std::size_t>(token.id)] = true;
  }
  for (const auto& role : {roles.bos, roles.sep, roles.eos, roles.pad, roles.unk}) {
    if (role) special[static_cast<std::size_t>(*role)] = true;
  }
}

void Tokenizer::Impl::encode_text(std::string_view text, bool plain,
                                  std::vector<std::int32_t>& ids) const {
  std::string storage;
  if (add_prefix_space && text.front() != ' ') {
    storage.reserve(text.size() + 1);
    storage.append(" ").append(text);
    text = storage;
  }
  if (!use_regex) {
    encode_piece(text, plain, ids);
    return;
  }
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = piece_end(text, begin);
    encode_piece(text.substr(begin, end - begin), plain, ids);
    begin = end;
  }
}

void Tokenizer::Impl::encode_piece(std::string_view piece, bool plain,
                                   std::vector<std::int32_t>& ids) const {
  if (ignore_merges) {
    const std::int32_t id = vocabulary.find_bytes(piece, false);
    if (id >= 0 && id < model_tokens && !(plain && is_special(id))) {
      ids.push_back(id);
      return;
    }
  }
  bpe.encode(vocabulary, piece, ids);
}

Tokenizer Tokenizer::load(const ModelFiles& files) {
  return Tokenizer(std::make_unique<Impl>(read_tokenizer_files(files)));
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, Added added) const {
  constexpr std::size_t kMostBytes = std::size_t{1} << 29;  // BPE counts the bytes in 32 bits
  if (text.size() > kMostBytes) {
    throw Error("The text has " + std::to_string(text.size()) + " bytes; at most " +
                std::to_string(kMostBytes) + " can be tokenised at once.");
  }
  std::string storage;
  const bool plain = added == Added::kPlainText;
  std::vector<std::int32_t> ids;
  for (const Segment& segment : impl_->added.split(valid_utf8(text, storage), plain)) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
    } else {
      impl_->encode_text(segment.text, plain, ids);
    }
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string text;
  for (const std::int32_t id : ids) {
    if (!(skip_special && is_special(id))) text += bytes(id);
  }
  std::string storage;
  if (valid_utf8(text, storage).data() == text.data()) return text;
  return storage;
}

std::string_view Tokenizer::bytes(std::int32_t id) const {
  return impl_->vocabulary.has(id) ? impl_->vocabulary.bytes(id) : std::string_view();
}

bool Tokenizer::is_special(std::int32_t id) const { return impl_->is_special(id); }

std::optional<std::int32_t> Tokenizer::find(std::string_view content) const {
  const std::int32_t id = impl_->vocabulary.find(content);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

const Tokenizer::Roles& Tokenizer::roles() const { return impl_->roles; }

std::int64_t Tokenizer::size() const { return impl_->vocabulary.size(); }

std::string Utf8Stream::push(std::string_view bytes) {
  held_.append(bytes);
  std::string letters;
  held_.erase(0, append_whole_letters(held_, letters));
  return letters;
}

std::string Utf8Stream::finish() {
  const bool unfinished = !held_.empty();
  held_.clear();
  return unfinished ? std::string(kReplacement) : std::string();
}

}  // namespace aira
