// The slice of a Gaussian over places and viewing directions that one camera sees (N-DG, Diolatzis et al.
// 2024; 6DGS, Gao et al. 2024).
//
// Its covariance is L L^T with the direction first, L = [[D, 0], [X, P]]: the slice along the direction d is
// shifted by X y, with y = D^-1 (d - m), and its opacity falls as exp(-falloff |y|^2); its covariance P P^T
// is that of all slices, so it is no part of this.
#pragma once

#include "math/elementary.h"
#include "math/quaternion.h"

GSPLAT_MATH_BEGIN

template <class T>
struct DirectionalGaussian {
  Vec3<T> place;
  Vec3<T> direction;            // m, the mean direction, of any length
  Quaternion<T> lobe_rotation;  // D is this rotation ...
  Vec3<T> lobe_log_deviation;   // ... times standard deviations, these their logarithms
  Mat3<T> slopes;               // rows are the columns of X
};

template <class T>
struct DirectionalSlice {
  Vec3<T> shift;
  T factor;  // on the opacity
};

// What both directions of differentiation begin with.
template <class T>
struct SeenDirection {
  T per_length;  // 1 / the distance from the camera
  Vec3<T> along, offset;
  Mat3<T> axes;
  Vec3<T> per_deviation, y;
};

template <class T>
GSPLAT_HD SeenDirection<T> seen_direction(const DirectionalGaussian<T>& g, const Vec3<T>& centre) {
  SeenDirection<T> s;
  const Vec3<T> to_place = g.place - centre;
  s.per_length = T(1.0) / sqrt(max(dot(to_place, to_place), T(1e-30)));
  s.along = s.per_length * to_place;
  s.offset = s.along - g.direction;
  s.axes = rotation_matrix(g.lobe_rotation);
  const Vec3<T> turned = multiply_transposed(s.axes, s.offset);
  s.per_deviation = {exp(-g.lobe_log_deviation.x), exp(-g.lobe_log_deviation.y),
                     exp(-g.lobe_log_deviation.z)};
  s.y = {turned.x * s.per_deviation.x, turned.y * s.per_deviation.y, turned.z * s.per_deviation.z};
  return s;
}

// At most 1, also of a lobe without a rotation, whose y is no number.
template <class T>
GSPLAT_HD T directional_factor(const Vec3<T>& y, const T& falloff) {
  return exp(min(-falloff * dot(y, y), T(0.0)));
}

template <class T>
GSPLAT_HD DirectionalSlice<T> directional_slice(const DirectionalGaussian<T>& g, const Vec3<T>& centre,
                                                const T& falloff) {
  const Vec3<T> y = seen_direction(g, centre).y;
  return {multiply_transposed(g.slopes, y), directional_factor(y, falloff)};
}

// The gradient of the Gaussian, of whose place only the part that comes through the direction: minus it is
// also the gradient of the camera's centre. `factor` is set to that of the slice.
template <class T>
GSPLAT_HD DirectionalGaussian<T> directional_slice_vjp(const DirectionalGaussian<T>& g, const Vec3<T>& centre,
                                                       const T& falloff, const Vec3<T>& v_shift,
                                                       const T& v_factor, T& factor) {
  const SeenDirection<T> s = seen_direction(g, centre);
  factor = directional_factor(s.y, falloff);
  const T steepness = T(-2.0) * falloff * factor * v_factor;
  const Vec3<T> v_y = multiply(g.slopes, v_shift) + steepness * s.y;
  const Vec3<T> v_turned = {v_y.x * s.per_deviation.x, v_y.y * s.per_deviation.y, v_y.z * s.per_deviation.z};
  const Vec3<T> v_offset = multiply(s.axes, v_turned);
  const Vec3<T>& x = s.offset;
  const Mat3<T> v_axes = {{{x.x * v_turned.x, x.x * v_turned.y, x.x * v_turned.z},
                           {x.y * v_turned.x, x.y * v_turned.y, x.y * v_turned.z},
                           {x.z * v_turned.x, x.z * v_turned.y, x.z * v_turned.z}}};
  DirectionalGaussian<T> v;
  v.place = s.per_length * (v_offset - dot(v_offset, s.along) * s.along);
  v.direction = T(-1.0) * v_offset;
  v.lobe_rotation = rotation_matrix_vjp(g.lobe_rotation, v_axes);
  v.lobe_log_deviation = {-v_y.x * s.y.x, -v_y.y * s.y.y, -v_y.z * s.y.z};
  v.slopes = {{{s.y.x * v_shift.x, s.y.x * v_shift.y, s.y.x * v_shift.z},
               {s.y.y * v_shift.x, s.y.y * v_shift.y, s.y.y * v_shift.z},
               {s.y.z * v_shift.x, s.y.z * v_shift.y, s.y.z * v_shift.z}}};
  return v;
}

GSPLAT_MATH_END
