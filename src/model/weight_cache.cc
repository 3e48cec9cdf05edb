// A packed file is a heading (packed_files.h), which says of what it was made, and then the
// parameters as list_parameters() has them, each on a 64-byte boundary. Where they lie follows from
// the model's configuration. Last comes a digest of samples. The file is written under another name
// and then renamed, so whoever opens it sees a whole file or none, and it is never written to
// later: that it stays mapped is as good as a copy.
#include "model/weight_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "aira/error.h"
#include "base/digest.h"
#include "base/huge_pages.h"
#include "model/packed_files.h"
#include "model/packed_folder.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunk = kHugePage;  // so large that 2 MB pages come of it
constexpr std::size_t kSync = 4 * kChunk;  // on the way to the disk at once

constexpr std::size_t kSmall = std::size_t{16} << 10;    // parts of this size count whole
constexpr std::size_t kStride = std::size_t{512} << 10;  // of larger parts a line of each so many
constexpr std::size_t kTrailer = round_up_packed(sizeof(std::uint64_t));

std::string number(std::uint64_t value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// What stands last in a packed file: a digest of samples of its parts, so that lost blocks and
/// parts of other files are noticed without reading all. Each line takes its time, because it is in
/// a page of its own: a stride of 64 kB would cost 2 ms in a start of 20.
std::string trailer_of(std::span<const std::string_view> parts) {
  std::string sums;
  std::string sample;
  for (const std::string_view part : parts) {
    if (part.size() <= kSmall) {
      sums += number(digest(part));
      continue;
    }
    for (std::size_t at = 0; at < part.size(); at += kStride) {
      sample += part.substr(at, kPackedLine);
    }
    sample += part.substr(part.size() - kPackedLine);
  }
  return number(digest(sums + sample));
}

/// Writes `pieces` one after the other, each on a 64-byte boundary. False when writing failed or
/// shall not go on; errno says which (ECANCELED).
bool write_pieces(int fd, std::span<const std::string_view> pieces,
                  const std::function<bool()>& go_on) {
  std::size_t total = 0;
  for (const std::string_view piece : pieces) total += round_up_packed(piece.size());
  // A full disk is noticed now and not after most of it was written.
  if (::fallocate(fd, 0, 0, static_cast<off_t>(total)) != 0 && errno != EOPNOTSUPP &&
      errno != ENOSYS) {
    return false;
  }
  std::string chunk;
  chunk.reserve(kChunk);
  std::size_t written = 0;
  const auto flush = [&] {
    written += chunk.size();
    for (std::string_view rest = chunk; !rest.empty();) {
      if (!go_on()) {
        errno = ECANCELED;
        return false;
      }
      const ssize_t done = ::write(fd, rest.data(), rest.size());
      if (done < 0 && errno != EINTR) return false;
      if (done > 0) rest.remove_prefix(static_cast<std::size_t>(done));
    }
    // To the disk now: one sync at the end could not be broken off.
    if (written % kSync == 0) {
      ::sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE);
    }
    chunk.clear();
    return true;
  };
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      const std::size_t some = std::min(piece.size(), kChunk - chunk.size());
      chunk.append(piece.substr(0, some));
      piece.remove_prefix(some);
      if (chunk.size() == kChunk && !flush()) return false;
    }
    chunk.resize(round_up_packed(chunk.size()));
  }
  // Before the file gets its name, or a power failure could leave zeros behind a good heading.
  return flush() && ::fdatasync(fd) == 0;
}

