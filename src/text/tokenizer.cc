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

struct Tokenizer::Impl : TokenizerParts {
  explicit Impl(TokenizerParts parts);

  void encode_text(std::string_view text, bool plain, std::vector<std::int32_t>& ids) const;
  void encode_piece(std::string_view piece, bool plain, std::vector<std::int32_t>& ids) const;
  bool is_special(std::int32_t id) const {
    return vocabulary.has(id) && special[static_cast<std::size_t>(id)];
  }

  AddedTokens splitter;
  std::vector<bool> special;  // by id
};

Tokenizer::Impl::Impl(TokenizerParts parts)
    : TokenizerParts(std::move(parts)),
      splitter(added),
      special(static_cast<std::size_t>(vocabulary.size())) {
  for (const AddedToken& token : added) {
    if (token.special) special[static_cast<std::size_t>(token.id)] = true;
  }
  for (const auto& role : {roles.bos, roles.sep, roles.eos, roles.pad, roles.unk}) {
    if (role) special[static_cast<std::size_t>(*role)] = true;
  }
}

void Tokenizer::Impl::encode_text(std::string_view text, bool plain,
                                  std::vector<std::int32_t>& ids) const {
  std::string with_space;
  if (add_prefix_space && text.front() != ' ') text = with_space.append(" ").append(text);
  while (!text.empty()) {
    const std::size_t end = use_regex ? piece_length(text) : text.size();
    encode_piece(text.substr(0, end), plain, ids);
    text.remove_prefix(end);
  }
}

void Tokenizer::Impl::encode_piece(std::string_view piece, bool plain,
                                   std::vector<std::int32_t>& ids) const {
  if (ignore_merges) {
    const std::int32_t id = vocabulary.find(letters_of(piece));
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
  const Part part = {std::string(text), added == Added::kPlainText};
  return encode({&part, 1});
}

std::vector<std::int32_t> Tokenizer::encode(std::span<const Part> parts) const {
  std::string valid;
  std::vector<std::size_t> ends;  // of the parts
  for (const Part& part : parts) {
    valid += valid_utf8(part.text);
    ends.push_back(valid.size());
  }
  constexpr std::size_t kMostBytes = std::size_t{1} << 29;  // BPE counts the bytes in 32 bits
  if (valid.size() > kMostBytes) {
    throw Error("The text has " + std::to_string(valid.size()) + " bytes; at most " +
                std::to_string(kMostBytes) + " can be tokenised at once.");
  }
  std::vector<std::string_view> typed;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t begin = i == 0 ? 0 : ends[i - 1];
    const auto part = std::string_view(valid).substr(begin, ends[i] - begin);
    if (parts[i].typed) typed.push_back(part);
  }
  std::vector<std::int32_t> ids;
  for (const Segment& segment : impl_->splitter.split(valid, typed)) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
    } else {
      impl_->encode_text(segment.text, !typed.empty(), ids);
    }
  }
  return ids;
}

std::vector<std::int32_t> Tokenizer::encode_with_template(std::string_view text,
                                                          Added added) const {
  const Part part = {std::string(text), added == Added::kPlainText};
  return encode_with_template({&part, 1});
}

std::vector<std::int32_t> Tokenizer::encode_with_template(std::span<const Part> parts) const {
  std::vector<std::int32_t> ids = encode(parts);
  ids.insert(ids.begin(), impl_->prefix.begin(), impl_->prefix.end());
  ids.insert(ids.end(), impl_->suffix.begin(), impl_->suffix.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string text;
  for (const std::int32_t id : ids) {
    if (!(skip_special && is_special(id))) text += bytes(id);
  }
  return valid_utf8(text);
}

std::string Tokenizer::bytes(std::int32_t id) const {
  return impl_->vocabulary.has(id) ? bytes_of(impl_->vocabulary.token(id)) : std::string();
}

bool Tokenizer::is_special(std::int32_t id) const { return impl_->is_special(id); }

std::optional<std::int32_t> Tokenizer::find(std::string_view content) const {
  const std::int32_t id = impl_->vocabulary.find(content);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

const Tokenizer::Roles& Tokenizer::roles() const { return impl_->roles; }

const std::string& Tokenizer::chat_template() const { return impl_->chat_template; }

std::int64_t Tokenizer::size() const { return impl_->vocabulary.size(); }

std::string Utf8Stream::push(std::string_view bytes) {
  held_.append(bytes);
  std::string letters;
  held_.erase(0, append_whole_letters(held_, letters));
  return letters;
}

std::string Utf8Stream::finish() { return valid_utf8(std::exchange(held_, {})); }

}  // namespace aira
