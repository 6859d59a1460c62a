// What a splat covers of a pixel.
#pragma once
#include <functional>
#include <map>
#include <string>

#include "math/ellipse.h"
#include "math/gauss_newton.h"
#include "raster/variants.h"
#include "rays.h"

namespace formulas {

template <class T>
gsplat::SplatShape<T> shape_of(const ListOf<T>& x) {
  const T scale(gsplat::kRootScale);
  return {x[2] * scale, x[3] * scale, x[4] * scale, gsplat::log2(x[5])};
}

// A splat with the numbers x (mean, root, opacity, extras) at an offset from its mean.
template <class Response, class T>
struct Pixel {
  using Family = typename Response::Family;
  typename Family::template Prepared<T> prepared;
  typename Family::template At<T> at;
  T alpha;

  Pixel(const ListOf<T>& x, const T& dx, const T& dy) {
    const auto shape = Family::template shape<T>(x[2], x[3], x[4], x[5], gsplat::log2(x[5]));
    prepared = Family::prepare(shape, x.data() + 6, x.data());
    const auto offset = Family::offset(shape, dx, dy);
    T measure(0.0);
    at = Family::at(prepared, offset.x, offset.y, gsplat::NoRay{}, measure);
    if constexpr (Family::kIntegrates) {
      alpha = measure;
    } else {
      alpha = gsplat::exp2(measure);
    }
  }
};

// One splat over a column of pixels with the same dx: sum_j c_j alpha_j as a function of mean, root, opacity
// and extras. The derivative sums over the column with dx as a factor, or in units of the splat alone.
template <class Response>
Formula response_formula(bool quadratic) {
  static const double dx = 0.8, dys[3] = {-1.3, 0.4, 2.1}, weights[3] = {0.7, -0.4, 1.1};
  return formula(
      []<class T>(const ListOf<T>& x) {
        T sum(0.0);
        for (int j = 0; j < 3; ++j) {
          sum = sum + T(weights[j]) * Pixel<Response, T>(x, T(dx) - x[0], T(dys[j]) - x[1]).alpha;
        }
        return ListOf<T>{sum};
      },
      [=](const List& x, const List& v) {
        using Family = typename Response::Family;
        auto column = Family::template ColumnSums<double>::zero();
        auto sums = Family::template Sums<double>::zero();
        List v_extras(Response::kExtras);
        for (int j = 0; j < 3; ++j) {
          const double dy = dys[j] - x[1];
          const Pixel<Response, double> pixel(x, dx - x[0], dy);
          const double e = v[0] * weights[j] * pixel.alpha;
          const auto change = Family::change(pixel.prepared, pixel.at, e);
          Family::add(column, e, change, dy, pixel.at);
          Family::add(sums, e, change, pixel.at);
          for (int i = 0; i < Response::kExtras; ++i) v_extras[i] -= e * change.by_extras.values[i];
        }
        const auto moments = Family::finished(column, dx - x[0]);
        List grad = flat(quadratic ? gsplat::splat_vjp(sums, x[2], x[3], x[4], x[5])
                                   : gsplat::splat_vjp(moments, x[2], x[3], x[4], x[5]));
        grad.insert(grad.end(), v_extras.begin(), v_extras.end());
        return grad;
      });
}

template <class Response>
void add_response(std::map<std::string, Formula>& f, const std::string& name) {
  if constexpr (Response::Family::kFlat) {
    f[name] = surfel_formula();
  } else if constexpr (Response::Family::kAlongRays) {
    f[name] = ray_formula<Response>(true);
    f[name + "_from_elsewhere"] = ray_formula<Response>(false);
  } else {
    f[name] = response_formula<Response>(false);
    f[name + "_quadratic"] = response_formula<Response>(true);
  }
}

// What has no derivative, by the names of responses.
struct ResponseFunctions {
  std::function<double(double u, double v, double opacity, const List& extras)> alpha;  // in scaled units
  std::function<double(double opacity, const List& extras)> level;
  bool quadratic;
};

template <class Response>
ResponseFunctions response_functions() {
  return {[](double u, double v, double opacity, const List& extras) {
            if constexpr (Response::Family::kFlat) {
              // Large in the image, and seen from the front.
              const double along = 1 / gsplat::kRootScale;
              const List splat = {1, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, opacity};
              return OnPlane<double>(splat, {1e3, 1e3}, {u * along / 5, v * along / 5, 1}).alpha;
            } else if constexpr (Response::Family::kAlongRays) {
              // From far away along an axis.
              List splat = {1,  0,      0, 0, 1, 0, 0, 0, 1, -u / gsplat::kRootScale, -v / gsplat::kRootScale,
                            -9, opacity};
              splat.insert(splat.end(), extras.begin(), extras.end());
              return OnRay<Response, double>(splat, {{0, 0, 1}, {0, 0, 0}, true}).alpha;
            } else {
              List splat = {0, 0, 1, 0, 1, opacity};  // of unit variances
              splat.insert(splat.end(), extras.begin(), extras.end());
              return Pixel<Response, double>(splat, u / gsplat::kRootScale, v / gsplat::kRootScale).alpha;
            }
          },
          [](double opacity, const List& extras) {
            return gsplat::response_level<Response>(opacity, extras.data());
          },
          Response::kQuadratic};
}

std::map<std::string, ResponseFunctions> all_response_functions() {
  std::map<std::string, ResponseFunctions> all;
#define GSPLAT_ADD(name, type) all[#name] = response_functions<gsplat::type>();
  GSPLAT_RESPONSES(GSPLAT_ADD)
#undef GSPLAT_ADD
  return all;
}

// ln alpha at one pixel by mean, root and opacity: its change is a polynomial of the offset (U, V).
Formula log_alpha_formula() {
  static const double at_x = 0.8, at_y = -1.3;
  return formula(
      []<class T>(const ListOf<T>& x) {
        const auto at = gsplat::response_at<gsplat::GaussianResponse>(shape_of(x), x.data(), T(at_x) - x[0],
                                                                      T(at_y) - x[1]);
        return ListOf<T>{T(0.69314718055994531) * at.power};
      },
      [](const List& x, const List& v) {
        const Vec3<double> root = {x[2], x[3], x[4]};
        const double u = root.x * (at_x - x[0]) + root.y * (at_y - x[1]), w = root.z * (at_y - x[1]);
        const double monomials[gsplat::kQuadratic] = {1, u, w, u * u, u * w, w * w};
        List grad(x.size());
        for (size_t i = 0; i < x.size(); ++i) {
          List unit(x.size());
          unit[i] = 1;
          double coefficients[gsplat::kQuadratic];
          const auto change = Reader(unit).take<gsplat::SplatChange<double>>();
          gsplat::log_alpha_change(root, x[5], change, coefficients);
          for (int k = 0; k < gsplat::kQuadratic; ++k) grad[i] += v[0] * coefficients[k] * monomials[k];
        }
        return grad;
      });
}

}  // namespace formulas
