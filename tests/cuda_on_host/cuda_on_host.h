// CUDA without a GPU: what the project's kernels and src/cuda use of CUDA's vocabulary, for g++.
// Stands in for cuda_runtime.h, cuda_fp16.h and cuda_bf16.h where AIRA_CUDA_ON_HOST is defined, so
// that the same .cu sources run under sanitizers on any machine. It is about correctness: order of
// execution is shuffled, memory is poisoned and guarded, speed is what remains.
#pragma once

#include "atomics.h"
#include "collectives.h"
#include "device_math.h"
#include "half.h"
#include "half2.h"
#include "runtime_api.h"
#include "source_location.h"
#include "tensor_core.h"
#include "vocabulary.h"
