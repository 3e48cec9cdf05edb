// The two exceptions of this program. Both carry one full sentence for the user: which file or
// option, what was expected, what was found, what to do. They are caught once, in src/app/main.cc.
// A programmer's mistake is an assert, never one of these.
#pragma once

#include <stdexcept>
#include <string>

namespace aira {

/// Something failed while doing what was asked: exit code 1.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& sentence) : std::runtime_error(sentence) {}
};

/// What was asked for cannot be meant: exit code 2.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& sentence) : Error(sentence) {}
};

}  // namespace aira
