#include "app/version.h"

#include "aira/error.h"
#include "app/commit.h"
#include "app/language.h"
#include "cpu/kernels.h"
#include "device/device.h"

namespace aira {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = __VERSION__;  // names itself
#else
constexpr const char* kCompiler = "GCC " __VERSION__;
#endif

std::string instruction_sets() {
  std::string names;
  for (const cpu::Kernels* table : cpu::compiled_kernels()) {
    names += (names.empty() ? "" : ", ") + std::string(table->name);
  }
  return names;
}

}  // namespace

std::string version_text() {
  std::string text = "aira-cli " AIRA_VERSION;
  if (*commit() != '\0') text.append(" (").append(commit()).append(")");
  text += "\n" + message("Instruction sets: {}", {instruction_sets()});
  const std::filesystem::path module = cuda_module();
  text += "\n" + (module.empty() ? message("CUDA module: none")
                                 : message("CUDA module: {}", {module.string()}));
  text += "\n" + (speaks_portuguese() ? message("Languages: English, Portuguese")
                                      : message("Languages: English"));
  text += "\n" + message("Compiler: {}", {kCompiler}) + "\n";
  return text;
}

}  // namespace aira
