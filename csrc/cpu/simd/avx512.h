// Sixteen float lanes in an AVX-512 register.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "math/scalar.h"

namespace gsplat::avx512 {

inline constexpr int kLanes = 16;

struct LaneMask {
  __mmask16 bits;

  static LaneMask first(int count) { return {static_cast<__mmask16>((1u << count) - 1u)}; }
  friend LaneMask operator&(LaneMask a, LaneMask b) { return {static_cast<__mmask16>(a.bits & b.bits)}; }
  friend LaneMask operator|(LaneMask a, LaneMask b) { return {static_cast<__mmask16>(a.bits | b.bits)}; }
  friend LaneMask operator!(LaneMask a) { return {static_cast<__mmask16>(~a.bits)}; }
};

inline bool any(LaneMask m) { return m.bits != 0; }
// Lane i in bit i.
inline uint32_t lane_bits(LaneMask m) { return m.bits; }

struct Float {
  __m512 v;

  Float() = default;
  Float(__m512 value) : v(value) {}
  explicit Float(float value) : v(_mm512_set1_ps(value)) {}
  explicit Float(double value) : v(_mm512_set1_ps(static_cast<float>(value))) {}

  static Float load(const float* p) { return _mm512_loadu_ps(p); }
  void store(float* p) const { _mm512_storeu_ps(p, v); }

  friend Float operator+(Float a, Float b) { return _mm512_add_ps(a.v, b.v); }
  friend Float operator-(Float a, Float b) { return _mm512_sub_ps(a.v, b.v); }
  friend Float operator*(Float a, Float b) { return _mm512_mul_ps(a.v, b.v); }
  friend Float operator/(Float a, Float b) { return _mm512_div_ps(a.v, b.v); }
  friend Float operator-(Float a) { return -a.v; }
  Float& operator+=(Float b) { return *this = *this + b; }
  friend LaneMask operator<(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
  friend LaneMask operator<=(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
  friend LaneMask operator>(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
  friend LaneMask operator>=(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
};

inline Float select(LaneMask m, Float yes, Float no) { return _mm512_mask_mov_ps(no.v, m.bits, yes.v); }
inline Float zero_unless(LaneMask m, Float a) { return _mm512_maskz_mov_ps(m.bits, a.v); }
inline Float min(Float a, Float b) { return _mm512_min_ps(a.v, b.v); }
inline Float max(Float a, Float b) { return _mm512_max_ps(a.v, b.v); }
inline Float abs(Float a) { return _mm512_abs_ps(a.v); }
inline Float sqrt(Float a) { return _mm512_sqrt_ps(a.v); }
inline Float floor(Float a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
inline Float fraction(Float a) { return _mm512_reduce_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
inline Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }

inline Float reciprocal(Float a) {
  const __m512 r = _mm512_rcp14_ps(a.v);
  return _mm512_mul_ps(r, _mm512_fnmadd_ps(a.v, r, _mm512_set1_ps(2.0f)));
}

inline Float scale_by_floor_exp2(Float value, Float power) { return _mm512_scalef_ps(value.v, power.v); }
inline Float scale_by_floor_exp2_where(LaneMask m, Float value, Float power) {
  return _mm512_maskz_scalef_ps(m.bits, value.v, power.v);
}

inline void split_exponent(Float x, Float& mantissa, Float& exponent) {
  mantissa = _mm512_getmant_ps(x.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
  exponent = _mm512_getexp_ps(x.v);
}

inline float sum(Float a) { return _mm512_reduce_add_ps(a.v); }

inline float largest(Float a) { return _mm512_reduce_max_ps(a.v); }

// Writes to out[i] the sum over the lanes of a[i], for eight vectors at once by a tree of shuffles.
inline void sums8(const Float* a, float* out) {
  const auto pair = [](__m512 x, __m512 y) {
    return _mm512_add_ps(_mm512_unpacklo_ps(x, y), _mm512_unpackhi_ps(x, y));
  };
  const auto quad = [](__m512 x, __m512 y) {
    const __m512d p = _mm512_castps_pd(x), q = _mm512_castps_pd(y);
    return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(p, q)),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(p, q)));
  };
  const __m512 low = quad(pair(a[0].v, a[1].v), pair(a[2].v, a[3].v));
  const __m512 high = quad(pair(a[4].v, a[5].v), pair(a[6].v, a[7].v));
  // Each 128-bit part of `low` holds partial sums of a[0..3], of `high` those of a[4..7].
  const __m512 both =
      _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x44), _mm512_shuffle_f32x4(low, high, 0xEE));
  const __m512 even = _mm512_shuffle_f32x4(both, both, 0x08), odd = _mm512_shuffle_f32x4(both, both, 0x0D);
  const __m256 sums = _mm256_add_ps(_mm512_castps512_ps256(even), _mm512_castps512_ps256(odd));
  _mm256_storeu_ps(out, sums);
}

// Transposes kLanes vectors as the rows of a square.
inline void transpose(Float* rows) {
  __m512 a[16], b[16];
  // Pairs of rows, then of pairs: 4x4 squares within each 128-bit part.
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_ps(rows[i].v, rows[i + 1].v);
    a[i + 1] = _mm512_unpackhi_ps(rows[i].v, rows[i + 1].v);
  }
  const auto doubles = [](__m512 x) { return _mm512_castps_pd(x); };
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(doubles(a[i]), doubles(a[i + 2])));
    b[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(doubles(a[i]), doubles(a[i + 2])));
    b[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(doubles(a[i + 1]), doubles(a[i + 3])));
    b[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(doubles(a[i + 1]), doubles(a[i + 3])));
  }
  // Now b[4 i + j] holds rows 4 i .. 4 i + 3 of columns j, j + 4, j + 8, j + 12. Gather the four parts.
  for (int j = 0; j < 4; ++j) {
    const __m512 low = _mm512_shuffle_f32x4(b[j], b[4 + j], 0x88),
                 high = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0x88);
    const __m512 low2 = _mm512_shuffle_f32x4(b[j], b[4 + j], 0xdd);
    const __m512 high2 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0xdd);
    rows[j] = _mm512_shuffle_f32x4(low, high, 0x88);
    rows[8 + j] = _mm512_shuffle_f32x4(low, high, 0xdd);
    rows[4 + j] = _mm512_shuffle_f32x4(low2, high2, 0x88);
    rows[12 + j] = _mm512_shuffle_f32x4(low2, high2, 0xdd);
  }
}

template <>
struct MaskOf<Float> {
  using type = LaneMask;
};

}  // namespace gsplat::avx512
