// The exceptions of this library. Each carries one full sentence for a person: which file or
// option, what was expected, what was found, what to do. A programmer's mistake is an assert, never
// one of these.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace aira {

/// The request option `name` ("top_k") inside an Error's sentence. Error spells it the way its
/// reader wrote it: --top-k on a command line, "top_k" in JSON.
std::string option(std::string_view name);

/// The request failed: exit code 1.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& sentence);

  /// what() spells options as flags (--top-k); this spells them as JSON fields ("top_k").
  const char* with_fields() const noexcept { return with_fields_->c_str(); }

 private:
  std::shared_ptr<const std::string> with_fields_;  // shared: exceptions are copied
};

/// The request makes no sense as written: exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace aira
