// The table of shapes that every implementation of Backend is tested and measured with: sizes 1,
// odd, at and around the boundaries of tiles, panels and blocks, and real ones.
#pragma once

#include <cstdint>
#include <vector>

#include "model/backend.h"

namespace aira {

struct LinearCase {
  std::int64_t rows, in, out;
  Activation activation = Activation::kNone;
  bool bias = true;
  bool residual = false;
};

inline const std::vector<LinearCase> kLinearCases = {
    {1, 1, 1},
    {1, 3, 5, Activation::kGeluTanh},
    {2, 7, 31, Activation::kNone, false, true},
    {3, 33, 32, Activation::kGeluErf, true, true},
    {5, 64, 33, Activation::kRelu},
    {6, 31, 65, Activation::kSilu, true, true},
    {7, 129, 64, Activation::kGeluTanh, false},
    {4, 17, 35, Activation::kGelu10, true, true},
    {3, 33, 33, Activation::kQuickGelu},
    {2, 40, 37, Activation::kRelu2, true, true},
    {5, 300, 19, Activation::kRelu6},
    {3, 9, 41, Activation::kLeakyRelu, false, true},
    {6, 31, 33, Activation::kHardSwish},
    {7, 63, 34, Activation::kMish, true, true},
    {3, 65, 29, Activation::kSigmoid},
    {4, 12, 45, Activation::kTanh},
    {9, 22, 39, Activation::kLaplace, true, true},
    {2, 129, 43, Activation::kSqrtSoftplus},
    {12, 40, 509, Activation::kNone, false},
    {13, 72, 40, Activation::kNone, true, true},
    {23, 48, 131, Activation::kGeluTanh},
    {24, 128, 96, Activation::kNone, true, true},
    {25, 97, 97, Activation::kGeluTanh, true, true},
    {61, 257, 35},
    {15, 63, 66, Activation::kNone, true, true},  // around int8's row tiles and groups
    {16, 64, 64},
    {17, 65, 31, Activation::kSilu},
    {32, 128, 33},
    {38, 191, 64, Activation::kGeluTanh, true, true},
    {1, 768, 2304},  // GPT-2 small's own
    {1, 3072, 768, Activation::kNone, true, true},
    {1, 96, 50259, Activation::kNone, false},  // and its vocabulary
    {14, 768, 3072, Activation::kGeluTanh},
};

struct LayerNormCase {
  std::int64_t rows, width;
};

inline const std::vector<LayerNormCase> kLayerNormCases = {
    {1, 1}, {2, 3}, {1, 4}, {3, 15}, {7, 16}, {8, 17}, {9, 40}, {2, 97}, {33, 768}, {1, 1600},
};

/// Sequences that are in one step together: `cached` positions come from earlier steps, `rows`
/// positions are new.
struct AttentionCase {
  struct Sequence {
    std::int64_t cached, rows;
  };
  std::int64_t heads, head_size, context;
  std::vector<Sequence> sequences;
};

inline const std::vector<AttentionCase> kAttentionCases = {
    {1, 1, 1, {{0, 1}}},
    {3, 5, 7, {{0, 7}}},
    {2, 8, 40, {{15, 1}, {16, 1}, {17, 1}, {0, 1}}},  // decode around a block's end
    {5, 8, 67, {{0, 3}, {30, 1}, {14, 5}, {66, 1}}},  // prompts beside decodes
    {2, 12, 33, {{0, 33}, {1, 2}}},
    {3, 64, 300, {{298, 2}, {100, 9}, {0, 17}}},
    {1, 128, 50, {{45, 5}, {20, 1}}},
    {2, 33, 270, {{31, 1}, {32, 1}, {63, 2}, {250, 8}}},  // pages' and ranges' ends
    {1, 64, 1024, {{1023, 1}}},                           // GPT-2's own context
};

}  // namespace aira
