// The formulas of csrc/math in double precision, for Python (tests/formulas.py): each with its value and its
// derivatives on flat lists of numbers, so that one test can compare any of them with finite differences.
#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>

#include "formulas/blending.h"
#include "formulas/lists.h"
#include "formulas/projection.h"
#include "formulas/rays.h"
#include "formulas/responses.h"
#include "formulas/rows.h"
#include "math/activations.h"
#include "math/ellipse.h"

namespace formulas {

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

std::map<std::string, Formula> table() {
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
  static const auto all = table();
  return all;
}

const ResponseFunctions& response(const char* name) {
  static const auto all = all_response_functions();
  return all.at(name);
}

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

}  // namespace formulas
