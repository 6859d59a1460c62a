// Eight float lanes in an AVX2 register, with fused multiply-add.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "math/scalar.h"

namespace gsplat::avx2 {

inline constexpr int kLanes = 8;

struct LaneMask {
  __m256 bits;

  static LaneMask first(int count) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane))};
  }
  friend LaneMask operator&(LaneMask a, LaneMask b) { return {_mm256_and_ps(a.bits, b.bits)}; }
  friend LaneMask operator|(LaneMask a, LaneMask b) { return {_mm256_or_ps(a.bits, b.bits)}; }
  friend LaneMask operator!(LaneMask a) {
    return {_mm256_xor_ps(a.bits, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))};
  }
};

inline bool any(LaneMask m) { return _mm256_movemask_ps(m.bits) != 0; }
// Lane i in bit i.
inline uint32_t lane_bits(LaneMask m) { return static_cast<uint32_t>(_mm256_movemask_ps(m.bits)); }

struct Float {
  __m256 v;

  Float() = default;
  Float(__m256 value) : v(value) {}
  explicit Float(float value) : v(_mm256_set1_ps(value)) {}
  explicit Float(double value) : v(_mm256_set1_ps(static_cast<float>(value))) {}

  static Float load(const float* p) { return _mm256_loadu_ps(p); }
  void store(float* p) const { _mm256_storeu_ps(p, v); }

  friend Float operator+(Float a, Float b) { return _mm256_add_ps(a.v, b.v); }
  friend Float operator-(Float a, Float b) { return _mm256_sub_ps(a.v, b.v); }
  friend Float operator*(Float a, Float b) { return _mm256_mul_ps(a.v, b.v); }
  friend Float operator/(Float a, Float b) { return _mm256_div_ps(a.v, b.v); }
  friend Float operator-(Float a) { return -a.v; }
  Float& operator+=(Float b) { return *this = *this + b; }
  friend LaneMask operator<(Float a, Float b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
  friend LaneMask operator<=(Float a, Float b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
  friend LaneMask operator>(Float a, Float b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
  friend LaneMask operator>=(Float a, Float b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
};

inline Float select(LaneMask m, Float yes, Float no) { return _mm256_blendv_ps(no.v, yes.v, m.bits); }
inline Float zero_unless(LaneMask m, Float a) { return _mm256_and_ps(m.bits, a.v); }
inline Float min(Float a, Float b) { return _mm256_min_ps(a.v, b.v); }
inline Float max(Float a, Float b) { return _mm256_max_ps(a.v, b.v); }
inline Float abs(Float a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v); }
inline Float sqrt(Float a) { return _mm256_sqrt_ps(a.v); }
inline Float floor(Float a) { return _mm256_floor_ps(a.v); }
inline Float fraction(Float a) { return a - floor(a); }
inline Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a.v, b.v, c.v); }

// From a 12-bit estimate: one Newton step gives 23 bits.
inline Float reciprocal(Float a) {
  const __m256 r = _mm256_rcp_ps(a.v);
  return _mm256_mul_ps(r, _mm256_fnmadd_ps(a.v, r, _mm256_set1_ps(2.0f)));
}

inline Float scale_by_floor_exp2(Float value, Float power) {
  const __m256i exponent = _mm256_cvttps_epi32(_mm256_floor_ps(power.v));
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value.v), _mm256_slli_epi32(exponent, 23)));
}

// Lanes outside the mask are computed with power 0, so that they cannot become denormal.
inline Float scale_by_floor_exp2_where(LaneMask m, Float value, Float power) {
  return zero_unless(m, scale_by_floor_exp2(value, zero_unless(m, power)));
}

inline void split_exponent(Float x, Float& mantissa, Float& exponent) {
  const __m256i bits = _mm256_castps_si256(x.v);
  exponent = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(127)));
  mantissa = _mm256_castsi256_ps(
      _mm256_or_si256(_mm256_and_si256(bits, _mm256_set1_epi32(0x007fffff)), _mm256_set1_epi32(0x3f800000)));
}

inline float sum(Float a) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  x = _mm_add_ss(x, _mm_shuffle_ps(x, x, 1));
  return _mm_cvtss_f32(x);
}

inline float largest(Float a) {
  __m128 x = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  x = _mm_max_ps(x, _mm_movehl_ps(x, x));
  x = _mm_max_ss(x, _mm_shuffle_ps(x, x, 1));
  return _mm_cvtss_f32(x);
}

// Writes to out[i] the sum over the lanes of a[i], for eight vectors at once by a tree of horizontal
// additions.
inline void sums8(const Float* a, float* out) {
  const __m256 low = _mm256_hadd_ps(_mm256_hadd_ps(a[0].v, a[1].v), _mm256_hadd_ps(a[2].v, a[3].v));
  const __m256 high = _mm256_hadd_ps(_mm256_hadd_ps(a[4].v, a[5].v), _mm256_hadd_ps(a[6].v, a[7].v));
  const __m256 sums =
      _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
  _mm256_storeu_ps(out, sums);
}

// Transposes kLanes vectors as the rows of a square.
inline void transpose(Float* rows) {
  __m256 a[8], b[8];
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_ps(rows[i].v, rows[i + 1].v);
    a[i + 1] = _mm256_unpackhi_ps(rows[i].v, rows[i + 1].v);
  }
  for (int i = 0; i < 8; i += 4) {
    b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
    b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
  }
  for (int j = 0; j < 4; ++j) {
    rows[j] = _mm256_permute2f128_ps(b[j], b[4 + j], 0x20);
    rows[4 + j] = _mm256_permute2f128_ps(b[j], b[4 + j], 0x31);
  }
}

template <>
struct MaskOf<Float> {
  using type = LaneMask;
};

}  // namespace gsplat::avx2
