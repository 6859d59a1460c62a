// Operator `spherical_harmonics_jvp`: the tangents of view-dependent colours. `Kernels` are those of a
// device.
#pragma once

#include <optional>

#include "ops/harmonics_arguments.h"

namespace gsplat::ops {

template <class Kernels>
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
  check_same_device({{"means", a.means}, {"t_means", t.means}, {"colors", colors}});
  colors = packed(colors);
  check_tensor(colors, "colors", {b, c, n, 3});
  Tensor t_colors = empty_like_device(a.means, {b, c, n, 3});
  Kernels::spherical_harmonics_jvp(a.means, a.inputs, t.inputs, floats(colors), mutable_floats(t_colors));
  return t_colors;
}

}  // namespace gsplat::ops
