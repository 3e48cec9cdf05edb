// A file of a model's parameters in a backend's own order, to be mapped and used as it lies:
//   64 bytes   magic, version, size of the file, size and digest of the directory, zeros
//   directory  the key (which model and order this is), then name, offset and size of each part
//   parts      each on a 64-byte boundary
// Numbers are little-endian. Written once under another name and then renamed, so whoever opens it
// sees a whole file or none. The directory is checked on opening; parts are not read for that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace aira {

class PackedFile {
 public:
  /// A part to write; `data` need not live longer than write().
  struct Part {
    std::string name;
    std::string_view bytes;
  };

  /// The file `path`, when it is there, undamaged and made for `key`.
  static std::optional<PackedFile> open(const std::string& path, std::string_view key);

  /// Writes `path`, whose folder is made when it is not there, and replaces what had that name.
  /// Returns what went wrong ("No space left on device"), empty when nothing did. `go_on` is asked
  /// every few MB; when it says false, nothing is left behind.
  static std::string write(const std::string& path, std::string_view key,
                           std::span<const Part> parts, const std::function<bool()>& go_on);

  bool has(const std::string& name) const { return places_.count(name) != 0; }
  /// The part `name` if it has exactly `bytes`, else null. Keeps the file mapped.
  std::shared_ptr<const std::byte> find(const std::string& name, std::int64_t bytes) const;

 private:
  struct Place {
    std::uint64_t offset;
    std::uint64_t bytes;
  };
  static std::optional<PackedFile> read_directory(std::string_view directory, std::string_view key,
                                                  std::uint64_t file_bytes);

  std::map<std::string, Place, std::less<>> places_;
  std::shared_ptr<const std::byte> data_;
};

/// Where in `folder` the packed file of `what` of the model at `place` is: the same for all
/// versions of a model, so that a new one replaces the old. Snapshots of one repository in the
/// Hugging Face cache are versions of one model.
std::string packed_path(const std::string& folder, const std::string& place,
                        const std::string& what);

}  // namespace aira
