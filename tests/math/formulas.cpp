// The formulas of csrc/math in double precision, for Python (tests/formulas.py): each with its value and its
// derivatives on flat lists of numbers, so that one test can compare any of them with finite differences.
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "math/activations.h"
#include "math/anchors.h"
#include "math/compositor/over.h"
#include "math/directional.h"
#include "math/dual.h"
#include "math/ellipse.h"
#include "math/ellipsoid.h"
#include "math/gauss_newton.h"
#include "math/line_integral.h"
#include "math/projection_methods.h"
#include "math/spherical_harmonics.h"
#include "math/surfel_projection.h"
#include "raster/camera_models.h"
#include "raster/variants.h"

namespace {

using gsplat::Camera;
using gsplat::CameraGrad;
using gsplat::Covariance2;
using gsplat::Dual;
using gsplat::Gaussian;
using gsplat::GivenCovariance;
using gsplat::Mat23;
using gsplat::Mat3;
using gsplat::Quaternion;
using gsplat::ScaledRotation;
using gsplat::Sym2;
using gsplat::Sym3;
using gsplat::Vec2;
using gsplat::Vec3;

template <class T>
using ListOf = std::vector<T>;
using List = ListOf<double>;

// Reads numbers one after the other; structs of T are read member by member.
template <class T>
class Reader {
public:
  explicit Reader(const ListOf<T>& list) : list_(list) {}
  template <class Value = T>
  Value take() {
    Value value;
    static_assert(sizeof(Value) % sizeof(T) == 0);
    const size_t count = sizeof(Value) / sizeof(T);
    if (next_ + count > list_.size()) throw std::runtime_error("too few numbers");
    std::memcpy(static_cast<void*>(&value), &list_[next_], sizeof(Value));
    next_ += count;
    return value;
  }

private:
  const ListOf<T>& list_;
  size_t next_ = 0;
};

template <class T = double, class... Value>
ListOf<T> flat(const Value&... values) {
  ListOf<T> list;
  const auto append = [&](const auto& value) {
    const T* numbers = reinterpret_cast<const T*>(&value);
    list.insert(list.end(), numbers, numbers + sizeof(value) / sizeof(T));
  };
  (append(values), ...);
  return list;
}

struct Formula {
  std::function<List(const List&)> value;
  std::function<List(const List&, const List&)> jvp, vjp;
};

// `value` is generic: a function template of ListOf<T>. Its jvp is itself with dual numbers.
template <class Value>
Formula formula(Value value, std::function<List(const List&, const List&)> vjp) {
  return {[=](const List& x) { return value(x); },
          [=](const List& x, const List& tangents) {
            ListOf<Dual<double>> dual(x.size());
            for (size_t i = 0; i < x.size(); ++i) dual[i] = {x[i], tangents[i]};
            List out;
            for (const auto& y : value(dual)) out.push_back(y.tangent);
            return out;
          },
          vjp};
}

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

// A Gaussian of a radiative field: its sum over some voxels, with weights.
Formula voxel_formula() {
  struct Voxel {
    double x, y, z, weight;
  };
  static constexpr Voxel kVoxels[] = {
      {0.3, 0.1, -0.2, 1.3}, {-0.1, 0.4, 0.2, -0.7}, {0.2, -0.3, 0.5, 0.4}, {-0.4, -0.2, -0.3, 0.9}};
  static constexpr double kSpacing[] = {0.2, 0.3, 0.25};
  const auto visit = []<class T>(const Gaussian<T, ScaledRotation>& g, auto&& add) {
    const Vec3<T> spacing = {T(kSpacing[0]), T(kSpacing[1]), T(kSpacing[2])};
    const auto e = gsplat::ellipsoid(g, {T(-1.0), T(-1.0), T(-1.0)}, spacing, gsplat::log2(g.opacity));
    for (const Voxel& voxel : kVoxels) {
      const T dx = T((voxel.x + 1) / kSpacing[0]) - e.mean.x, dy = T((voxel.y + 1) / kSpacing[1]) - e.mean.y;
      const T dz = T((voxel.z + 1) / kSpacing[2]) - e.mean.z;
      const T u = e.zz * dz + e.zy * dy + e.zx * dx, v = e.yy * dy + e.yx * dx, w = e.xx * dx;
      add(u, v, w, T(voxel.weight) * gsplat::exp2(e.log2_opacity - u * u - v * v - w * w));
    }
  };
  return formula(
      [=]<class T>(const ListOf<T>& x) {
        T sum(0.0);
        visit(Reader<T>(x).template take<Gaussian<T, ScaledRotation>>(),
              [&](const T&, const T&, const T&, const T& value) { sum = sum + value; });
        return flat<T>(sum);
      },
      [=](const List& x, const List& v_sum) {
        const auto g = Reader<double>(x).take<Gaussian<double, ScaledRotation>>();
        gsplat::EllipsoidMoments<double> m = {};
        visit(g, [&](double u, double v, double w, double value) {
          const double e = v_sum[0] * value;
          m.e += e;
          m.eu += e * u;
          m.ev += e * v;
          m.ew += e * w;
          m.euu += e * u * u;
          m.euv += e * u * v;
          m.euw += e * u * w;
          m.evv += e * v * v;
          m.evw += e * v * w;
          m.eww += e * w * w;
        });
        return flat(gsplat::ellipsoid_vjp(g, m));
      });
}

Formula sh_formula(int degree) {
  return formula(
      [=]<class T>(const ListOf<T>& x) {
        ListOf<T> b(gsplat::sh_bases(degree));
        gsplat::sh_basis(degree, Reader<T>(x).template take<Vec3<T>>(), b.data());
        return b;
      },
      [=](const List& x, const List& v) {
        return flat(gsplat::sh_basis_vjp(degree, Reader(x).take<Vec3<double>>(), v.data()));
      });
}

template <class T>
gsplat::SplatShape<T> shape_of(const ListOf<T>& x) {
  const T scale(gsplat::kRootScale);
  return {x[2] * scale, x[3] * scale, x[4] * scale, gsplat::log2(x[5])};
}

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

// The Gaussian and the camera's centre are variables; the place matters through the direction alone.
Formula directional_formula() {
  static const double falloff = 0.35;
  return formula(
      []<class T>(const ListOf<T>& x) {
        Reader<T> in(x);
        const auto g = in.template take<gsplat::DirectionalGaussian<T>>();
        const auto slice = gsplat::directional_slice(g, in.template take<Vec3<T>>(), T(falloff));
        return flat<T>(slice.shift, slice.factor);
      },
      [](const List& x, const List& v) {
        Reader<double> in(x), out(v);
        const auto g = in.take<gsplat::DirectionalGaussian<double>>();
        const auto centre = in.take<Vec3<double>>(), v_shift = out.take<Vec3<double>>();
        double factor;
        const auto v_g = gsplat::directional_slice_vjp(g, centre, falloff, v_shift, out.take(), factor);
        return flat(v_g, -1.0 * v_g.place);
      });
}

// The frame is a constant: a rotation whose matrix is not symmetric.
template <class T>
gsplat::DecoderFrame<T> decoder_frame() {
  const Quaternion<double> q = {0.5, -0.1, 0.7, 0.5};
  const Mat3<double> rotation = gsplat::rotation_matrix(q),
                     inverse = gsplat::rotation_matrix(Quaternion<double>{q.w, -q.x, -q.y, -q.z});
  const Quaternion<double> turn = gsplat::quaternion_of(inverse);
  gsplat::DecoderFrame<T> frame;
  for (int i = 0; i < 9; ++i) frame.rotation.m[i / 3][i % 3] = T(rotation.m[i / 3][i % 3]);
  frame.inverse = {T(turn.w), T(turn.x), T(turn.y), T(turn.z)};
  return frame;
}

Formula decoded_splat_formula() {
  return formula(
      []<class T>(const ListOf<T>& x) {
        Reader<T> in(x);
        const auto anchor = in.template take<gsplat::Anchor<T>>();
        return flat<T>(
            gsplat::decode_splat(decoder_frame<T>(), anchor, in.template take<gsplat::EncodedSplat<T>>()));
      },
      [](const List& x, const List& v) {
        Reader<double> in(x), out(v);
        const auto anchor = in.take<gsplat::Anchor<double>>();
        const auto splat = in.take<gsplat::EncodedSplat<double>>();
        gsplat::Anchor<double> v_anchor = {};
        const auto v_splat = gsplat::decode_splat_vjp(decoder_frame<double>(), anchor, splat,
                                                      out.take<gsplat::DecodedSplat<double>>(), v_anchor);
        return flat(v_anchor, v_splat);
      });
}

Formula anchor_direction_formula() {
  return formula(
      []<class T>(const ListOf<T>& x) {
        return flat<T>(gsplat::anchor_direction(decoder_frame<T>(), Reader<T>(x).template take<Vec3<T>>()));
      },
      [](const List& x, const List& v) {
        const auto from_camera = Reader<double>(x).take<Vec3<double>>(),
                   along = Reader<double>(v).take<Vec3<double>>();
        return flat(gsplat::anchor_direction_vjp(decoder_frame<double>(), from_camera, along));
      });
}

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

// A pixel that blends x.size() / 2 splats: inputs alpha_i and payload c_i, output sum_i w_i c_i. The
// derivative by alpha directly, or by its logarithm.
template <class Compositor>
Formula blending_formula(bool by_logarithm) {
  return formula(
      []<class T>(const ListOf<T>& x) {
        T t(1.0), sum(0.0);
        for (size_t i = 0; i < x.size(); i += 2) {
          sum = sum + t * x[i] * x[i + 1];
          t = Compositor::behind(t, x[i]);
        }
        return ListOf<T>{sum};
      },
      [=](const List& x, const List& v) {
        double t = 1, behind = 0;
        for (size_t i = 0; i < x.size(); i += 2) {
          behind += t * x[i] * x[i + 1] * v[0];
          t = Compositor::behind(t, x[i]);
        }
        List grad(x.size());
        t = 1;
        for (size_t i = 0; i < x.size(); i += 2) {
          const double g = x[i + 1] * v[0], w = t * x[i];
          behind -= w * g;
          grad[i] = by_logarithm ? Compositor::log_alpha_vjp(w * g, x[i], behind) / x[i]
                                 : Compositor::alpha_vjp(t, x[i], g, behind);
          grad[i + 1] = w * v[0];
          t = Compositor::behind(t, x[i]);
        }
        return grad;
      });
}

// A formula of one struct, whose value and vjp take nothing else.
#define GSPLAT_TEST_UNARY(function, Input, Output)                                                      \
  f[#function] = formula(                                                                               \
      []<class T>(const ListOf<T>& x) {                                                                 \
        return flat<T>(gsplat::function(Reader<T>(x).template take<Input<T>>()));                       \
      },                                                                                                \
      [](const List& x, const List& v) {                                                                \
        return flat(                                                                                    \
            gsplat::function##_vjp(Reader(x).take<Input<double>>(), Reader(v).take<Output<double>>())); \
      })

std::map<std::string, Formula> formulas() {
  std::map<std::string, Formula> f;
  GSPLAT_TEST_UNARY(rotation_matrix, Quaternion, Mat3);
  GSPLAT_TEST_UNARY(unit_direction, Vec3, Vec3);
  GSPLAT_TEST_UNARY(covariance_of_factor, Mat23, Covariance2);
  f["covariance_of_sigma"] = formula(
      []<class T>(const ListOf<T>& x) {
        Reader<T> in(x);
        const auto a = in.template take<Mat23<T>>();
        return flat<T>(gsplat::covariance_of_sigma(a, in.template take<Sym3<T>>()));
      },
      [](const List& x, const List& v) {
        Reader in(x);
        const auto a = in.take<Mat23<double>>();
        Sym3<double> v_sigma;
        const auto v_a = gsplat::covariance_of_sigma_vjp(a, in.take<Sym3<double>>(),
                                                         Reader(v).take<Covariance2<double>>(), v_sigma);
        return flat(v_a, v_sigma);
      });
  f["directional_slice"] = directional_formula();
  f["decoded_splat"] = decoded_splat_formula();
  f["anchor_direction"] = anchor_direction_formula();
  f["seen_surfel"] = seen_surfel_formula();
  f["line_integral of cone"] = project_formula<ByLineIntegral, gsplat::Pinhole, ScaledRotation>(false);
  f["line_integral of parallel"] =
      project_formula<ByLineIntegral, gsplat::ParallelBeam, ScaledRotation>(false);
  f["voxels"] = voxel_formula();
  f["screen_filter"] = formula(
      []<class T>(const ListOf<T>& x) {
        const auto p = gsplat::screen_filter(Reader<T>(x).template take<Covariance2<T>>(), T(0.3));
        return flat<T>(p.l11, p.l21, p.l22, p.compensation);
      },
      [](const List& x, const List& v) {
        const auto c = Reader(x).take<Covariance2<double>>();
        return flat(
            gsplat::screen_filter_vjp(c, gsplat::screen_filter(c, 0.3), 0.3, {v[0], v[1], v[2]}, v[3]));
      });
  f["camera_centre"] = formula(
      []<class T>(const ListOf<T>& x) {
        Reader<T> in(x);
        const auto rotation = in.template take<Mat3<T>>();
        return flat<T>(gsplat::camera_centre(rotation, in.template take<Vec3<T>>()));
      },
      [](const List& x, const List& v) {
        Reader in(x);
        const auto rotation = in.take<Mat3<double>>();
        const auto translation = in.take<Vec3<double>>();
        Mat3<double> v_rotation;
        Vec3<double> v_translation;
        gsplat::camera_centre_vjp(rotation, translation, Reader(v).take<Vec3<double>>(), v_rotation,
                                  v_translation);
        return flat(v_rotation, v_translation);
      });
#define GSPLAT_TEST_CAMERA(name, Model) add_camera<gsplat::Model>(f, #name);
  GSPLAT_CAMERAS(GSPLAT_TEST_CAMERA)
  for (int degree = 0; degree <= gsplat::kMaxShDegree; ++degree) {
    f["sh_basis_" + std::to_string(degree)] = sh_formula(degree);
  }
  // Of one number each: the same product forward and backward.
  const auto scale_change = [](const List& x, const List& v) {
    return List{gsplat::scale_of_logarithm_vjp(gsplat::scale_of_logarithm(x[0]), v[0])};
  };
  f["scale_of_logarithm"] = {[](const List& x) { return List{gsplat::scale_of_logarithm(x[0])}; },
                             scale_change, scale_change};
  const auto opacity_change = [](const List& x, const List& v) {
    return List{gsplat::opacity_of_logit_vjp(gsplat::opacity_of_logit(x[0]), v[0])};
  };
  f["opacity_of_logit"] = {[](const List& x) { return List{gsplat::opacity_of_logit(x[0])}; }, opacity_change,
                           opacity_change};
#define GSPLAT_ADD(name, type) add_response<gsplat::type>(f, "response_" #name);
  GSPLAT_RESPONSES(GSPLAT_ADD)
#undef GSPLAT_ADD
  f["log_alpha_change"] = log_alpha_formula();
#define GSPLAT_ADD(name, type)                                  \
  f["blending_" #name] = blending_formula<gsplat::type>(false); \
  f["blending_" #name "_by_logarithm"] = blending_formula<gsplat::type>(true);
  GSPLAT_COMPOSITORS(GSPLAT_ADD)
#undef GSPLAT_ADD
  return f;
}

const std::map<std::string, Formula>& all_formulas() {
  static const auto all = formulas();
  return all;
}

const ResponseFunctions& response(const char* name) {
  static const auto all = all_response_functions();
  return all.at(name);
}

}  // namespace

extern "C" {

// One on each line.
const char* formula_names() {
  static const std::string names = [] {
    std::string list;
    for (const auto& entry : all_formulas()) list += (list.empty() ? "" : "\n") + entry.first;
    return list;
  }();
  return names.c_str();
}

// Writes the value (which = 0), the jvp (1) or the vjp (2) and returns how many numbers that is, or -1 where
// there is no such formula, or none of so few numbers.
int formula(const char* name, int which, const double* x, int count, const double* by, int by_count,
            double* out) {
  const auto found = all_formulas().find(name);
  if (found == all_formulas().end()) return -1;
  const List numbers(x, x + count), others(by, by + by_count);
  try {
    const Formula& f = found->second;
    const List result = which == 0 ? f.value(numbers) : (which == 1 ? f.jvp : f.vjp)(numbers, others);
    std::copy(result.begin(), result.end(), out);
    return static_cast<int>(result.size());
  } catch (const std::runtime_error&) {
    return -1;
  }
}

// One on each line, behind a q if its logarithm is quadratic, behind a blank if not.
const char* response_names() {
  static const std::string names = [] {
    std::string list;
    for (const auto& entry : all_response_functions()) {
      list += (list.empty() ? "" : "\n") + std::string(entry.second.quadratic ? "q" : " ") + entry.first;
    }
    return list;
  }();
  return names.c_str();
}

double alpha(const char* name, double u, double v, double opacity, const double* extras, int count) {
  return response(name).alpha(u, v, opacity, List(extras, extras + count));
}

double level(const char* name, double opacity, const double* extras, int count) {
  return response(name).level(opacity, List(extras, extras + count));
}

// The elementary functions in the precision in which the kernels use them.
float exp_float(float x) { return gsplat::exp(x); }
float exp2_float(float x) { return gsplat::exp2(x); }
float exp2_where_float(bool mask, float x) { return gsplat::exp2_where<float>(mask, x); }
float log2_float(float x) { return gsplat::log2(x); }
float atan2_float(float y, float x) { return gsplat::atan2(y, x); }
void cos_sin_of_turns_float(float x, float* out) { gsplat::cos_sin_of_turns(x, out[0], out[1]); }

}  // extern "C"
