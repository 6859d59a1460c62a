// Operators that make exact blocks of J^T W J and solve with them: `composite_moments`,
// `gauss_newton_blocks`, `factor_blocks`, `solve_blocks`. `Kernels` are those of a device.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "math/gauss_newton.h"
#include "ops/composite_arguments.h"
#include "ops/harmonics_arguments.h"
#include "ops/project_arguments.h"
#include "raster/gauss_newton.h"

namespace gsplat::ops {

template <class Kernels>
Tensor composite_moments(Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor colors,
                         std::optional<Tensor> backgrounds, Tensor tile_offsets, Tensor flatten_ids,
                         Tensor order, Tensor slot_offsets, Tensor slots, int64_t width, int64_t height,
                         std::vector<double> settings, Tensor out_colors, Tensor weights,
                         std::optional<Tensor> extras, std::string response) {
  const ChosenResponse chosen = choose_response<Kernels>(response);
  STD_TORCH_CHECK(chosen.traits.quadratic,
                  "gsplat_core: composite_moments is not implemented for the response '", chosen.text,
                  "': exact blocks of Gauss-Newton matrices need one whose logarithm is quadratic, such as "
                  "'gaussian'");
  const CompositeArguments a(colors, backgrounds, means2d, shapes, opacities2d, tile_offsets, flatten_ids,
                             order, slot_offsets, slots, width, height, settings, extras, chosen);
  STD_TORCH_CHECK(a.inputs.settings.order == Order::global,
                  "gsplat_core: composite_moments is not implemented for the order 'pixel'");
  const int64_t images = a.inputs.images, n = a.inputs.gaussians;
  check_tensor(a.colors, "colors", {images, n, 3});
  check_same_device({{"means2d", a.means2d}, {"out_colors", out_colors}, {"weights", weights}});
  out_colors = packed(out_colors);
  weights = packed(weights);
  check_tensor(out_colors, "out_colors", {images, height, width, 3});
  check_tensor(weights, "weights", {images, height, width, 3});
  // Zero for culled splats, which the kernel never visits.
  Tensor moments = zeros_like_device(a.means2d, {images, n, kSplatMoments});
  const MomentInputs image = {floats(out_colors), floats(weights)};
  Kernels::composite_moments(a.means2d, a.inputs, image, mutable_floats(moments));
  return moments;
}

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor> gauss_newton_blocks(Tensor means, Tensor quats, Tensor scales,
                                                       Tensor opacities, Tensor viewmats, Tensor Ks,
                                                       std::optional<Tensor> lens, std::string camera,
                                                       int64_t width, int64_t height,
                                                       std::vector<double> settings, int64_t degree,
                                                       Tensor sh0, std::optional<Tensor> shN, Tensor radii,
                                                       Tensor colors, Tensor moments) {
  const ProjectArguments a(means, quats, scales, std::nullopt, opacities, viewmats, Ks, lens, camera, width,
                           height, settings);
  STD_TORCH_CHECK(!a.settings.unscented,
                  "gsplat_core: the setting 'unscented' is not supported by 'gauss_newton_blocks'");
  const HarmonicsArguments h(degree, means, viewmats, sh0, shN, radii);
  const int64_t b = a.inputs.batches, c = a.inputs.cameras, n = a.inputs.gaussians;
  check_same_device({{"means", a.means}, {"colors", colors}, {"moments", moments}});
  colors = packed(colors);
  moments = packed(moments);
  check_tensor(colors, "colors", {b, c, n, 3});
  check_tensor(moments, "moments", {b, c, n, kSplatMoments});
  Tensor geometry = empty_like_device(a.means, {b, n, kGeometryPairs});
  Tensor d_sh0 = empty_like_device(a.means, {b, n, h.sh0.size(2), 3});
  Tensor d_shN = h.shN.has_value() ? empty_like_device(a.means, {b, n, h.shN->size(2), 3}) : absent(a.means);
  const GaussNewtonBlocks out = {mutable_floats(geometry), mutable_floats(d_sh0),
                                 h.shN.has_value() ? mutable_floats(d_shN) : mutable_floats(d_sh0) + 3};
  Kernels::gauss_newton_blocks(a.means, a.inputs, a.settings, h.inputs, floats(colors), floats(moments), out);
  return {geometry, d_sh0, d_shN};
}

template <class Kernels>
Tensor factor_blocks(Tensor blocks, Tensor added) {
  check_same_device({{"blocks", blocks}, {"added", added}});
  blocks = packed(blocks);
  added = packed(added);
  check_tensor(blocks, "blocks", {kAny, kGeometryPairs});
  const int64_t count = blocks.size(0);
  check_tensor(added, "added", {count, kGeometry});
  Tensor factors = empty_like_device(blocks, {count, kGeometryPairs});
  Kernels::factor_blocks(blocks, floats(blocks), floats(added), count, mutable_floats(factors));
  return factors;
}

template <class Kernels>
Tensor solve_blocks(Tensor factors, Tensor right) {
  check_same_device({{"factors", factors}, {"right", right}});
  factors = packed(factors);
  right = packed(right);
  check_tensor(factors, "factors", {kAny, kGeometryPairs});
  const int64_t count = factors.size(0);
  check_tensor(right, "right", {count, kGeometry});
  Tensor out = empty_like_device(right, {count, kGeometry});
  Kernels::solve_blocks(factors, floats(factors), floats(right), count, mutable_floats(out));
  return out;
}

}  // namespace gsplat::ops
