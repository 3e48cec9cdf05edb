// The entry point of libaira_cuda.so, looked up by src/device.
#include "cuda/cuda_backend.h"

extern "C" __attribute__((visibility("default"))) aira::Backend* aira_make_cuda_backend();

aira::Backend* aira_make_cuda_backend() { return aira::make_cuda_backend().release(); }
