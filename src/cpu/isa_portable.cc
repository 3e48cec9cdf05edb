// The kernels for any machine. Built with flags of its own (src/CMakeLists.txt), so nothing here
// may instantiate or define code that other files share: plain pointers only, no std containers.
#define AIRA_ISA portable
#include "cpu/simd/portable.h"
// clang-format off: the vocabulary comes first
#include "cpu/kernels_impl.h"

namespace aira::cpu {

const Kernels kPortableKernels = portable::make_kernels("portable");

}  // namespace aira::cpu
