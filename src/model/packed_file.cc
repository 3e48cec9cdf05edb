#include "model/packed_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include "base/digest.h"
#include "base/huge_pages.h"
#include "base/mapped_file.h"

static_assert(std::endian::native == std::endian::little, "packed files are little-endian");

namespace aira {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMagic = 0x314B504152494100U;  // "\0AIRAPK1"
constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kLine = 64;  // boundary of parts
constexpr std::uint64_t kMostDirectory = std::uint64_t{64} << 20;
constexpr std::size_t kChunk = std::size_t{8} << 20;  // so large that 2 MB pages come of it

struct Header {
  std::uint64_t magic = kMagic;
  std::uint64_t version = kVersion;
  std::uint64_t file_bytes = 0;
  std::uint64_t directory_bytes = 0;
  std::uint64_t directory_digest = 0;
  std::array<std::uint64_t, 3> zeros{};
};
static_assert(sizeof(Header) == kLine);

constexpr std::uint64_t round_up(std::uint64_t n) { return (n + kLine - 1) / kLine * kLine; }

void put(std::uint64_t number, std::string& out) {
  std::array<char, 8> bytes{};
  std::memcpy(bytes.data(), &number, bytes.size());
  out.append(bytes.data(), bytes.size());
}

void put(std::string_view text, std::string& out) {
  put(text.size(), out);
  out.append(text);
}

/// Takes a number or a text from the front of `from`; false when it does not have it.
bool take(std::string_view& from, std::uint64_t& number) {
  if (from.size() < sizeof number) return false;
  std::memcpy(&number, from.data(), sizeof number);
  from.remove_prefix(sizeof number);
  return true;
}

bool take(std::string_view& from, std::string_view& text) {
  std::uint64_t size = 0;
  if (!take(from, size) || size > from.size()) return false;
  text = from.substr(0, size);
  from.remove_prefix(size);
  return true;
}

bool read_all(int fd, char* out, std::size_t bytes, std::uint64_t at) {
  while (bytes > 0) {
    const ssize_t got = ::pread(fd, out, bytes, static_cast<off_t>(at));
    if (got == 0 || (got < 0 && errno != EINTR)) return false;
    if (got < 0) continue;
    out += got;
    at += static_cast<std::uint64_t>(got);
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

std::string reason(int error) { return std::generic_category().message(error); }

/// Where each part goes, and the file's beginning that says so.
struct Plan {
  std::string beginning;  // header and directory
  std::vector<std::uint64_t> offsets;
  std::uint64_t file_bytes = 0;
};

Plan plan_file(std::string_view key, std::span<const PackedFile::Part> parts) {
  std::uint64_t directory_bytes = 8 + key.size() + 8;
  for (const auto& part : parts) directory_bytes += 8 + part.name.size() + 16;
  Plan plan;
  std::uint64_t at = round_up(sizeof(Header) + directory_bytes);
  std::string directory;
  put(key, directory);
  put(parts.size(), directory);
  for (const auto& part : parts) {
    put(part.name, directory);
    put(at, directory);
    put(part.bytes.size(), directory);
    plan.offsets.push_back(at);
    at = round_up(at + part.bytes.size());
  }
  plan.file_bytes = at;
  const Header header{
      .file_bytes = at, .directory_bytes = directory.size(), .directory_digest = digest(directory)};
  plan.beginning.assign(reinterpret_cast<const char*>(&header), sizeof header);
  plan.beginning += directory;
  return plan;
}

/// Collects what is written into large pieces.
class Output {
 public:
  Output(int fd, const std::function<bool()>& go_on) : fd_(fd), go_on_(go_on) {
    chunk_.reserve(kChunk);
  }
  /// False when writing failed or shall not go on; errno says which (ECANCELED).
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t some = std::min(bytes.size(), kChunk - chunk_.size());
      chunk_.append(bytes.substr(0, some));
      bytes.remove_prefix(some);
      written_ += some;
      if (chunk_.size() == kChunk && !flush()) return false;
    }
    return true;
  }
  bool pad_to(std::uint64_t at) { return write(std::string(at - written_, '\0')); }
  bool flush() {
    std::string_view rest = chunk_;
    while (!rest.empty()) {
      if (!go_on_()) {
        errno = ECANCELED;
        return false;
      }
      const ssize_t done = ::write(fd_, rest.data(), rest.size());
      if (done < 0 && errno != EINTR) return false;
      if (done > 0) rest.remove_prefix(static_cast<std::size_t>(done));
    }
    // To the disk now: one sync at the end could not be broken off.
    ::sync_file_range(fd_, static_cast<off_t>(synced_), static_cast<off_t>(written_ - synced_),
                      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE);
    synced_ = written_ - chunk_.size();
    chunk_.clear();
    return true;
  }

 private:
  int fd_;
  const std::function<bool()>& go_on_;
  std::string chunk_;
  std::uint64_t written_ = 0;
  std::uint64_t synced_ = 0;  // up to here the disk has it or is about to
};

bool write_parts(int fd, const Plan& plan, std::span<const PackedFile::Part> parts,
                 const std::function<bool()>& go_on) {
  // A full disk is noticed now and not after most of it was written.
  if (::fallocate(fd, 0, 0, static_cast<off_t>(plan.file_bytes)) != 0 && errno != EOPNOTSUPP &&
      errno != ENOSYS) {
    return false;
  }
  Output output(fd, go_on);
  if (!output.write(plan.beginning)) return false;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!output.pad_to(plan.offsets[i]) || !output.write(parts[i].bytes)) return false;
  }
  // The name promises a whole file, and opening it does not read the parts: they must be on the
  // disk before it gets that name, or a power failure could leave zeros behind a good directory.
  return output.pad_to(plan.file_bytes) && output.flush() && ::fdatasync(fd) == 0;
}

