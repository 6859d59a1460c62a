// Operators `spherical_harmonics` and `spherical_harmonics_backward`: view-dependent colours. `Kernels` are
// those of a device.
#pragma once

#include <optional>
#include <tuple>

#include "ops/harmonics_arguments.h"

namespace gsplat::ops {

template <class Kernels>
Tensor spherical_harmonics(int64_t degree, Tensor means, Tensor viewmats, Tensor sh0,
                           std::optional<Tensor> shN, Tensor radii) {
  const HarmonicsArguments a(degree, means, viewmats, sh0, shN, radii);
  Tensor colors = empty_like_device(a.means, {a.inputs.batches, a.inputs.cameras, a.inputs.gaussians, 3});
  Kernels::spherical_harmonics(a.means, a.inputs, mutable_floats(colors));
  return colors;
}

// Packs and checks the colours of the forward pass and their gradients.
inline void check_colors(const HarmonicsArguments& a, Tensor& colors, Tensor& v_colors) {
  const int64_t b = a.inputs.batches, c = a.inputs.cameras, n = a.inputs.gaussians;
  colors = packed(colors);
  v_colors = packed(v_colors);
  check_tensor(colors, "colors", {b, c, n, 3});
  check_tensor(v_colors, "v_colors", {b, c, n, 3});
  check_same_device({{"means", a.means}, {"colors", colors}, {"v_colors", v_colors}});
}

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor> spherical_harmonics_backward(int64_t degree, Tensor means,
                                                                        Tensor viewmats, Tensor sh0,
                                                                        std::optional<Tensor> shN,
                                                                        Tensor radii, Tensor colors,
                                                                        Tensor v_colors, bool needs_camera) {
  const HarmonicsArguments a(degree, means, viewmats, sh0, shN, radii);
  const int64_t b = a.inputs.batches, c = a.inputs.cameras, n = a.inputs.gaussians;
  check_colors(a, colors, v_colors);
  Tensor v_means = empty_like_device(a.means, {b, n, 3});
  Tensor v_viewmats = needs_camera ? empty_like_device(a.means, {b, c, 4, 4}) : absent(a.means);
  Tensor v_sh0 = empty_like_device(a.means, {b, n, a.sh0.size(2), 3});
  Tensor v_shN = a.shN.has_value() ? empty_like_device(a.means, {b, n, a.shN->size(2), 3}) : absent(a.means);
  const ShGrads out = {mutable_floats(v_means), needs_camera ? mutable_floats(v_viewmats) : nullptr,
                       mutable_floats(v_sh0),
                       a.shN.has_value() ? mutable_floats(v_shN) : mutable_floats(v_sh0) + 3};
  Kernels::spherical_harmonics_backward(a.means, a.inputs, floats(colors), floats(v_colors), out);
  return {v_means, v_viewmats, v_sh0, v_shN};
}

}  // namespace gsplat::ops
