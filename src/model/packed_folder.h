// The folder of the packed files, and who may have written there. Whoever can change a packed file
// decides what the model says, so nothing is taken from a folder or a file that is not the user's
// own or that others can write to.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

#include "base/mapped_file.h"

namespace aira {

/// The folder for packed files: $AIRA_CACHE (~ and $NAME in it are replaced), else aira in
/// $XDG_CACHE_HOME, else in ~/.cache; empty without any of these, and when $AIRA_CACHE is "off",
/// "none", "no", "false" or "0", in any case.
std::string cache_folder();

/// Whether what `info` describes belongs to this user, and nobody else can write to it.
bool is_private(const struct stat& info);

/// The folder, opened: what happens in it is safe from a folder that gets its name later.
class PackedFolder {
 public:
  enum class Missing { kIsProblem, kIsMade };  // made for this user alone, with what leads to it
  PackedFolder(std::string path, Missing missing);

  /// Why it is not used, for a person; empty: it is.
  const std::string& problem() const { return problem_; }
  /// The descriptor.
  int get() const { return folder_ ? folder_->get() : -1; }
  /// Opens the file `name` for reading: the descriptor, or -1 when there is no such file that is
  /// regular and private, or the folder is not used.
  int open(const std::string& name) const;

 private:
  std::string problem_;
  std::optional<Descriptor> folder_;
};

}  // namespace aira
