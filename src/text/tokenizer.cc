// The order of work is that of `tokenizers`: added tokens, normalization, the other added tokens,
// pieces, BPE.
#include "aira/tokenizer.h"

#include <algorithm>
#include <map>
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

  void encode_text(std::string_view text, AddedTokens::Typed typed,
                   std::vector<std::int32_t>& ids) const;
  void encode_piece(std::string_view letters, bool plain, std::vector<std::int32_t>& ids) const;
  bool is_special(std::int32_t id) const {
    return vocabulary.has(id) && special[static_cast<std::size_t>(id)];
  }

  AddedTokens splitter;
  std::map<std::int32_t, std::string> normalized;  // added tokens as decoding writes them, by id
  std::vector<bool> special;                       // by id
  std::size_t longest = 0;  // bytes of text in one token, at most; 0: any number
};

Tokenizer::Impl::Impl(TokenizerParts parts)
    : TokenizerParts(std::move(parts)),
      splitter(added, normalizer),
      special(static_cast<std::size_t>(vocabulary.size())) {
  for (const AddedToken& token : added) {
    if (token.special) special[static_cast<std::size_t>(token.id)] = true;
    if (token.normalized && !normalizer.empty()) {
      normalized[token.id] = normalizer(token.content);
    }
  }
  for (const auto& role : {roles.bos, roles.sep, roles.eos, roles.pad, roles.unk}) {
    if (role) special[static_cast<std::size_t>(*role)] = true;
  }
  const bool takes_space = std::any_of(added.begin(), added.end(), [](const AddedToken& token) {
    return token.lstrip || token.rstrip;
  });
  const bool keeps_all = normalizer.empty() && pre_tokenizer.keeps_all() && bpe.has_all_bytes();
  // Letters that stand for bytes take as many bytes or more.
  if (keeps_all && !takes_space) longest = vocabulary.longest();
}

/// `text` holds none of the tokens that are searched before normalization. Which letters of the
/// normalized text were typed is not known: all, if any.
void Tokenizer::Impl::encode_text(std::string_view text, AddedTokens::Typed typed,
                                  std::vector<std::int32_t>& ids) const {
  const bool plain = AddedTokens::touches(typed, text);
  std::string in_form;
  if (!normalizer.empty()) {
    text = in_form = normalizer(text);
    typed = {&text, std::size_t{plain}};
  }
  for (const Segment& segment : splitter.split(text, true, typed)) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
    } else {
      pre_tokenizer.split(segment.text,
                          [&](std::string_view letters) { encode_piece(letters, plain, ids); });
    }
  }
}

void Tokenizer::Impl::encode_piece(std::string_view letters, bool plain,
                                   std::vector<std::int32_t>& ids) const {
  if (ignore_merges) {
    const std::int32_t id = vocabulary.find_in_model(letters);
    if (id >= 0 && !(plain && is_special(id))) {
      ids.push_back(id);
      return;
    }
  }
  bpe.encode(vocabulary, letters, ids);
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
    throw Error("[E380] The text has {} bytes; at most {} can be tokenised at once.",
                {std::to_string(valid.size()), std::to_string(kMostBytes)});
  }
  std::vector<std::string_view> typed;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t begin = i == 0 ? 0 : ends[i - 1];
    const auto part = std::string_view(valid).substr(begin, ends[i] - begin);
    if (parts[i].typed && !part.empty()) typed.push_back(part);
  }
  std::vector<std::int32_t> ids;
  for (const Segment& segment : impl_->splitter.split(valid, false, typed)) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
    } else {
      impl_->encode_text(segment.text, typed, ids);
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
  std::vector<Part> all(parts.begin(), parts.end());
  for (Part& part : all) part.typed |= impl_->split_special;
  std::vector<std::int32_t> ids = encode(all);
  ids.insert(ids.begin(), impl_->prefix.begin(), impl_->prefix.end());
  ids.insert(ids.end(), impl_->suffix.begin(), impl_->suffix.end());
  return ids;
}

std::int64_t Tokenizer::fewest_tokens(std::size_t bytes) const {
  return impl_->longest == 0 ? 0 : static_cast<std::int64_t>(bytes / impl_->longest);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string text;
  for (const std::int32_t id : ids) {
    if (!(skip_special && is_special(id))) text += bytes(id);
  }
  if (impl_->decoder == Decoder::kSpaced && !text.empty()) text.erase(0, 1);
  return valid_utf8(text);
}

std::string Tokenizer::bytes(std::int32_t id) const {
  if (!impl_->vocabulary.has(id)) return {};
  const auto found = impl_->normalized.find(id);
  const std::string_view token =
      found == impl_->normalized.end() ? impl_->vocabulary.token(id) : found->second;
  if (impl_->decoder == Decoder::kBytes) return bytes_of(token);
  const bool spaced = impl_->decoder == Decoder::kSpaced && !token.empty();
  return std::string(spaced ? 1 : 0, ' ').append(token);
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
