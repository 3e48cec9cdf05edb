// The exceptions of this library. Each carries one full sentence for a person: which file or
// option, what was expected, what was found, what to do. A programmer's mistake is an assert, never
// one of these.
#pragma once

#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace aira {

/// The request option `name` ("top_k") inside an Error's sentence. Error spells it the way its
/// reader wrote it: --top-k on a command line, "top_k" in JSON.
std::string option(std::string_view name);

/// `pattern` in the user's language (English unless the program chose another), each {} replaced by
/// the next of `values`, {0} by the first, {1} by the second, ...
std::string message(const char* pattern, std::initializer_list<std::string_view> values = {});

/// Marks a pattern for translation that message() gets somewhere else.
constexpr const char* to_translate(const char* pattern) { return pattern; }

/// What `error`, an errno, means, in the user's language.
std::string system_message(int error);

/// The request failed: exit code 1.
class Error : public std::runtime_error {
 public:
  /// A sentence that may begin with an id in brackets: "[E017] The model ...".
  explicit Error(const std::string& sentence);
  /// The same of message(pattern, values). Ids are the same in every language, and each belongs to
  /// one pattern.
  explicit Error(const char* pattern, std::initializer_list<std::string_view> values = {})
      : Error(message(pattern, values)) {}

  /// "E017"; empty when the sentence has none. what() and with_fields() leave it out.
  const std::string& id() const noexcept { return parts_->id; }
  /// "[E017] ", to open the sentence of an error that passes this one on.
  std::string tag() const { return id().empty() ? "" : "[" + id() + "] "; }
  /// what() spells options as flags (--top-k); this spells them as JSON fields ("top_k").
  const char* with_fields() const noexcept { return parts_->with_fields.c_str(); }

 private:
  struct Parts {
    std::string id;
    std::string sentence;
    std::string with_fields;
  };
  static std::shared_ptr<const Parts> parts_of(const std::string& sentence);
  explicit Error(std::shared_ptr<const Parts> parts);

  std::shared_ptr<const Parts> parts_;  // shared: exceptions are copied
};

/// The request makes no sense as written: exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace aira
