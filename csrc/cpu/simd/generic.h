// Four float lanes through the compiler's portable vectors: SSE2 on any x86-64, NEON on ARM.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "math/scalar.h"

namespace gsplat::generic {

inline constexpr int kLanes = 4;

typedef float Vector4f __attribute__((vector_size(16)));
typedef int32_t Vector4i __attribute__((vector_size(16)));

struct LaneMask {
  Vector4i bits;

  static LaneMask first(int count) { return {Vector4i{0, 1, 2, 3} < count}; }
  friend LaneMask operator&(LaneMask a, LaneMask b) { return {a.bits & b.bits}; }
  friend LaneMask operator|(LaneMask a, LaneMask b) { return {a.bits | b.bits}; }
  friend LaneMask operator!(LaneMask a) { return {~a.bits}; }
};

// Lane i in bit i.
inline uint32_t lane_bits(LaneMask m) {
  return (m.bits[0] & 1u) | (m.bits[1] & 2u) | (m.bits[2] & 4u) | (m.bits[3] & 8u);
}
inline bool any(LaneMask m) { return lane_bits(m) != 0; }

struct Float {
  Vector4f v;

  Float() = default;
  Float(Vector4f value) : v(value) {}
  explicit Float(float value) : v{value, value, value, value} {}
  explicit Float(double value) : Float(static_cast<float>(value)) {}

  static Float load(const float* p) {
    Float result;
    std::memcpy(&result.v, p, sizeof(result.v));
    return result;
  }
  void store(float* p) const { std::memcpy(p, &v, sizeof(v)); }

  friend Float operator+(Float a, Float b) { return a.v + b.v; }
  friend Float operator-(Float a, Float b) { return a.v - b.v; }
  friend Float operator*(Float a, Float b) { return a.v * b.v; }
  friend Float operator/(Float a, Float b) { return a.v / b.v; }
  friend Float operator-(Float a) { return -a.v; }
  Float& operator+=(Float b) { return *this = *this + b; }
  friend LaneMask operator<(Float a, Float b) { return {a.v < b.v}; }
  friend LaneMask operator<=(Float a, Float b) { return {a.v <= b.v}; }
  friend LaneMask operator>(Float a, Float b) { return {a.v > b.v}; }
  friend LaneMask operator>=(Float a, Float b) { return {a.v >= b.v}; }
};

inline Vector4i as_ints(Vector4f v) { return reinterpret_cast<Vector4i>(v); }
inline Vector4f as_floats(Vector4i v) { return reinterpret_cast<Vector4f>(v); }

inline Float select(LaneMask m, Float yes, Float no) {
  return as_floats((m.bits & as_ints(yes.v)) | (~m.bits & as_ints(no.v)));
}
inline Float zero_unless(LaneMask m, Float a) { return as_floats(m.bits & as_ints(a.v)); }
// As the x86 instructions do: the second argument where either is NaN.
inline Float min(Float a, Float b) { return select(a < b, a, b); }
inline Float max(Float a, Float b) { return select(a > b, a, b); }
inline Float abs(Float a) { return as_floats(as_ints(a.v) & 0x7fffffff); }
inline Float sqrt(Float a) {
  return Vector4f{std::sqrt(a.v[0]), std::sqrt(a.v[1]), std::sqrt(a.v[2]), std::sqrt(a.v[3])};
}
// Values of 2^23 and more are integers already and come back as they are.
inline Float floor(Float a) {
  const LaneMask has_fraction = abs(a) < Float(8388608.0);
  const Vector4f in_range = zero_unless(has_fraction, a).v;
  const Vector4f truncated = __builtin_convertvector(__builtin_convertvector(in_range, Vector4i), Vector4f);
  const Float down = truncated - zero_unless({truncated > in_range}, Float(1.0)).v;
  return select(has_fraction, down, a);
}
inline Float fraction(Float a) { return a - floor(a); }
// Two roundings where the target has no fused instruction.
inline Float fma(Float a, Float b, Float c) { return a.v * b.v + c.v; }

inline Float reciprocal(Float a) { return 1.0f / a.v; }

inline Float scale_by_floor_exp2(Float value, Float power) {
  const Vector4i exponent = __builtin_convertvector(floor(power).v, Vector4i);
  return as_floats(as_ints(value.v) + (exponent << 23));
}

// Lanes outside the mask are computed with power 0, so that they cannot become denormal.
inline Float scale_by_floor_exp2_where(LaneMask m, Float value, Float power) {
  return zero_unless(m, scale_by_floor_exp2(value, zero_unless(m, power)));
}

inline void split_exponent(Float x, Float& mantissa, Float& exponent) {
  const Vector4i bits = as_ints(x.v);
  exponent = __builtin_convertvector((bits >> 23) - 127, Vector4f);
  mantissa = as_floats((bits & 0x007fffff) | 0x3f800000);
}

inline float sum(Float a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }

inline float largest(Float a) {
  const float x = a.v[0] > a.v[2] ? a.v[0] : a.v[2], y = a.v[1] > a.v[3] ? a.v[1] : a.v[3];
  return x > y ? x : y;
}

// Writes to out[i] the sum over the lanes of a[i], for eight vectors.
inline void sums8(const Float* a, float* out) {
  for (int i = 0; i < 8; ++i) out[i] = sum(a[i]);
}

// Transposes kLanes vectors as the rows of a square.
inline void transpose(Float* rows) {
  for (int i = 0; i < kLanes; ++i) {
    for (int j = 0; j < i; ++j) {
      const float upper = rows[j].v[i];
      rows[j].v[i] = rows[i].v[j];
      rows[i].v[j] = upper;
    }
  }
}

template <>
struct MaskOf<Float> {
  using type = LaneMask;
};

}  // namespace gsplat::generic
