// Panoramas all around: a pixel is (fx longitude + cx, fy latitude + cy), the angles of a ray, so fx = W / (2
// pi) and fy = H / pi for an image of the whole sphere. Longitudes grow to the right of the axis z, latitudes
// downward. What is near, and what hides what, is decided by the distance from the camera.
//
// A splat at the seam is drawn on both sides of the image (gsplat_core/render/seam.py). Within the angle
// kPole of a pole, the map counts as the one that it is there at the distance kPole: it has no derivative at
// the pole.
#pragma once

#include "math/camera_model.h"

GSPLAT_MATH_BEGIN

struct Equirectangular : CameraBase<Equirectangular> {
  static constexpr int kParams = kIntrinsics;
  static constexpr double kPole = 1e-3;  // radians

  // The distance from the camera.
  template <class T>
  static GSPLAT_HD T depth(const Vec3<T>& p) {
    return sqrt(dot(p, p));
  }
  template <class T>
  static GSPLAT_HD void add_depth_vjp(const Vec3<T>& p, const T& v_depth, Vec3<T>& v_p) {
    v_p = v_p + (v_depth / depth(p)) * p;
  }

  template <class T>
  static GSPLAT_HD Mask<T> sees(const T*, const Vec3<T>& p) {
    return dot(p, p) > T(0.0);
  }

  template <class T>
  static GSPLAT_HD Vec2<T> pixel(const T* k, const Vec3<T>& p) {
    const Vec2<T> a = angles(p);
    return {fma(k[0], a.x, k[2]), fma(k[1], a.y, k[3])};
  }

  template <class T>
  static GSPLAT_HD Vec3<T> pixel_vjp(const T* k, const Vec3<T>& p, const Vec2<T>& v, T* v_k) {
    const Vec2<T> a = angles(p);
    const Mat23<T> d = slopes(away_from_poles(p));
    v_k[0] = v.x * a.x;
    v_k[1] = v.y * a.y;
    v_k[2] = v.x;
    v_k[3] = v.y;
    return (k[0] * v.x) * d.row0 + (k[1] * v.y) * d.row1;
  }

  template <class T>
  static GSPLAT_HD Vec2<T> shortest(const T* k, const Vec2<T>& way) {
    return {fma(T(-kTurn) * turns(k, way), k[0], way.x), way.y};
  }
  template <class T>
  static GSPLAT_HD void add_shortest_vjp(const T* k, const Vec2<T>& way, const Vec2<T>& v, T* v_k) {
    v_k[0] = fma(T(-kTurn) * turns(k, way), v.x, v_k[0]);
  }

private:
  static constexpr double kTurn = 6.283185307179586;

  // How many times around, to the nearest one.
  template <class T>
  static GSPLAT_HD T turns(const T* k, const Vec2<T>& way) {
    return floor(way.x / (T(kTurn) * k[0]) + T(0.5));
  }

  // Longitude and latitude.
  template <class T>
  static GSPLAT_HD Vec2<T> angles(const Vec3<T>& p) {
    return {atan2(p.x, p.z), atan2(p.y, sqrt(p.x * p.x + p.z * p.z))};
  }
  // Forward mode by the derivatives below, which stay finite at the poles.
  template <class F>
  static GSPLAT_HD Vec2<Dual<F>> angles(const Vec3<Dual<F>>& p) {
    const Vec3<F> value = {p.x.value, p.y.value, p.z.value};
    const Vec3<F> tangent = {p.x.tangent, p.y.tangent, p.z.tangent};
    const Vec2<F> a = angles(value);
    const Mat23<F> d = slopes(away_from_poles(value));
    return {{a.x, dot(d.row0, tangent)}, {a.y, dot(d.row1, tangent)}};
  }

  // Their derivatives by the point, of which none is at a pole.
  template <class T>
  static GSPLAT_HD Mat23<T> slopes(const Vec3<T>& p) {
    const T square = p.x * p.x + p.z * p.z, s = sqrt(square), length = fma(p.y, p.y, square);
    const T by_s = -p.y / (length * s);
    return {{p.z / square, T(0.0), -p.x / square}, {by_s * p.x, s / length, by_s * p.z}};
  }

  // The point, moved away from the vertical axis where it is too near; how far counts as a constant.
  template <class T>
  static GSPLAT_HD Vec3<T> away_from_poles(const Vec3<T>& p) {
    const T zero(0.0), one(1.0), s = sqrt(p.x * p.x + p.z * p.z), least = T(kPole) * depth(p);
    const Mask<T> near = s<least, aside = s> zero;
    const T further = least / s - one;
    const T by_x = select(near & aside, further * p.x, zero);
    const T by_z = select(near, select(aside, further * p.z, least), zero);
    return {p.x + constant(by_x), p.y, p.z + constant(by_z)};
  }
};

GSPLAT_MATH_END
