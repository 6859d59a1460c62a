// Operators `project` and `project_backward`: Gaussians to splats. `Kernels` are those of a device.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "ops/project_arguments.h"

namespace gsplat::ops {

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> project(
    Tensor means, std::optional<Tensor> quats, std::optional<Tensor> scales, std::optional<Tensor> covars,
    Tensor opacities, Tensor viewmats, Tensor Ks, std::optional<Tensor> lens, std::string camera,
    int64_t width, int64_t height, std::vector<double> settings, std::optional<Tensor> levels,
    std::optional<Tensor> motion) {
  const ProjectArguments a(means, quats, scales, covars, opacities, viewmats, Ks, lens, camera, width, height,
                           settings, levels, motion);
  const int64_t b = a.inputs.batches, c = a.inputs.cameras, n = a.inputs.gaussians;
  Tensor means2d = empty_like_device(a.means, {b, c, n, 2});
  Tensor shapes = empty_like_device(a.means, {b, c, n, 3});
  Tensor depths = empty_like_device(a.means, {b, c, n});
  Tensor opacities2d = empty_like_device(a.means, {b, c, n});
  Tensor radii = empty_like_device(a.means, {b, c, n, 2}, ScalarType::Int);
  const SplatOutputs out = {mutable_floats(means2d), mutable_floats(shapes), mutable_floats(depths),
                            mutable_floats(opacities2d), mutable_ints(radii)};
  Kernels::project(a.means, a.inputs, a.settings, out);
  return {means2d, shapes, depths, opacities2d, radii};
}

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> project_backward(
    Tensor means, std::optional<Tensor> quats, std::optional<Tensor> scales, std::optional<Tensor> covars,
    Tensor opacities, Tensor viewmats, Tensor Ks, std::optional<Tensor> lens, std::string camera,
    int64_t width, int64_t height, std::vector<double> settings, Tensor radii, Tensor v_means2d,
    Tensor v_shapes, Tensor v_depths, Tensor v_opacities2d, bool needs_camera) {
  const ProjectArguments a(means, quats, scales, covars, opacities, viewmats, Ks, lens, camera, width, height,
                           settings);
  const int64_t b = a.inputs.batches, c = a.inputs.cameras, n = a.inputs.gaussians;
  radii = packed(radii);
  v_means2d = packed(v_means2d);
  v_shapes = packed(v_shapes);
  v_depths = packed(v_depths);
  v_opacities2d = packed(v_opacities2d);
  check_tensor(radii, "radii", {b, c, n, 2}, ScalarType::Int);
  check_tensor(v_means2d, "v_means2d", {b, c, n, 2});
  check_tensor(v_shapes, "v_shapes", {b, c, n, 3});
  check_tensor(v_depths, "v_depths", {b, c, n});
  check_tensor(v_opacities2d, "v_opacities2d", {b, c, n});
  check_same_device({{"means", a.means},
                     {"radii", radii},
                     {"v_means2d", v_means2d},
                     {"v_shapes", v_shapes},
                     {"v_depths", v_depths},
                     {"v_opacities2d", v_opacities2d}});

  const bool given = a.covars.has_value();
  Tensor v_means = empty_like_device(a.means, {b, n, 3});
  Tensor v_quats = given ? absent(a.means) : empty_like_device(a.means, {b, n, 4});
  Tensor v_scales = given ? absent(a.means) : empty_like_device(a.means, {b, n, 3});
  Tensor v_covars = given ? empty_like_device(a.means, {b, n, 6}) : absent(a.means);
  Tensor v_opacities = empty_like_device(a.means, {b, n});
  Tensor v_viewmats = needs_camera ? empty_like_device(a.means, {b, c, 4, 4}) : absent(a.means);
  Tensor v_Ks = needs_camera ? empty_like_device(a.means, {b, c, 3, 3}) : absent(a.means);
  const int64_t coefficients = lens_params(a.inputs.camera);
  const bool bends = needs_camera && coefficients > 0;
  Tensor v_lens = bends ? empty_like_device(a.means, {b, c, coefficients}) : absent(a.means);
  const SplatGrads v = {floats(v_means2d), floats(v_shapes), floats(v_depths), floats(v_opacities2d)};
  const GaussianGrads out = {mutable_floats(v_means),
                             given ? nullptr : mutable_floats(v_quats),
                             given ? nullptr : mutable_floats(v_scales),
                             given ? mutable_floats(v_covars) : nullptr,
                             mutable_floats(v_opacities),
                             needs_camera ? mutable_floats(v_viewmats) : nullptr,
                             needs_camera ? mutable_floats(v_Ks) : nullptr,
                             bends ? mutable_floats(v_lens) : nullptr};
  Kernels::project_backward(a.means, a.inputs, a.settings, ints(radii), v, out);
  return {v_means, v_quats, v_scales, v_covars, v_opacities, v_viewmats, v_Ks, v_lens};
}

}  // namespace gsplat::ops
