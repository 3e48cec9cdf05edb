// The hashes by which the Hugging Face hub and git know a file: SHA-256 of its bytes, and the SHA-1
// of git's blob, whose bytes follow a heading with their number.
#pragma once

#include <sha1.h>
#include <sha2.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace aira {

enum class HashKind : std::uint8_t { kSha256, kGitBlob };

/// The kind of hash that `hex` is in lower-case hexadecimal digits; nothing when it is none.
std::optional<HashKind> hash_kind(std::string_view hex);

/// A hash of bytes that come piece by piece.
class Hash {
 public:
  /// `size`: of all bytes to come; SHA-256 does without it.
  explicit Hash(HashKind kind, std::uint64_t size = 0);

  void add(std::string_view bytes);
  /// In lower-case hexadecimal digits. Ends the hash; to be called once.
  std::string hex();

 private:
  std::variant<SHA1_CTX, SHA2_CTX> state_;
};

/// The hash of the file `path`. Throws Error when it cannot be read, or changes its size meanwhile.
/// `progress` gets the number of bytes of each piece read.
std::string hash_of_file(const std::string& path, HashKind kind,
                         const std::function<void(std::uint64_t)>& progress = {});

}  // namespace aira
