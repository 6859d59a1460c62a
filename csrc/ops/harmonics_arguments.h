// The arguments that the spherical-harmonics operators share, checked and packed.
#pragma once

#include <optional>

#include "math/spherical_harmonics.h"
#include "ops/checks.h"
#include "raster/types.h"

namespace gsplat::ops {

// Coefficients, directions and visibility; keeps the packed copies alive that `inputs` points to.
struct HarmonicsArguments {
  Tensor means, viewmats, sh0, radii;
  std::optional<Tensor> shN;
  ShInputs inputs;

  HarmonicsArguments(int64_t degree, const Tensor& means_, const Tensor& viewmats_, const Tensor& sh0_,
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
    check_same_device(
        {{"means", means}, {"viewmats", viewmats}, {"sh0", sh0}, {"shN", shN}, {"radii", radii}});
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

}  // namespace gsplat::ops
