// Operator `spherical_harmonics_jvp`: the tangents of view-dependent colours.
#include <torch/csrc/stable/library.h>

#include "cpu/rasterizer_jvp.h"
#include "ops/harmonics_arguments.h"

namespace gsplat::ops {
namespace {

Tensor spherical_harmonics_jvp(int64_t degree, Tensor means, Tensor viewmats, Tensor sh0,
                               std::optional<Tensor> shN, Tensor radii, Tensor colors, Tensor t_means,
                               Tensor t_viewmats, Tensor t_sh0, std::optional<Tensor> t_shN) {
  const HarmonicsArguments a(degree, means, viewmats, sh0, shN, radii);
  const HarmonicsArguments t(degree, t_means, t_viewmats, t_sh0, t_shN, radii);
  const int64_t b = a.inputs.batches, c = a.inputs.cameras, n = a.inputs.gaussians;
  check_tensor(t.sh0, "t_sh0", {b, n, a.sh0.size(2), 3});
  STD_TORCH_CHECK(a.shN.has_value() == t.shN.has_value(),
                  "gsplat_core: argument 't_shN' must be given exactly when 'shN' is");
  if (t.shN.has_value()) check_tensor(*t.shN, "t_shN", {b, n, a.shN->size(2), 3});
  colors = packed(colors);
  check_tensor(colors, "colors", {b, c, n, 3});
  Tensor t_colors = empty_like_device(a.means, {b, c, n, 3});
  GSPLAT_CALL(spherical_harmonics_jvp, a.inputs, t.inputs, floats(colors), mutable_floats(t_colors));
  return t_colors;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "spherical_harmonics_jvp(int degree, Tensor means, Tensor viewmats, Tensor sh0, Tensor? shN, "
      "Tensor radii, Tensor colors, Tensor t_means, Tensor t_viewmats, Tensor t_sh0, Tensor? t_shN) -> "
      "Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("spherical_harmonics_jvp", TORCH_BOX(&spherical_harmonics_jvp));
}

}  // namespace gsplat::ops
