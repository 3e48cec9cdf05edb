// Half precision: every one of its 65,536 numbers, and rounding to it.
#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace aira {
namespace {

TEST(Half, AgreesWithItselfForAllBits) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float wide = half_to_float(half);
    if (std::isnan(wide)) {
      EXPECT_GT(half & 0x7fffU, 0x7c00U);
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(wide))));
    } else {
      EXPECT_EQ(float_to_half(wide), half);
    }
  }
  EXPECT_EQ(half_to_float(0x3c00), 1.0F);
  EXPECT_EQ(half_to_float(0x0001), 0x1p-24F);
  EXPECT_EQ(float_to_half(1 + 0x1p-11F), 0x3c00);  // a tie goes to even
  EXPECT_EQ(float_to_half(1 + 0x1.8p-10F), 0x3c02);
  EXPECT_EQ(float_to_half(65519.9F), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0F), 0x7c00);
}

}  // namespace
}  // namespace aira
