// Gaussians on rays and surfels, which are met where a ray meets them.
#pragma once
#include <algorithm>

#include "lists.h"
#include "raster/variants.h"

namespace formulas {

// A Gaussian with the numbers x (its frame and the camera's centre in it, opacity, extras) on a ray.
template <class Response, class T>
struct OnRay {
  using Family = typename Response::Family;
  static constexpr int kNumbers = 13 + Response::kExtras;

  typename Family::template Prepared<T> prepared;
  typename Family::template At<T> at;
  T alpha;

  OnRay(const ListOf<T>& x, const gsplat::Ray<T>& ray) {
    const gsplat::SplatShape<T> shape = {T(1.0), T(0.0), T(1.0), gsplat::log2(x[12])};
    const auto frame = Family::frame(shape.log2_opacity, x.data() + 13, x.data());
    prepared = Family::prepare(shape, x.data() + 13, &frame.first.x);
    T measure(0.0);
    at = Family::at(prepared, T(0.0), T(0.0), ray, measure);
    alpha = gsplat::exp2(measure);
  }
};

// That number i of x, behind those of the Gaussian.
template <class Response, class T>
gsplat::Ray<T> ray_of(const ListOf<T>& x, int i, bool from_centre) {
  const T zero(0.0);
  const T* at = x.data() + OnRay<Response, T>::kNumbers + i * (from_centre ? 3 : 6);
  gsplat::Ray<T> ray = {{at[0], at[1], at[2]}, {zero, zero, zero}, from_centre};
  if (!from_centre) ray.origin = {at[3], at[4], at[5]};
  return ray;
}

// One Gaussian on three rays, which begin in the camera's centre or elsewhere: sum_j c_j alpha_j as a
// function of the numbers of OnRay and of the rays.
template <class Response>
Formula ray_formula(bool from_centre) {
  static const double weights[3] = {0.7, -0.4, 1.1};
  using Family = typename Response::Family;
  using Splat = OnRay<Response, double>;
  Formula f;
  f.value = [=](const List& x) {
    double sum = 0;
    for (int j = 0; j < 3; ++j) sum += weights[j] * Splat(x, ray_of<Response>(x, j, from_centre)).alpha;
    return List{sum};
  };
  f.jvp = [=](const List& x, const List& t) {
    const gsplat::CameraTurn<double> turn({x[9], x[10], x[11]});
    const gsplat::RayFrame<double> rows(turn, t.data(), 0.0);
    const gsplat::RayTangent<double> tangent = {rows.first, rows.second, rows.along,
                                                turn.turned({t[9], t[10], t[11]}), t[12] / x[12]};
    double sum = 0;
    for (int j = 0; j < 3; ++j) {
      const auto ray = ray_of<Response>(x, j, from_centre);
      const Splat splat(x, ray);
      sum += weights[j] * splat.alpha *
             gsplat::ray_tangent<Response>(splat.prepared, splat.at, tangent, t.data() + 13, ray,
                                           ray_of<Response>(t, j, from_centre));
    }
    return List{sum};
  };
  f.vjp = [=](const List& x, const List& v) {
    auto sums = Family::template Sums<double>::zero();
    List grad(x.size());
    for (int j = 0; j < 3; ++j) {
      const auto ray = ray_of<Response>(x, j, from_centre);
      const Splat splat(x, ray);
      const double e = v[0] * weights[j] * splat.alpha;
      const auto change = Family::change(splat.prepared, splat.at, e);
      Family::add(sums, e, change, splat.at);
      for (int i = 0; i < Response::kExtras; ++i) grad[13 + i] -= e * change.by_extras.values[i];
      const auto v_ray = Family::ray_vjp(splat.prepared, change, splat.at.tau, from_centre);
      double* to = grad.data() + Splat::kNumbers + j * (from_centre ? 3 : 6);
      const double numbers[6] = {v_ray.direction.x, v_ray.direction.y, v_ray.direction.z,
                                 v_ray.origin.x,    v_ray.origin.y,    v_ray.origin.z};
      std::copy(numbers, numbers + (from_centre ? 3 : 6), to);
    }
    gsplat::ray_splat_vjp(gsplat::CameraTurn<double>({x[9], x[10], x[11]}), x.data(), sums, grad.data());
    grad[12] = sums.e / x[12];
    return grad;
  };
  return f;
}

// A surfel with the numbers x (`canonical`, opacity) at an offset from its mean and a direction.
template <class T>
struct OnPlane {
  using Family = gsplat::SurfelFamily;

