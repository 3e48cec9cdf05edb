#include "hub/cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <random>
#include <system_error>
#include <thread>

#include "aira/error.h"
#include "base/digest.h"
#include "base/printable.h"
#include "hub/http.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIncomplete = ".incomplete";
constexpr std::string_view kTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file is a cache directory tag created by huggingface_hub.\n"
    "# For information about cache directory tags, see:\n"
    "#\thttps://bford.info/cachedir/\n";

[[noreturn]] void fail(const fs::path& path, int problem) {
  if (problem == EROFS || problem == EACCES || problem == EPERM || problem == ENOTDIR) {
    throw Error(
        "[E646] {} in the Hugging Face cache cannot be written ({}); HF_HUB_CACHE names another "
        "folder.",
        {quote(path.string(), 4096), system_message(problem)});
  }
  throw Error(
      "[E647] Writing {} failed: {}. Once that is mended, the same command goes on from there.",
      {quote(path.string(), 4096), system_message(problem)});
}

void make_folder(const fs::path& folder) {
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) fail(folder, problem.value());
}

void move(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail(to, errno);
}

/// After a power failure the folder has the names that it has now.
void sync_folder(const fs::path& folder) {
  const Descriptor file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ::fsync(file.get());
}

void write_all(int fd, std::string_view bytes, std::int64_t at, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(), at);
    if (done < 0 && errno != EINTR) fail(path, errno);
    if (done <= 0) continue;
    bytes.remove_prefix(static_cast<std::size_t>(done));
    at += done;
  }
}

/// A whole file at once: `text` under the name `path`, made as `temporary`.
void write_whole(const fs::path& path, std::string_view text, const fs::path& temporary) {
  const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0) fail(path, errno);
  try {
    write_all(file.get(), text, 0, path);
    if (::fsync(file.get()) != 0) fail(path, errno);
    move(temporary, path);
  } catch (const Error&) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(path.parent_path());
}

}  // namespace

fs::path HubCache::lock(const std::string& etag) const {
  return folder_.parent_path() / ".locks" / folder_.filename() / (etag + ".lock");
}

fs::path HubCache::new_name(const std::string& etag) const {
  std::random_device random;
  const std::uint64_t number = (std::uint64_t{random()} << 32U) | random();
  return blob(etag + "." + hex(number) + kIncomplete);
}

std::vector<fs::path> HubCache::leftovers(const std::string& etag) const {
  std::vector<fs::path> found;
  std::error_code problem;
  for (fs::directory_iterator entry(blob(""), problem), end; !problem && entry != end;
       entry.increment(problem)) {
    const std::string name = entry->path().filename();
    if (name.starts_with(etag + ".") && name.ends_with(kIncomplete)) found.push_back(entry->path());
  }
  return found;
}

fs::path HubCache::largest_leftover(const std::string& etag) const {
  fs::path largest;
  std::uintmax_t most = 0;
  for (const fs::path& path : leftovers(etag)) {
    std::error_code problem;
    const std::uintmax_t size = fs::is_symlink(path, problem) ? 0 : fs::file_size(path, problem);
    if (problem || size <= most) continue;
    most = size;
    largest = path;
  }
  return largest;
}

void HubCache::remove_leftovers(const std::string& etag) const {
  for (const fs::path& path : leftovers(etag)) ::unlink(path.c_str());
}

void HubCache::prepare(const std::string& commit) const {
  for (const char* name : {"blobs", "refs"}) make_folder(folder_ / name);
  make_folder(snapshot(commit));
  std::error_code problem;
  fs::create_directories(lock("").parent_path(), problem);  // without it there are no locks
  const fs::path tag = folder_.parent_path() / "CACHEDIR.TAG";
  if (!fs::exists(tag, problem)) write_whole(tag, kTag, new_name("tag"));
}

void HubCache::link(const std::string& commit, const std::string& name, const std::string& etag,
                    bool fresh) const {
  const fs::path place = snapshot(commit) / name;
  const fs::path temporary = new_name(etag);
  const fs::path target = fs::path("../../blobs") / etag;
  if (symlinks_ && ::symlink(target.c_str(), temporary.c_str()) == 0) {
    move(temporary, place);
  } else if (fresh) {  // the snapshot has the file itself
    move(blob(etag), place);
  } else {
    std::error_code problem;
    fs::copy_file(blob(etag), temporary, problem);
    if (problem) fail(place, problem.value());
    move(temporary, place);
  }
  sync_folder(place.parent_path());
}

void HubCache::set_missing(const std::string& commit, const std::string& name) const {
  const fs::path place = folder_ / ".no_exist" / commit / name;
  std::error_code problem;
  fs::create_directories(place.parent_path(), problem);
  // Only spares others a request.
  const Descriptor file(::open(place.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
}

void HubCache::set_reference(const std::string& revision, const std::string& commit) const {
  const fs::path place = folder_ / "refs" / revision;
  make_folder(place.parent_path());
  write_whole(place, commit, new_name("ref"));
}

BlobLock::BlobLock(const fs::path& path, const std::function<bool()>& go_on,
                   const std::function<void()>& waiting)
    : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664)) {
  const auto lock = [](const Descriptor& file) {
    return ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
  };
  for (bool told = false; file_.get() >= 0 && !lock(file_); told = true) {
    if (errno != EWOULDBLOCK && errno != EINTR) return;
    if (!told) waiting();
    if (!go_on()) throw Stopped();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  // Some network file systems give the same lock to all.
  const Descriptor other(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  held_ = other.get() >= 0 && !lock(other);
}

PartialFile::PartialFile(const HubCache& cache, const std::string& etag, bool take_over)
    : path_([&] {
        fs::path mine = cache.new_name(etag);
        const fs::path left = take_over ? cache.largest_leftover(etag) : "";
        // Of two that try it one succeeds.
        if (!left.empty()) ::rename(left.c_str(), mine.c_str());
        return mine;
      }()),
      blob_(cache.blob(etag)),
      file_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666)) {
  struct stat status {};
  if (file_.get() < 0 || ::fstat(file_.get(), &status) != 0) fail(path_, errno);
  size_ = status.st_size;
}

PartialFile::~PartialFile() {
  if (size_ == 0 && !kept_) ::unlink(path_.c_str());
}

std::string_view PartialFile::read(std::int64_t at, std::string& buffer) const {
  ssize_t got = 0;
  do {
    got = ::pread(file_.get(), buffer.data(), buffer.size(), at);
  } while (got < 0 && errno == EINTR);
  if (got < 0) fail(path_, errno);
  return {buffer.data(), static_cast<std::size_t>(got)};
}

void PartialFile::add(std::string_view bytes) {
  write_all(file_.get(), bytes, size_, path_);
  size_ += std::ssize(bytes);
}

void PartialFile::restart() {
  if (::ftruncate(file_.get(), 0) != 0) fail(path_, errno);
  size_ = 0;
}

void PartialFile::keep() {
  if (::fsync(file_.get()) != 0) fail(path_, errno);
  std::error_code problem;
  // Without locks, another process may have taken this file over, and finished it.
  if (::rename(path_.c_str(), blob_.c_str()) != 0 &&
      (errno != ENOENT || fs::file_size(blob_, problem) != static_cast<std::uintmax_t>(size_))) {
    fail(blob_, errno);
  }
  kept_ = true;
  sync_folder(blob_.parent_path());
}

}  // namespace aira
