// Runs a sample kernel with or without a planted mistake and says whether its result is right.
// Shared by the tests, which plant nothing, and by the program that plants.
#pragma once

#include "sample_kernels.h"

namespace aira::cuda::sample {

bool row_sums_is_right(Plant plant);
bool scan_is_right(Plant plant);
bool transpose_is_right(Plant plant);
bool small_gemm_is_right(Plant plant);
bool pipelined_sum_is_right(Plant plant);
bool grid_sum_is_right(Plant plant);
bool grid_wait_is_right(Plant plant);
bool copy_by_four_is_right(Plant plant);

}  // namespace aira::cuda::sample