  Family::Prepared<T> prepared;
  Family::At<T> at;
  T alpha;

  OnPlane(const ListOf<T>& x, const Vec2<T>& offset, const Vec3<T>& direction) {
    const gsplat::SplatShape<T> shape = {T(1.0), T(0.0), T(1.0), gsplat::log2(x[12])};
    const auto frame = Family::frame(shape.log2_opacity, x.data(), x.data());
    prepared = Family::prepare(shape, x.data(), &frame.first.x);
    T measure(0.0);
    at = Family::at(prepared, offset.x, offset.y, {direction, {T(0.0), T(0.0), T(0.0)}, true}, measure);
    alpha = gsplat::exp2(measure);
  }
};

// One surfel in three pixels: sum_j c_j alpha_j + d_j / z_j as a function of `canonical`, opacity, and the
// directions of the pixels.
Formula surfel_formula() {
  using Family = gsplat::SurfelFamily;
  static const double weights[3] = {0.7, -0.4, 1.1}, of_depths[3] = {0.2, 0.5, -0.3};
  static const Vec2<double> offsets[3] = {{3.0, 2.0}, {-2.0, 3.0}, {0.4, -0.3}};
  const auto direction = [](const List& x, int j) {
    return Vec3<double>{x[13 + 3 * j], x[14 + 3 * j], x[15 + 3 * j]};
  };
  Formula f;
  f.value = [=](const List& x) {
    double sum = 0;
    for (int j = 0; j < 3; ++j) {
      const OnPlane<double> splat(x, offsets[j], direction(x, j));
      sum += weights[j] * splat.alpha + of_depths[j] / splat.at.depth;
    }
    return List{sum};
  };
  f.jvp = [=](const List& x, const List& t) {
    const auto tangent = gsplat::surfel_tangent(x.data(), t.data(), t[12] / x[12]);
    double sum = 0;
    for (int j = 0; j < 3; ++j) {
      const Vec3<double> d = direction(x, j), t_d = direction(t, j);
      const OnPlane<double> splat(x, offsets[j], d);
      sum += weights[j] * splat.alpha * gsplat::surfel_change(splat.prepared, splat.at, tangent, d, t_d);
      sum += of_depths[j] * (dot(splat.prepared.frame.inverse, t_d) + dot(tangent.inverse, d));
    }
    return List{sum};
  };
  f.vjp = [=](const List& x, const List& v) {
    auto sums = Family::Sums<double>::zero();
    List grad(x.size());
    for (int j = 0; j < 3; ++j) {
      const OnPlane<double> splat(x, offsets[j], direction(x, j));
      const double e = v[0] * weights[j] * splat.alpha;
      auto change = Family::change(splat.prepared, splat.at, e);
      Family::add_depth(change, v[0] * of_depths[j]);
      Family::add(sums, e, change, splat.at);
      const Vec3<double> v_ray = Family::ray_vjp(splat.prepared, change, splat.at.tau, true).direction;
      grad[13 + 3 * j] = v_ray.x;
      grad[14 + 3 * j] = v_ray.y;
      grad[15 + 3 * j] = v_ray.z;
    }
    gsplat::surfel_vjp(gsplat::SurfelFrame<double>(x.data()), sums, grad.data());
    grad[12] = sums.e / x[12];
    return grad;
  };
  return f;
}

}  // namespace formulas
