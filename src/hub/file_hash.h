// The digests that name files on the hub.
#pragma once

#include <sha1.h>
#include <sha2.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace aira {

/// SHA-256 of a file that LFS keeps; of another git's name for it: SHA-1 of "blob SIZE\0" and its
/// bytes.
class FileHash {
 public:
  FileHash(bool sha256, std::int64_t size) {
    if (sha256) {
      ::SHA256Init(&state_.emplace<SHA2_CTX>());
    } else {
      ::SHA1Init(&state_.emplace<SHA1_CTX>());
      add("blob " + std::to_string(size) + '\0');
    }
  }

  void add(std::string_view bytes) {
    const auto* const data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    if (auto* const sha256 = std::get_if<SHA2_CTX>(&state_)) {
      ::SHA256Update(sha256, data, bytes.size());
    } else {
      ::SHA1Update(&std::get<SHA1_CTX>(state_), data, bytes.size());
    }
  }

  /// In hexadecimal digits; nothing may be added after it.
  std::string end() {
    std::array<char, SHA256_DIGEST_STRING_LENGTH> digits{};
    if (auto* const sha256 = std::get_if<SHA2_CTX>(&state_)) {
      ::SHA256End(sha256, digits.data());
    } else {
      ::SHA1End(&std::get<SHA1_CTX>(state_), digits.data());
    }
    return digits.data();
  }

 private:
  std::variant<SHA1_CTX, SHA2_CTX> state_;
};

}  // namespace aira
