// The formulas of csrc/math in double precision, for Python: each with its value and its derivative on flat
// lists of numbers, so that one test can compare any of them with finite differences.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "math/blending.h"
#include "math/project.h"
#include "math/spherical_harmonics.h"

namespace {

using gsplat::Camera;
using gsplat::CameraGrad;
using gsplat::Covariance2;
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

using List = std::vector<double>;

struct Formula {
  std::function<List(const List&)> value;
  std::function<List(const List&, const List&)> vjp;
};

// Reads numbers one after the other; structs of doubles are read member by member.
class Reader {
public:
  explicit Reader(const List& list) : list_(list) {}
  template <class T>
  T take() {
    T value;
    static_assert(sizeof(T) % sizeof(double) == 0);
    const size_t count = sizeof(T) / sizeof(double);
    if (next_ + count > list_.size()) throw std::runtime_error("too few numbers");
    std::memcpy(static_cast<void*>(&value), &list_[next_], sizeof(T));
    next_ += count;
    return value;
  }

private:
  const List& list_;
  size_t next_ = 0;
};

template <class... T>
List flat(const T&... values) {
  List list;
  const auto append = [&](const auto& value) {
    const double* numbers = reinterpret_cast<const double*>(&value);
    list.insert(list.end(), numbers, numbers + sizeof(value) / sizeof(double));
  };
  (append(values), ...);
  return list;
}

// Rotation (9), translation (3), fx, fy, cx, cy are variables; the image size is not.
Camera<double> take_camera(Reader& in) {
  Camera<double> camera;
  camera.rotation = in.take<Mat3<double>>();
  camera.translation = in.take<Vec3<double>>();
  camera.fx = in.take<double>();
  camera.fy = in.take<double>();
  camera.cx = in.take<double>();
  camera.cy = in.take<double>();
  camera.width = 96;
  camera.height = 64;
  return camera;
}

CameraGrad<double> zero_camera_grad() { return {{{{0, 0, 0}, {0, 0, 0}, {0, 0, 0}}}, {0, 0, 0}, 0, 0, 0, 0}; }

template <template <class> class Shape>
Formula project_formula(bool antialiased) {
  const gsplat::ProjectOptions<double> options = {0.3, 0.01, 1e10, 0.0, antialiased};
  return {[=](const List& x) {
            Reader in(x);
            const Camera<double> camera = take_camera(in);
            const auto s = gsplat::project(camera, in.take<Gaussian<double, Shape>>(), options);
            return flat(s.mean, s.l11, s.l21, s.l22, s.depth, s.opacity);
          },
          [=](const List& x, const List& v) {
            Reader in(x), out(v);
            const Camera<double> camera = take_camera(in);
            const auto gaussian = in.take<Gaussian<double, Shape>>();
            const auto v_mean = out.take<Vec2<double>>();
            const auto v_root = out.take<Vec3<double>>();
            const double v_depth = out.take<double>(), v_opacity = out.take<double>();
            CameraGrad<double> v_camera = zero_camera_grad();
            const auto v_gaussian =
                gsplat::project_vjp(camera, gaussian, options, v_mean, v_root, v_depth, v_opacity, v_camera);
            return flat(v_camera, v_gaussian);
          }};
}

Formula sh_formula(int degree) {
  const int bases = gsplat::sh_bases(degree);
  return {[=](const List& x) {
            List b(bases);
            Reader in(x);
            gsplat::sh_basis(degree, in.take<Vec3<double>>(), b.data());
            return b;
          },
          [=](const List& x, const List& v) {
            Reader in(x);
            return flat(gsplat::sh_basis_vjp(degree, in.take<Vec3<double>>(), v.data()));
          }};
}

// One splat over a column of pixels with the same dx: sum_j c_j alpha_j as a function of mean, root, opacity.
Formula response_formula() {
  static const double dys[3] = {-1.3, 0.4, 2.1}, weights[3] = {0.7, -0.4, 1.1};
  const double dx = 0.8;
  const auto shape_of = [](const List& x) {
    return gsplat::SplatShape<double>{x[2] * gsplat::kRootScale, x[3] * gsplat::kRootScale,
                                      x[4] * gsplat::kRootScale, gsplat::log2(x[5])};
  };
  return {[=](const List& x) {
            double sum = 0;
            for (int j = 0; j < 3; ++j) {
              sum += weights[j] * gsplat::exp2(gsplat::response(shape_of(x), dx - x[0], dys[j] - x[1]).power);
            }
            return List{sum};
          },
          [=](const List& x, const List& v) {
            auto column = gsplat::ColumnMoments<double>::zero();
            for (int j = 0; j < 3; ++j) {
              const auto at = gsplat::response(shape_of(x), dx - x[0], dys[j] - x[1]);
              column.add(v[0] * weights[j] * gsplat::exp2(at.power), at.u, dys[j] - x[1]);
            }
            const gsplat::Moments<double> moments = {
                column.e, column.eu, column.ey, column.eu * (dx - x[0]), column.euy, column.eyy};
            return flat(gsplat::splat_vjp(moments, x[2], x[3], x[4], x[5]));
          }};
}

// A pixel that blends x.size() / 2 splats: inputs alpha_i and payload c_i, output sum_i w_i c_i.
Formula blending_formula() {
  return {[](const List& x) {
            double t = 1, sum = 0;
            for (size_t i = 0; i < x.size(); i += 2) {
              sum += t * x[i] * x[i + 1];
              t = gsplat::transmittance_behind(t, x[i]);
            }
            return List{sum};
          },
          [](const List& x, const List& v) {
            double t = 1, behind = 0;
            for (size_t i = 0; i < x.size(); i += 2) {
              behind += t * x[i] * x[i + 1] * v[0];
              t = gsplat::transmittance_behind(t, x[i]);
            }
            List grad(x.size());
            t = 1;
            for (size_t i = 0; i < x.size(); i += 2) {
              const double g = x[i + 1] * v[0], w = t * x[i];
              behind -= w * g;
              grad[i] = gsplat::alpha_vjp(t, x[i], g, behind);
              grad[i + 1] = w * v[0];
              t = gsplat::transmittance_behind(t, x[i]);
            }
            return grad;
          }};
}

std::map<std::string, Formula> formulas() {
  std::map<std::string, Formula> f;
  f["rotation_matrix"] = {
      [](const List& x) { return flat(gsplat::rotation_matrix(Reader(x).take<Quaternion<double>>())); },
      [](const List& x, const List& v) {
        return flat(gsplat::rotation_matrix_vjp(Reader(x).take<Quaternion<double>>(),
                                                Reader(v).take<Mat3<double>>()));
      }};
  f["unit_direction"] = {
      [](const List& x) { return flat(gsplat::unit_direction(Reader(x).take<Vec3<double>>())); },
      [](const List& x, const List& v) {
        return flat(
            gsplat::unit_direction_vjp(Reader(x).take<Vec3<double>>(), Reader(v).take<Vec3<double>>()));
      }};
  f["covariance_of_factor"] = {
      [](const List& x) { return flat(gsplat::covariance_of_factor(Reader(x).take<Mat23<double>>())); },
      [](const List& x, const List& v) {
        return flat(gsplat::covariance_of_factor_vjp(Reader(x).take<Mat23<double>>(),
                                                     Reader(v).take<Covariance2<double>>()));
      }};
  f["covariance_of_sigma"] = {[](const List& x) {
                                Reader in(x);
                                const auto a = in.take<Mat23<double>>();
                                return flat(gsplat::covariance_of_sigma(a, in.take<Sym3<double>>()));
                              },
                              [](const List& x, const List& v) {
                                Reader in(x);
                                const auto a = in.take<Mat23<double>>();
                                Sym3<double> v_sigma;
                                const auto v_a = gsplat::covariance_of_sigma_vjp(
                                    a, in.take<Sym3<double>>(), Reader(v).take<Covariance2<double>>(),
                                    v_sigma);
                                return flat(v_a, v_sigma);
                              }};
  f["screen_filter"] = {[](const List& x) {
                          const auto p = gsplat::screen_filter(Reader(x).take<Covariance2<double>>(), 0.3);
                          return flat(p.l11, p.l21, p.l22, p.compensation);
                        },
                        [](const List& x, const List& v) {
                          const auto c = Reader(x).take<Covariance2<double>>();
                          return flat(gsplat::screen_filter_vjp(c, gsplat::screen_filter(c, 0.3), 0.3,
                                                                {v[0], v[1], v[2]}, v[3]));
                        }};
  // Inputs: point, then the camera as in take_camera().
  f["project_pinhole"] = {[](const List& x) {
                            Reader in(x);
                            const auto p = in.take<Vec3<double>>();
                            const auto projection = gsplat::project_pinhole(take_camera(in), p);
                            return flat(projection.pixel, projection.jacobian);
                          },
                          [](const List& x, const List& v) {
                            Reader in(x), out(v);
                            const auto p = in.take<Vec3<double>>();
                            const Camera<double> camera = take_camera(in);
                            const auto v_pixel = out.take<Vec2<double>>();
                            CameraGrad<double> v_camera = zero_camera_grad();
                            const auto v_p =
                                gsplat::project_pinhole_vjp(camera, p, gsplat::project_pinhole(camera, p),
                                                            v_pixel, out.take<Mat23<double>>(), v_camera);
                            return flat(v_p, v_camera);
                          }};
  f["camera_centre"] = {[](const List& x) {
                          Reader in(x);
                          const auto rotation = in.take<Mat3<double>>();
                          return flat(gsplat::camera_centre(rotation, in.take<Vec3<double>>()));
                        },
                        [](const List& x, const List& v) {
                          Reader in(x);
                          const auto rotation = in.take<Mat3<double>>();
                          const auto translation = in.take<Vec3<double>>();
                          Mat3<double> v_rotation;
                          Vec3<double> v_translation;
                          gsplat::camera_centre_vjp(rotation, translation, Reader(v).take<Vec3<double>>(),
                                                    v_rotation, v_translation);
                          return flat(v_rotation, v_translation);
                        }};
  f["project"] = project_formula<ScaledRotation>(false);
  f["project_antialiased"] = project_formula<ScaledRotation>(true);
  f["project_covariance"] = project_formula<GivenCovariance>(false);
  f["project_covariance_antialiased"] = project_formula<GivenCovariance>(true);
  for (int degree = 0; degree <= gsplat::kMaxShDegree; ++degree) {
    f["sh_basis_" + std::to_string(degree)] = sh_formula(degree);
  }
  f["response"] = response_formula();
  f["blending"] = blending_formula();
  return f;
}

}  // namespace

PYBIND11_MODULE(formulas, m) {
  static const std::map<std::string, Formula> all = formulas();
  m.def("names", [] {
    std::vector<std::string> names;
    for (const auto& entry : all) names.push_back(entry.first);
    return names;
  });
  m.def("value", [](const std::string& name, const List& x) { return all.at(name).value(x); });
  m.def("vjp", [](const std::string& name, const List& x, const List& v) { return all.at(name).vjp(x, v); });
  // The elementary functions in the precision in which the kernels use them.
  m.def("exp2", [](float x) { return gsplat::exp2(x); });
  m.def("exp2_where", [](bool mask, float x) { return gsplat::exp2_where<float>(mask, x); });
  m.def("log2", [](float x) { return gsplat::log2(x); });
}
