// One output's weights out of a packed matrix: a token's row out of the embeddings.
#pragma once

#include "model/tensor.h"

namespace aira::cpu {

/// weights[k] = W[k][output] for k = 0..in-1, exactly as the kernels see them.
void unpack(const Matrix& matrix, std::int64_t output, float* weights);

}  // namespace aira::cpu
