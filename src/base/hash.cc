#include "base/hash.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <vector>

#include "aira/error.h"
#include "base/mapped_file.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

std::string digits(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4U];
    text += "0123456789abcdef"[byte & 0xFU];
  }
  return text;
}

}  // namespace

std::optional<HashKind> hash_kind(std::string_view hex) {
  if (hex.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
  if (hex.size() == 2 * SHA256_DIGEST_LENGTH) return HashKind::kSha256;
  if (hex.size() == 2 * SHA1_DIGEST_LENGTH) return HashKind::kGitBlob;
  return std::nullopt;
}

Hash::Hash(HashKind kind, std::uint64_t size) {
  if (kind == HashKind::kSha256) {
    SHA256Init(&state_.emplace<SHA2_CTX>());
    return;
  }
  SHA1Init(&state_.emplace<SHA1_CTX>());
  const std::string heading = "blob " + std::to_string(size);
  add({heading.c_str(), heading.size() + 1});  // with the zero behind it
}

void Hash::add(std::string_view bytes) {
  const auto* const data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  if (auto* const sha256 = std::get_if<SHA2_CTX>(&state_)) {
    SHA256Update(sha256, data, bytes.size());
  } else {
    SHA1Update(&std::get<SHA1_CTX>(state_), data, bytes.size());
  }
}

std::string Hash::hex() {
  if (auto* const sha256 = std::get_if<SHA2_CTX>(&state_)) {
    std::array<std::uint8_t, SHA256_DIGEST_LENGTH> bytes{};
    SHA256Final(bytes.data(), sha256);
    return digits(bytes);
  }
  std::array<std::uint8_t, SHA1_DIGEST_LENGTH> bytes{};
  SHA1Final(bytes.data(), &std::get<SHA1_CTX>(state_));
  return digits(bytes);
}

std::string hash_of_file(const std::string& path, HashKind kind,
                         const std::function<void(std::uint64_t)>& progress) {
  const auto refuse = [&] {
    throw Error("[E670] {} cannot be read: {}.", {quote(path, 4096), system_message(errno)});
  };
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info = {};
  if (fd.get() < 0 || ::fstat(fd.get(), &info) != 0) refuse();
  const auto size = static_cast<std::uint64_t>(info.st_size);
  Hash hash(kind, size);
  std::vector<char> piece(kPiece);
  std::uint64_t done = 0;
  for (;;) {
    const ssize_t some = ::read(fd.get(), piece.data(), piece.size());
    if (some < 0 && errno != EINTR) refuse();
    if (some == 0) break;
    if (some < 0) continue;
    hash.add({piece.data(), static_cast<std::size_t>(some)});
    done += static_cast<std::uint64_t>(some);
    if (progress) progress(static_cast<std::uint64_t>(some));
  }
  if (done != size) {
    throw Error("[E671] {} changed while it was read.", {quote(path, 4096)});
  }
  return hash.hex();
}

}  // namespace aira
