// What the networks of anchors say of a splat, and the splat that it makes (Lu et al., "Scaffold-GS:
// Structured 3D Gaussians for View-Adaptive Rendering", 2024, section 3.2).
//
// Networks and offsets are in a frame of their own, which a rotation takes from world space to, so that a
// scene may be turned without another decoder.
#pragma once

#include "math/activations.h"
#include "math/spherical_harmonics.h"
#include "math/turns.h"

GSPLAT_MATH_BEGIN

template <class T>
struct DecoderFrame {
  Mat3<T> rotation;       // from world space
  Quaternion<T> inverse;  // back
};

// What the splats of an anchor have in common.
template <class T>
struct Anchor {
  Vec3<T> place;
  Vec3<T> steps;  // exp(offset_scales), the units of offsets
  Vec3<T> spans;  // exp(scales), the largest scales
};

// What belongs to one splat: its offset, and outputs of the networks.
template <class T>
struct EncodedSplat {
  Vec3<T> offset;
  T opacity;
  Vec3<T> color;
  Vec3<T> scales;
  Quaternion<T> rotation;
};

template <class T>
struct DecodedSplat {
  Vec3<T> mean;
  Quaternion<T> rotation;  // of unit length
  Vec3<T> scales;
  T opacity;
  Vec3<T> color;
};

template <class T>
GSPLAT_HD Vec3<T> each_times(const Vec3<T>& a, const Vec3<T>& b) {
  return {a.x * b.x, a.y * b.y, a.z * b.z};
}

// The direction from the camera that networks read.
template <class T>
GSPLAT_HD Vec3<T> anchor_direction(const DecoderFrame<T>& frame, const Vec3<T>& from_camera) {
  return multiply(frame.rotation, unit_direction(from_camera));
}
template <class T>
GSPLAT_HD Vec3<T> anchor_direction_vjp(const DecoderFrame<T>& frame, const Vec3<T>& from_camera,
                                       const Vec3<T>& v) {
  return unit_direction_vjp(from_camera, multiply_transposed(frame.rotation, v));
}

// max(tanh x, 0).
template <class T>
GSPLAT_HD T opacity_of_anchor(const T& x) {
  const T shown = T(2.0) / (T(1.0) + exp(T(-2.0) * x)) - T(1.0);
  return select(x > T(0.0), shown, select(x <= T(0.0), T(0.0), x));
}
template <class T>
GSPLAT_HD T opacity_of_anchor_vjp(const T& x, const T& v) {
  const T opacity = opacity_of_anchor(x);
  return select(x <= T(0.0), T(0.0), v * (T(1.0) - opacity * opacity));
}

// 1 / |q|, or 0 of what has no length, which is no rotation.
template <class T>
GSPLAT_HD T per_length(const Quaternion<T>& q) {
  const T squared = q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z;
  return select(squared <= T(1e-24), T(0.0), T(1.0) / sqrt(max(squared, T(1e-24))));
}

template <class T>
GSPLAT_HD DecodedSplat<T> decode_splat(const DecoderFrame<T>& frame, const Anchor<T>& anchor,
                                       const EncodedSplat<T>& s) {
  const T inv = per_length(s.rotation);
  const T turn = select(inv <= T(0.0), T(1.0), s.rotation.w * inv);
  const Quaternion<T> unit = {turn, s.rotation.x * inv, s.rotation.y * inv, s.rotation.z * inv};
  const Vec3<T> shares = {opacity_of_logit(s.scales.x), opacity_of_logit(s.scales.y),
                          opacity_of_logit(s.scales.z)};
  return {anchor.place + multiply_transposed(frame.rotation, each_times(s.offset, anchor.steps)),
          multiply(frame.inverse, unit),
          each_times(shares, anchor.spans),
          opacity_of_anchor(s.opacity),
          {opacity_of_logit(s.color.x), opacity_of_logit(s.color.y), opacity_of_logit(s.color.z)}};
}

// The gradient of a splat's own numbers; those of what it shares with others are added to `v_anchor`.
template <class T>
GSPLAT_HD EncodedSplat<T> decode_splat_vjp(const DecoderFrame<T>& frame, const Anchor<T>& anchor,
                                           const EncodedSplat<T>& s, const DecodedSplat<T>& v,
                                           Anchor<T>& v_anchor) {
  EncodedSplat<T> v_s;
  const Vec3<T> v_shift = multiply(frame.rotation, v.mean);
  v_s.offset = each_times(v_shift, anchor.steps);
  v_anchor.place = v_anchor.place + v.mean;
  v_anchor.steps = v_anchor.steps + each_times(v_shift, s.offset);

  v_s.opacity = opacity_of_anchor_vjp(s.opacity, v.opacity);
  const auto of_logit = [](const T& x, const T& v_share) {
    return opacity_of_logit_vjp(opacity_of_logit(x), v_share);
  };
  v_s.color = {of_logit(s.color.x, v.color.x), of_logit(s.color.y, v.color.y),
               of_logit(s.color.z, v.color.z)};

  const Vec3<T> shares = {opacity_of_logit(s.scales.x), opacity_of_logit(s.scales.y),
                          opacity_of_logit(s.scales.z)};
  const Vec3<T> v_shares = each_times(v.scales, anchor.spans);
  v_s.scales = {opacity_of_logit_vjp(shares.x, v_shares.x), opacity_of_logit_vjp(shares.y, v_shares.y),
                opacity_of_logit_vjp(shares.z, v_shares.z)};
  v_anchor.spans = v_anchor.spans + each_times(v.scales, shares);

  const Quaternion<T>& f = frame.inverse;
  const Quaternion<T> v_unit = multiply(Quaternion<T>{f.w, -f.x, -f.y, -f.z}, v.rotation);
  const Quaternion<T>& q = s.rotation;
  const T inv = per_length(q);
  const T along = (v_unit.w * q.w + v_unit.x * q.x + v_unit.y * q.y + v_unit.z * q.z) * inv * inv;
  v_s.rotation = {(v_unit.w - along * q.w) * inv, (v_unit.x - along * q.x) * inv,
                  (v_unit.y - along * q.y) * inv, (v_unit.z - along * q.z) * inv};
  return v_s;
}

GSPLAT_MATH_END