/// Whether `fd` still is the file called `path`.
bool is_named(int fd, const std::string& path) {
  struct stat open = {};
  struct stat named = {};
  return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

}  // namespace

std::string packed_path(const std::string& folder, const std::string& place,
                        const std::string& what) {
  std::error_code problem;
  fs::path source = fs::canonical(place, problem);
  if (problem) source = place;
  if (source.parent_path().filename() == "snapshots") source = source.parent_path().parent_path();
  std::string name = source.filename().string().substr(0, 64);
  for (char& c : name) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_';
    if (!plain) c = '_';
  }
  name += "-" + hex(digest(source.string())) + "-" + what + ".packed";
  return (fs::path(folder) / name).string();
}

std::optional<PackedFile> PackedFile::read_directory(std::string_view directory,
                                                     std::string_view key,
                                                     std::uint64_t file_bytes) {
  PackedFile file;
  std::string_view text;
  std::uint64_t count = 0;
  if (!take(directory, text) || text != key || !take(directory, count)) return std::nullopt;
  for (; count > 0; --count) {
    Place place{};
    if (!take(directory, text) || !take(directory, place.offset) || !take(directory, place.bytes)) {
      return std::nullopt;
    }
    if (place.offset % kLine != 0 || place.offset > file_bytes ||
        place.bytes > file_bytes - place.offset) {
      return std::nullopt;
    }
    file.places_.emplace(text, place);
  }
  if (!directory.empty()) return std::nullopt;
  return file;
}

std::optional<PackedFile> PackedFile::open(const std::string& path, std::string_view key) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  struct stat info = {};
  if (fd.get() < 0 || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  const auto bytes = static_cast<std::uint64_t>(info.st_size);
  Header header;
  if (!read_all(fd.get(), reinterpret_cast<char*>(&header), sizeof header, 0)) return std::nullopt;
  const bool good = header.magic == kMagic && header.version == kVersion &&
                    header.file_bytes == bytes && header.directory_bytes <= kMostDirectory &&
                    header.directory_bytes <= bytes - sizeof header;
  if (!good) return std::nullopt;
  std::string directory(header.directory_bytes, '\0');
  if (!read_all(fd.get(), directory.data(), directory.size(), sizeof header)) return std::nullopt;
  if (digest(directory) != header.directory_digest) return std::nullopt;
  std::optional<PackedFile> file = read_directory(directory, key, bytes);
  if (!file) return std::nullopt;
  const std::shared_ptr<SettlingFile> mapped = SettlingFile::map(fd.get(), bytes);
  if (!mapped) return std::nullopt;
  mapped->start();
  file->data_ = {mapped, mapped->data()};
  return file;
}

std::string PackedFile::write(const std::string& path, std::string_view key,
                              std::span<const Part> parts, const std::function<bool()>& go_on) {
  std::error_code problem;
  fs::create_directories(fs::path(path).parent_path(), problem);
  if (problem) return problem.message();
  // One name for all writers, so that killed ones leave no pile of files; the lock, which ends with
  // the process, says whether someone is writing.
  const std::string unfinished = path + ".unfinished";
  const Descriptor fd(
      ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (fd.get() < 0) return reason(errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || !is_named(fd.get(), unfinished)) {
    return "another process is writing it";
  }
  const Plan plan = plan_file(key, parts);
  if (::ftruncate(fd.get(), 0) == 0 && write_parts(fd.get(), plan, parts, go_on) &&
      ::rename(unfinished.c_str(), path.c_str()) == 0) {
    return {};
  }
  const int error = errno;
  ::unlink(unfinished.c_str());
  return error == ECANCELED ? "there was no time for it" : reason(error);
}

std::shared_ptr<const std::byte> PackedFile::find(const std::string& name,
                                                  std::int64_t bytes) const {
  const auto found = places_.find(name);
  if (found == places_.end() || found->second.bytes != static_cast<std::uint64_t>(bytes)) {
    return nullptr;
  }
  return {data_, data_.get() + found->second.offset};
}

}  // namespace aira
