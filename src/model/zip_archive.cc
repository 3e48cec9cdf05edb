// Format: PKWARE's APPNOTE.TXT. At the end lies a record that says where the central directory is,
// which has an entry for each file, which says where a local header is, behind which the data lie.
// Numbers that do not fit have all bits set, and 64-bit ones elsewhere (zip64).
#include "model/zip_archive.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr std::uint32_t kEndMark = 0x06054b50;
constexpr std::uint32_t kEnd64Mark = 0x06064b50;
constexpr std::uint32_t kLocator64Mark = 0x07064b50;
constexpr std::uint32_t kEntryMark = 0x02014b50;
constexpr std::uint32_t kLocalMark = 0x04034b50;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kLocatorBytes = 20;
constexpr std::size_t kMaxComment = 65535;
constexpr const char* kDamaged = to_translate("{} has a damaged directory");
constexpr const char* kNotWhole = to_translate("{} is no whole zip archive");

class Archive {
 public:
  explicit Archive(const File& file) : text_(file.text()), where_(printable(file.path)) {}

  std::map<std::string, std::string_view> read() const {
    const auto [count, start] = directory();
    std::map<std::string, std::string_view> files;
    std::size_t at = start;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (number<std::uint32_t>(at) != kEntryMark) fail(kDamaged);
      const std::size_t name_bytes = number<std::uint16_t>(at + 28);
      const std::size_t extra_bytes = number<std::uint16_t>(at + 30);
      const std::size_t comment_bytes = number<std::uint16_t>(at + 32);
      const std::string name(piece(at + 46, name_bytes));
      if (!files.emplace(name, data_of(at, name, piece(at + 46 + name_bytes, extra_bytes)))
               .second) {
        fail(to_translate("{} holds {} twice"), quote(name));
      }
      at += 46 + name_bytes + extra_bytes + comment_bytes;
    }
    return files;
  }

 private:
  /// `clause`, a pattern, says of {0}, the file, what is wrong, perhaps with {1}, a `detail`.
  [[noreturn]] void fail(const char* clause, const std::string& detail = "") const {
    throw Error("[E445] {} (is it cut off?).", {message(clause, {where_, detail})});
  }

  std::string_view piece(std::uint64_t at, std::uint64_t bytes) const {
    if (at > text_.size() || bytes > text_.size() - at) fail(kNotWhole);
    return text_.substr(at, bytes);
  }

  template <typename T>
  T number(std::uint64_t at) const {
    T value;
    std::memcpy(&value, piece(at, sizeof value).data(), sizeof value);
    return value;
  }

  /// How many entries the central directory has, and where it is.
  std::pair<std::uint64_t, std::uint64_t> directory() const {
    if (text_.size() < kEndBytes) fail(to_translate("{} is no zip archive"));
    const std::size_t last = text_.size() - kEndBytes;
    const std::size_t first = last - std::min(last, kMaxComment);
    std::size_t end = last + 1;
    while (end-- > first && number<std::uint32_t>(end) != kEndMark) continue;
    if (end + 1 == first) fail(kNotWhole);
    if (end >= kLocatorBytes && number<std::uint32_t>(end - kLocatorBytes) == kLocator64Mark) {
      const auto at = number<std::uint64_t>(end - kLocatorBytes + 8);
      if (number<std::uint32_t>(at) != kEnd64Mark) fail(kDamaged);
      return {number<std::uint64_t>(at + 32), number<std::uint64_t>(at + 48)};
    }
    return {number<std::uint16_t>(end + 10), number<std::uint32_t>(end + 16)};
  }

  /// The next number of the zip64 field in `extra` if the entry's own one does not fit.
  std::uint64_t wide(std::uint32_t narrow, std::string_view& extra) const {
    if (narrow != 0xFFFFFFFFU) return narrow;
    if (extra.size() < 8) fail(kDamaged);
    std::uint64_t value = 0;
    std::memcpy(&value, extra.data(), sizeof value);
    extra.remove_prefix(sizeof value);
    return value;
  }

  /// The content of the zip64 field among the extra fields.
  static std::string_view zip64_field(std::string_view extra) {
    while (extra.size() >= 4) {
      std::uint16_t head[2];  // kind, bytes
      std::memcpy(head, extra.data(), sizeof head);
      const std::string_view content = extra.substr(4, head[1]);
      if (head[0] == 1) return content;
      extra.remove_prefix(4 + content.size());
    }
    return {};
  }

  /// The data of the entry at `at`.
  std::string_view data_of(std::size_t at, const std::string& name, std::string_view extra) const {
    std::string_view fields = zip64_field(extra);
    const std::uint64_t bytes = wide(number<std::uint32_t>(at + 24), fields);
    const std::uint64_t packed = wide(number<std::uint32_t>(at + 20), fields);
    const std::uint64_t local = wide(number<std::uint32_t>(at + 42), fields);
    const bool encrypted = (number<std::uint16_t>(at + 8) & 1U) != 0;
    if (number<std::uint16_t>(at + 10) != 0 || encrypted || packed != bytes) {
      throw Error("[E446] {} holds {} compressed or encrypted, as torch.save never does.",
                  {where_, quote(name)});
    }
    if (number<std::uint32_t>(local) != kLocalMark) fail(kDamaged);
    const std::uint64_t skip =
        30U + number<std::uint16_t>(local + 26) + number<std::uint16_t>(local + 28);
    return piece(local + skip, bytes);
  }

  std::string_view text_;
  std::string where_;
};

}  // namespace

std::map<std::string, std::string_view> read_zip(const File& file) { return Archive(file).read(); }

}  // namespace aira
