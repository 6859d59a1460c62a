// Rows of pixels or voxels across a Gaussian, and what adding up along them takes.
//
// Offsets are differences of absolute coordinates, and both passes ask the same functions: so whether a pixel
// sees a Gaussian depends neither on the pass nor on how the image was cut into tiles.
#pragma once

#include "cpu/simd/simd.h"
#include "math/elementary.h"
#include "math/response/radial.h"

namespace gsplat::GSPLAT_ISA {

// 0.5, 1.5, ...: centres of as many pixels as there are lanes.
inline Float lane_centres() {
  alignas(64) float centres[kLanes];
  for (int i = 0; i < kLanes; ++i) centres[i] = static_cast<float>(i) + 0.5f;
  return Float::load(centres);
}

// Of `count` numbers from p on; zeros behind them.
inline Float load_first(const float* p, int count) {
  if (count >= kLanes) return Float::load(p);
  alignas(64) float numbers[kLanes] = {};
  for (int i = 0; i < count; ++i) numbers[i] = p[i];
  return Float::load(numbers);
}

// The pixels of kLanes rows, each from `first` to `last`, that a Gaussian reaches: there (slope d + shift)^2
// <= above with the offset d from the mean. Empty where `above` is negative. A little too long rather than
// too short.
struct RowSpans {
  alignas(64) float firsts[kLanes], lasts[kLanes];

  RowSpans(Float mean, Float inverse_slope, Float shift, Float above, int begin, int end) {
    const Float reach = sqrt(max(above, Float(0.0f)));
    const Float padding = fma(Float(1e-5f) * (reach + abs(shift)), inverse_slope, Float(2e-3f));
    const Float left = mean - (reach + shift) * inverse_slope - padding;
    const Float right = mean + (reach - shift) * inverse_slope + padding;
    const Float from(static_cast<float>(begin)), to(static_cast<float>(end));
    const Float first = min(max(-floor(Float(0.5f) - left), from), to);
    const Float last = max(min(floor(right - Float(0.5f)), to - Float(1.0f)), from - Float(1.0f));
    first.store(firsts);
    select(above >= Float(0.0f), last, Float(-1.0f)).store(lasts);
  }
};

// A row through a Gaussian: at the offset d its power is `power` - (slope d + shift)^2.
struct GaussianRow {
  Float mean, slope, shift, power;

  struct At {
    Float u, value;  // zero where the least that counts is not reached
  };
  // At kLanes pixels from one on.
  [[gnu::always_inline]] At at(int pixel, Float centres) const {
    return at_offset((Float(static_cast<float>(pixel)) + centres) - mean);
  }
  [[gnu::always_inline]] At at_offset(Float offset) const {
    const Float u = fma(slope, offset, shift), measure = fma(-u, u, power);
    return {u, exp2_where(measure >= Float(kMinPower), measure)};
  }
};

}  // namespace gsplat::GSPLAT_ISA
