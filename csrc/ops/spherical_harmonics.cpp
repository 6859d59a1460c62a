// Operators `spherical_harmonics` and `spherical_harmonics_backward`: view-dependent colours.
#include "math/spherical_harmonics.h"

#include <torch/csrc/stable/library.h>

#include <tuple>

#include "cpu/rasterizer.h"
#include "ops/checks.h"

namespace gsplat::ops {
namespace {

// The arguments shared by both passes, checked and packed; keeps the packed copies alive.
struct Arguments {
  Tensor means, viewmats, sh0, radii;
  std::optional<Tensor> shN;
  ShInputs inputs;

  Arguments(int64_t degree, const Tensor& means_, const Tensor& viewmats_, const Tensor& sh0_,
            const std::optional<Tensor>& shN_, const Tensor& radii_)
      : means(packed(means_)),
        viewmats(packed(viewmats_)),
        sh0(packed(sh0_)),
        radii(packed(radii_)),
        shN(packed(shN_)) {
    STD_TORCH_CHECK(degree >= 0 && degree <= kMaxShDegree,
                    "gsplat_core: argument 'degree' must be between 0 and ", kMaxShDegree, ", got ", degree);
    check_tensor(means, "means", {kAny, kAny, 3});
    const int64_t b = means.size(0), n = means.size(1);
    check_tensor(viewmats, "viewmats", {b, kAny, 4, 4});
    const int64_t c = viewmats.size(1);
    check_tensor(sh0, "sh0", {b, n, kAny, 3});
    if (shN.has_value()) {
      check_tensor(*shN, "shN", {b, n, kAny, 3});
      STD_TORCH_CHECK(sh0.size(2) == 1,
                      "gsplat_core: argument 'sh0' must hold one coefficient when 'shN' is given, got ",
                      sh0.size(2));
    }
    check_tensor(radii, "radii", {b, c, n, 2}, ScalarType::Int);
    const int64_t bases = sh0.size(2) + (shN.has_value() ? shN->size(2) : 0);
    STD_TORCH_CHECK(bases >= sh_bases(static_cast<int>(degree)), "gsplat_core: degree ", degree, " needs ",
                    sh_bases(static_cast<int>(degree)), " spherical-harmonics coefficients, got ", bases);
    const int64_t first_stride = 3 * sh0.size(2);
    inputs = {static_cast<int>(degree),
              static_cast<int>(bases),
              b,
              c,
              n,
              floats(means),
              floats(viewmats),
              floats(sh0),
              shN.has_value() ? floats(*shN) : floats(sh0) + 3,
              first_stride,
              shN.has_value() ? 3 * shN->size(2) : first_stride,
              ints(radii)};
  }
};

Tensor spherical_harmonics(int64_t degree, Tensor means, Tensor viewmats, Tensor sh0,
                           std::optional<Tensor> shN, Tensor radii) {
  const Arguments a(degree, means, viewmats, sh0, shN, radii);
  Tensor colors = empty_like_device(a.means, {a.inputs.batches, a.inputs.cameras, a.inputs.gaussians, 3});
  GSPLAT_CALL(spherical_harmonics, a.inputs, mutable_floats(colors));
  return colors;
}

std::tuple<Tensor, Tensor, Tensor, Tensor> spherical_harmonics_backward(int64_t degree, Tensor means,
                                                                        Tensor viewmats, Tensor sh0,
                                                                        std::optional<Tensor> shN,
                                                                        Tensor radii, Tensor colors,
                                                                        Tensor v_colors, bool needs_camera) {
  const Arguments a(degree, means, viewmats, sh0, shN, radii);
  const int64_t b = a.inputs.batches, c = a.inputs.cameras, n = a.inputs.gaussians;
  colors = packed(colors);
  v_colors = packed(v_colors);
  check_tensor(colors, "colors", {b, c, n, 3});
  check_tensor(v_colors, "v_colors", {b, c, n, 3});
  Tensor v_means = empty_like_device(a.means, {b, n, 3});
  Tensor v_viewmats = needs_camera ? empty_like_device(a.means, {b, c, 4, 4}) : absent(a.means);
  Tensor v_sh0 = empty_like_device(a.means, {b, n, a.sh0.size(2), 3});
  Tensor v_shN = a.shN.has_value() ? empty_like_device(a.means, {b, n, a.shN->size(2), 3}) : absent(a.means);
  const ShGrads out = {mutable_floats(v_means), needs_camera ? mutable_floats(v_viewmats) : nullptr,
                       mutable_floats(v_sh0),
                       a.shN.has_value() ? mutable_floats(v_shN) : mutable_floats(v_sh0) + 3};
  GSPLAT_CALL(spherical_harmonics_backward, a.inputs, floats(colors), floats(v_colors), out);
  return {v_means, v_viewmats, v_sh0, v_shN};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "spherical_harmonics(int degree, Tensor means, Tensor viewmats, Tensor sh0, Tensor? shN, Tensor radii) "
      "-> "
      "Tensor");
  m.def(
      "spherical_harmonics_backward(int degree, Tensor means, Tensor viewmats, Tensor sh0, Tensor? shN, "
      "Tensor radii, "
      "Tensor colors, Tensor v_colors, bool needs_camera) -> (Tensor, Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("spherical_harmonics", TORCH_BOX(&spherical_harmonics));
  m.impl("spherical_harmonics_backward", TORCH_BOX(&spherical_harmonics_backward));
}

}  // namespace gsplat::ops