/// Replaces the file `path`, whose folder is made when it is not there; unless `whole`, it keeps
/// the name of an unfinished one. Returns what went wrong.
std::string write_file(const fs::path& path, std::span<const std::string_view> pieces,
                       const std::function<bool()>& go_on, bool whole = true) {
  const PackedFolder folder(path.parent_path(), PackedFolder::Missing::kIsMade);
  if (!folder.problem().empty()) return folder.problem();
  const std::string own = path.string() + kUnfinishedEnding;
  for (const PackedFile& file : packed_files(path.parent_path())) {
    if (file.unfinished && (!file.given_up || file.path == own)) remove_abandoned(file.path);
  }
  // One name for all writers, so that killed ones leave no pile of files. The lock ends with them.
  const std::string name = path.filename();
  const std::string unfinished = name + kUnfinishedEnding;
  // Always a new file: one that is there may be open elsewhere, or a link.
  const Descriptor fd(::openat(folder.get(), unfinished.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (fd.get() < 0 && errno != EEXIST) return system_message(errno);
  if (fd.get() < 0 || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || !is_named(fd.get(), own)) {
    return message("another process is writing it");
  }
  if (write_pieces(fd.get(), pieces, go_on) &&
      (!whole || ::renameat(folder.get(), unfinished.c_str(), folder.get(), name.c_str()) == 0)) {
    return {};
  }
  const int error = errno;
  ::unlinkat(folder.get(), unfinished.c_str(), 0);
  return error == ECANCELED ? message("there was no time for it") : system_message(error);
}

}  // namespace

PackedSize packed_size(const ModelConfig& config, bool own_head, const Packing& packing,
                       DType dtype) {
  Model model;
  model.config = config;
  PackedSize size;
  for (const Parameter& one : list_parameters(model, own_head)) {
    const auto bytes = static_cast<std::int64_t>(packed_bytes(one, packing, dtype));
    size.all += bytes;
    const bool looked_up = own_head && one.matrix == &model.token_embedding;
    if (one.matrix != nullptr && !looked_up) size.step += bytes;
  }
  return size;
}

WeightCache::WeightCache(const std::string& folder, const ModelFiles& files, Backend& backend,
                         DType dtype)
    : files_(files), backend_(backend), dtype_(dtype) {
  if (folder.empty() || backend.packing() == nullptr) return;
  const PackedSource source = PackedSource::of(files, name_of(dtype));
  if (source.fingerprint.empty()) return;
  folder_ = folder;
  name_ = source.file_name();
  path_ = (fs::path(folder) / name_).string();
  heading_ = source.heading(backend.packing()->name);
}

Descriptor WeightCache::open() const {
  return Descriptor(PackedFolder(folder_, PackedFolder::Missing::kIsProblem).open(name_));
}

std::optional<std::size_t> WeightCache::size_of_current(int fd) const {
  struct stat info = {};
  if (fd < 0 || ::fstat(fd, &info) != 0) return std::nullopt;
  std::string heading(heading_.size(), '\0');
  if (::pread(fd, heading.data(), heading.size(), 0) != std::ssize(heading) ||
      heading != heading_) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(info.st_size);
}

std::string WeightCache::heading_of_files_now() const {
  ModelFiles now = ModelFiles::from_folder(files_.place());
  if (const ModelFiles* adapter = files_.adapter()) {
    now = now.with_adapter(ModelFiles::from_folder(adapter->place()));
  }
  return PackedSource::of(now, name_of(dtype_)).heading(backend_.packing()->name);
}

bool WeightCache::is_current() const {
  const Descriptor fd = open();
  return size_of_current(fd.get()).has_value();
}

std::optional<Model> WeightCache::take() const {
  if (path_.empty()) return std::nullopt;
  const Descriptor fd = open();
  const std::optional<std::size_t> size = size_of_current(fd.get());
  if (!size) return std::nullopt;
  Model model;
  model.config = read_model_config(files_);
  model.dtype = dtype_;
  const auto bytes_of = [&](const Parameter& one) {
    return round_up_packed(packed_bytes(one, *backend_.packing(), dtype_));
  };
  const auto fits = [&](const std::vector<Parameter>& list) {
    std::size_t total = heading_.size() + kTrailer;
    for (const Parameter& one : list) total += bytes_of(one);
    return total == *size;
  };
  // The size also says whether the model has a head of its own.
  std::vector<Parameter> list = list_parameters(model, false);
  const bool tied = fits(list);
  if (!tied) list = list_parameters(model, true);
  if (!tied && !fits(list)) return std::nullopt;
  require_memory(*size, dtype_);
  const auto mapped = SettlingFile::map(fd.get(), *size, path_);
  if (!mapped) return std::nullopt;
  const std::byte* at = mapped->data() + heading_.size();
  for (const Parameter& one : list) {
    HostTensor part = one.stored;
    part.data = {mapped, at};
    if (one.matrix != nullptr) *one.matrix = {part.data, dtype_, part.in(), part.out()};
    if (one.vector != nullptr) {
      *one.vector = {{part.data, reinterpret_cast<const float*>(at)}, part.size()};
    }
    at += bytes_of(one);
  }
  if (tied) model.head = model.token_embedding;
  const std::string trailer = trailer_of(parts_of(model));
  if (std::memcmp(at, trailer.data(), trailer.size()) != 0) return std::nullopt;
  mapped->start();
  return model;
}

std::vector<std::string_view> WeightCache::parts_of(const Model& model) const {
  Model copy = model;
  std::vector<std::string_view> parts;
  for (const Parameter& one :
       list_parameters(copy, model.head.data != model.token_embedding.data)) {
    const void* data = one.matrix != nullptr ? one.matrix->data.get() : one.vector->data.get();
    parts.emplace_back(static_cast<const char*>(data),
                       packed_bytes(one, *backend_.packing(), dtype_));
  }
  return parts;
}

std::vector<std::string_view> WeightCache::pieces_of(const Model& model,
                                                     std::string& trailer) const {
  std::vector<std::string_view> pieces = parts_of(model);
  trailer = trailer_of(pieces);
  pieces.insert(pieces.begin(), heading_);
  pieces.emplace_back(trailer);
  return pieces;
}

bool WeightCache::holds(const Model& model) const {
  const std::optional<File> file = map_file(path_);
  std::string_view rest = file ? file->text() : "";
  std::string trailer;
  for (const std::string_view piece : pieces_of(model, trailer)) {
    if (rest.substr(0, piece.size()) != piece) return false;
    rest.remove_prefix(std::min(rest.size(), round_up_packed(piece.size())));
  }
  return rest.empty();
}

bool WeightCache::was_given_up() const {
  const PackedFolder folder(folder_, PackedFolder::Missing::kIsProblem);
  const Descriptor fd(folder.open(name_ + kUnfinishedEnding));
  return size_of_current(fd.get()) == heading_.size();
}

void WeightCache::remember_given_up() const {
  const std::string_view heading = heading_;
  write_file(
      path_, std::span(&heading, 1), [] { return true; }, false);
}

Model WeightCache::load(const Notice& notice) {
  std::optional<Model> model = take();
  hit_ = model.has_value();
  return hit_ ? *std::move(model) : Model::load(files_, backend_, dtype_, notice);
}

std::string WeightCache::keep(const Model& model, const std::function<bool()>& go_on) const {
  if (path_.empty() || hit_) return {};
  try {
    // Whatever has happened to the files while they were read, what is kept is of one version.
    if (heading_of_files_now() != heading_) {
      return message("the model's files have changed meanwhile");
    }
    std::string trailer;
    return write_file(path_, pieces_of(model, trailer), go_on);
  } catch (const std::bad_alloc&) {  // for a name, say
    return system_message(ENOMEM);
  } catch (const std::exception& problem) {
    return problem.what();
  }
}

}  // namespace aira
