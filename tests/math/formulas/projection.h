// How cameras see points, Gaussians and surfels.
#pragma once
#include <cmath>
#include <map>
#include <string>

#include "lists.h"
#include "math/line_integral.h"
#include "math/projection_methods.h"
#include "math/surfel_projection.h"
#include "raster/camera_models.h"

namespace formulas {

// Rotation (9), translation (3) and the model's numbers are variables; the image size is not.
template <class Model, class T>
Camera<T, Model> take_camera(Reader<T>& in) {
  Camera<T, Model> camera;
  camera.rotation = in.template take<Mat3<T>>();
  camera.translation = in.template take<Vec3<T>>();
  for (T& param : camera.params) param = in.take();
  camera.width = T(96.0);
  camera.height = T(64.0);
  return camera;
}

template <class T>
gsplat::ProjectOptions<T> options(bool antialiased) {
  return {T(0.3), T(0.01), T(1e10), T(0.0), antialiased};
}

// The methods of projection, with numbers that are not the usual ones.
struct ByLinearization {
  template <class T>
  static gsplat::Linearized<T> of(bool antialiased) {
    return {options<T>(antialiased)};
  }
};
struct ByLineIntegral {
  template <class T>
  static gsplat::LineIntegral<T> of(bool antialiased) {
    return {options<T>(antialiased)};
  }
};
struct BySigmaPoints {
  template <class T>
  static gsplat::Unscented<T> of(bool antialiased) {
    const double alpha = 0.8, beta = 1.7, kappa = 0.6, spread = alpha * std::sqrt(3 + kappa);
    return {
        options<T>(antialiased),
        {T(spread), T(std::sqrt(0.5) / spread), T(std::sqrt(beta - alpha * alpha)), T(0.1), false, false}};
  }
};

template <class Method, class Model, template <class> class Shape>
Formula project_formula(bool antialiased) {
  return formula(
      [=]<class T>(const ListOf<T>& x) {
        Reader<T> in(x);
        const auto camera = take_camera<Model>(in);
        const auto gaussian = in.template take<Gaussian<T, Shape>>();
        const auto s = Method::template of<T>(antialiased).splat(camera, gaussian);
        return flat<T>(s.mean, s.l11, s.l21, s.l22, s.depth, s.opacity);
      },
      [=](const List& x, const List& v) {
        Reader<double> in(x), out(v);
        const auto camera = take_camera<Model>(in);
        const auto gaussian = in.take<Gaussian<double, Shape>>();
        const auto v_mean = out.take<Vec2<double>>();
        const auto v_root = out.take<Vec3<double>>();
        const double v_depth = out.take(), v_opacity = out.take();
        CameraGrad<double, Model> v_camera = {};
        const auto v_gaussian = Method::template of<double>(antialiased)
                                    .vjp(camera, gaussian, v_mean, v_root, v_depth, v_opacity, v_camera);
        return flat(v_camera, v_gaussian);
      });
}

// What is seen of a surfel, as a function of a pinhole camera and of the surfel.
Formula seen_surfel_formula() {
  using gsplat::SeenSurfel;
  using gsplat::Surfel;
  return formula(
      []<class T>(const ListOf<T>& x) {
        Reader<T> in(x);
        const auto camera = take_camera<gsplat::Pinhole>(in);
        const auto surfel = in.template take<Surfel<T>>();
        return flat<T>(gsplat::seen_surfel(camera, surfel, gsplat::SurfelInCamera<T>(camera, surfel)));
      },
      [](const List& x, const List& v) {
        Reader<double> in(x);
        const auto camera = take_camera<gsplat::Pinhole>(in);
        const auto surfel = in.take<Surfel<double>>();
        CameraGrad<double, gsplat::Pinhole> v_camera = {};
        const auto v_surfel =
            gsplat::seen_surfel_vjp(camera, surfel, Reader<double>(v).take<SeenSurfel<double>>(), v_camera);
        return flat(v_camera, v_surfel);
      });
}

// Inputs: point, then the camera as in take_camera(). By the functions of `Functions`, which are the model's
// own or those that it would have by default.
template <class Functions, class Model>
Formula linearize_formula() {
  return formula(
      []<class T>(const ListOf<T>& x) {
        Reader<T> in(x);
        const auto p = in.template take<Vec3<T>>();
        const auto projection = Functions::linearize(take_camera<Model>(in), p);
        return flat<T>(projection.pixel, projection.jacobian);
      },
      [](const List& x, const List& v) {
        Reader<double> in(x), out(v);
        const auto p = in.take<Vec3<double>>();
        const auto camera = take_camera<Model>(in);
        const auto v_pixel = out.take<Vec2<double>>();
        CameraGrad<double, Model> v_camera = {};
        const auto v_p = Functions::linearize_vjp(camera, p, Functions::linearize(camera, p), v_pixel,
                                                  out.take<Mat23<double>>(), v_camera.params);
        return flat(v_p, v_camera);
      });
}

// Inputs: point, then the model's numbers. Outputs: pixel and depth.
template <class Model>
Formula pixel_formula() {
  return formula(
      []<class T>(const ListOf<T>& x) {
        const auto p = Reader<T>(x).template take<Vec3<T>>();
        return flat<T>(Model::pixel(&x[3], p), Model::depth(p));
      },
      [](const List& x, const List& v) {
        const auto p = Reader<double>(x).take<Vec3<double>>();
        double v_k[Model::kParams];
        auto v_p = Model::pixel_vjp(&x[3], p, Vec2<double>{v[0], v[1]}, v_k);
        Model::add_depth_vjp(p, v[2], v_p);
        return flat(v_p, v_k);
      });
}

template <class Model>
void add_camera(std::map<std::string, Formula>& f, const std::string& name) {
  f["pixel of " + name] = pixel_formula<Model>();
  f["linearize of " + name] = linearize_formula<Model, Model>();
  f["default linearize of " + name] = linearize_formula<gsplat::CameraBase<Model>, Model>();
  for (const bool antialiased : {false, true}) {
    const std::string end = antialiased ? "_antialiased of " + name : " of " + name;
    f["project" + end] = project_formula<ByLinearization, Model, ScaledRotation>(antialiased);
    f["project_covariance" + end] = project_formula<ByLinearization, Model, GivenCovariance>(antialiased);
    f["project_unscented" + end] = project_formula<BySigmaPoints, Model, ScaledRotation>(antialiased);
    f["project_unscented_covariance" + end] =
        project_formula<BySigmaPoints, Model, GivenCovariance>(antialiased);
  }
}

}  // namespace formulas
