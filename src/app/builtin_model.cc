// Gives names to what builtin_model.S embeds.
#include "app/builtin_model.h"

#include <string>

namespace aira {
namespace {

struct Entry {
  const char* name;  // null ends the table
  const std::byte* data;
  std::size_t size;
};

}  // namespace

extern "C" const Entry aira_builtin_files[];

std::optional<ModelFiles> builtin_model() {
  if (aira_builtin_files[0].name == nullptr) return std::nullopt;
  const std::string label = std::string("built-in ") + kBuiltinName;
  return ModelFiles::from_memory(label, [](const std::string& name) -> std::optional<File> {
    for (const Entry* entry = aira_builtin_files; entry->name != nullptr; ++entry) {
      if (name != entry->name) continue;
      // Part of the program: nobody frees it.
      return File{std::string("built-in ") + kBuiltinName + "/" + name,
                  {entry->data, [](const std::byte*) {}},
                  entry->size};
    }
    return std::nullopt;
  });
}

}  // namespace aira
