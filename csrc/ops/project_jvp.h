// Operator `project_jvp`: the tangents of splats from the tangents of Gaussians and cameras. `Kernels` are
// those of a device.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "ops/project_arguments.h"
#include "raster/tangents.h"

namespace gsplat::ops {

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor> project_jvp(
    Tensor means, std::optional<Tensor> quats, std::optional<Tensor> scales, std::optional<Tensor> covars,
    Tensor opacities, Tensor viewmats, Tensor Ks, std::optional<Tensor> lens, std::string camera,
    int64_t width, int64_t height, std::vector<double> settings, Tensor radii, Tensor t_means,
    std::optional<Tensor> t_quats, std::optional<Tensor> t_scales, std::optional<Tensor> t_covars,
    Tensor t_opacities, Tensor t_viewmats, Tensor t_Ks, std::optional<Tensor> t_lens) {
  const ProjectArguments a(means, quats, scales, covars, opacities, viewmats, Ks, lens, camera, width, height,
                           settings);
  const ProjectArguments t(t_means, t_quats, t_scales, t_covars, t_opacities, t_viewmats, t_Ks, t_lens,
                           camera, width, height, settings);
  const int64_t b = a.inputs.batches, c = a.inputs.cameras, n = a.inputs.gaussians;
  check_tensor(t.means, "t_means", {b, n, 3});
  check_tensor(t.viewmats, "t_viewmats", {b, c, 4, 4});
  STD_TORCH_CHECK(
      a.covars.has_value() == t.covars.has_value(),
      "gsplat_core: the tangents must be of 'quats' and 'scales' or of 'covars', as the values are");
  check_same_device({{"means", a.means}, {"t_means", t.means}, {"radii", radii}});
  radii = packed(radii);
  check_tensor(radii, "radii", {b, c, n, 2}, ScalarType::Int);
  Tensor t_means2d = empty_like_device(a.means, {b, c, n, 2});
  Tensor t_shapes = empty_like_device(a.means, {b, c, n, 3});
  Tensor t_depths = empty_like_device(a.means, {b, c, n});
  Tensor t_opacities2d = empty_like_device(a.means, {b, c, n});
  const SplatTangents out = {mutable_floats(t_means2d), mutable_floats(t_shapes), mutable_floats(t_depths),
                             mutable_floats(t_opacities2d)};
  Kernels::project_jvp(a.means, a.inputs, t.inputs, a.settings, ints(radii), out);
  return {t_means2d, t_shapes, t_depths, t_opacities2d};
}

}  // namespace gsplat::ops
