// A packed file is a heading (packed_files.h), which says of what it was made, and then the
// parameters as list_parameters() has them, each on a 64-byte boundary. Where they lie follows from
// the model's configuration. The file is written under another name and then renamed, so whoever
// opens it sees a whole file or none.
#include "model/weight_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "aira/error.h"
#include "base/huge_pages.h"
#include "base/mapped_file.h"
#include "base/user_path.h"
#include "model/packed_files.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunk = std::size_t{8} << 20;  // so large that 2 MB pages come of it

std::size_t packed_bytes(const Parameter& parameter, const Packing& packing, DType dtype) {
  const HostTensor& stored = parameter.stored;
  return static_cast<std::size_t>(parameter.matrix != nullptr
                                      ? packing.bytes(dtype, stored.in(), stored.out())
                                      : stored.size() * size_of(DType::kF32));
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
  const auto flush = [&] {
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
    ::sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE);
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

/// Replaces the file `path`, whose folder is made when it is not there. Returns what went wrong.
std::string write_file(const std::string& path, std::span<const std::string_view> pieces,
                       const std::function<bool()>& go_on) {
  std::error_code problem;
  fs::create_directories(fs::path(path).parent_path(), problem);
  if (problem) return problem.message();
  for (const PackedFile& file : packed_files(fs::path(path).parent_path())) {
    if (file.unfinished) remove_abandoned(file.path);
  }
  // One name for all writers, so that killed ones leave no pile of files. The lock ends with them.
  const std::string unfinished = path + kUnfinishedEnding;
  const Descriptor fd(
      ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (fd.get() < 0) return system_message(errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || !is_named(fd.get(), unfinished)) {
    return message("another process is writing it");
  }
  if (::ftruncate(fd.get(), 0) == 0 && write_pieces(fd.get(), pieces, go_on) &&
      ::rename(unfinished.c_str(), path.c_str()) == 0) {
    return {};
  }
  const int error = errno;
  ::unlink(unfinished.c_str());
  return error == ECANCELED ? message("there was no time for it") : system_message(error);
}

/// The descriptor, or -1.
int open_packed(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
}

/// Words that someone writes who wants no cache; folders of these names are written ./off.
bool is_off(std::string word) {
  constexpr std::array<std::string_view, 5> kOff = {"off", "none", "no", "false", "0"};
  std::transform(word.begin(), word.end(), word.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return std::find(kOff.begin(), kOff.end(), word) != kOff.end();
}

}  // namespace

std::string cache_folder() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  const std::string own = variable("AIRA_CACHE");
  if (is_off(own)) return "";
  if (!own.empty()) return expand_path(own);
  const fs::path xdg = expand_path(variable("XDG_CACHE_HOME"));
  if (!xdg.empty()) return xdg / "aira";
  const fs::path home = variable("HOME");
  return home.empty() ? "" : (home / ".cache" / "aira").string();
}

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
  path_ = (fs::path(folder) / source.file_name()).string();
  heading_ = source.heading(backend.packing()->name);
}

std::optional<std::size_t> WeightCache::size_of_current(int fd) const {
  struct stat info = {};
  if (fd < 0 || ::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  std::string heading(heading_.size(), '\0');
  if (::pread(fd, heading.data(), heading.size(), 0) != std::ssize(heading) ||
      heading != heading_) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(info.st_size);
}

bool WeightCache::is_current() const {
  const Descriptor fd(open_packed(path_));
  return size_of_current(fd.get()).has_value();
}

std::optional<Model> WeightCache::take() const {
  if (path_.empty()) return std::nullopt;
  const Descriptor fd(open_packed(path_));
  const std::optional<std::size_t> size = size_of_current(fd.get());
  if (!size) return std::nullopt;
  Model model;
  model.config = read_model_config(files_);
  model.dtype = dtype_;
  const auto bytes_of = [&](const Parameter& one) {
    return round_up_packed(packed_bytes(one, *backend_.packing(), dtype_));
  };
  const auto fits = [&](const std::vector<Parameter>& list) {
    std::size_t total = heading_.size();
    for (const Parameter& one : list) total += bytes_of(one);
    return total == *size;
  };
  // The size also says whether the model has a head of its own.
  std::vector<Parameter> list = list_parameters(model, false);
  const bool tied = fits(list);
  if (!tied) list = list_parameters(model, true);
  if (!tied && !fits(list)) return std::nullopt;
  const auto mapped = SettlingFile::map(fd.get(), *size);
  if (!mapped) return std::nullopt;
  mapped->start();
  const std::byte* at = mapped->data() + heading_.size();
  for (const Parameter& one : list) {
    HostTensor part = one.stored;
    part.data = {mapped, at};
    if (one.matrix != nullptr) *one.matrix = {part.data, dtype_, part.in(), part.out()};
    if (one.vector != nullptr) *one.vector = backend_.load_vector(part);
    at += bytes_of(one);
  }
  if (tied) model.head = model.token_embedding;
  return model;
}

std::vector<std::string_view> WeightCache::pieces_of(const Model& model) const {
  Model copy = model;  // shares the parameters
  std::vector<std::string_view> pieces = {heading_};
  for (const Parameter& one :
       list_parameters(copy, model.head.data != model.token_embedding.data)) {
    const void* data = one.matrix != nullptr ? one.matrix->data.get() : one.vector->data.get();
    pieces.emplace_back(static_cast<const char*>(data),
                        packed_bytes(one, *backend_.packing(), dtype_));
  }
  return pieces;
}

bool WeightCache::holds(const Model& model) const {
  const std::optional<File> file = map_file(path_);
  std::string_view rest = file ? file->text() : "";
  for (const std::string_view piece : pieces_of(model)) {
    if (rest.substr(0, piece.size()) != piece) return false;
    rest.remove_prefix(std::min(rest.size(), round_up_packed(piece.size())));
  }
  return rest.empty();
}

Model WeightCache::load(const Notice& notice) {
  std::optional<Model> model = take();
  hit_ = model.has_value();
  return hit_ ? *std::move(model) : Model::load(files_, backend_, dtype_, notice);
}

std::string WeightCache::keep(const Model& model, const std::function<bool()>& go_on) const {
  if (path_.empty() || hit_) return {};
  try {
    return write_file(path_, pieces_of(model), go_on);
  } catch (const std::exception& problem) {  // no memory for a name, say
    return problem.what();
  }
}

}  // namespace aira
