// Operators of density control by Markov chain Monte Carlo: relocate, perturb_means. `Kernels` are those of a
// device.
#pragma once

#include <tuple>

#include "ops/checks.h"
#include "raster/mcmc.h"

namespace gsplat::ops {

// Beyond, the alternating sum of math/relocation.h loses its digits.
inline constexpr int32_t kMostCopies = 64;

inline void check_copies(bool in_range) {
  STD_TORCH_CHECK(in_range, "gsplat_core: argument 'copies' must lie between 1 and ", kMostCopies);
}

template <class Kernels>
std::tuple<Tensor, Tensor> relocate(Tensor opacities, Tensor scales, Tensor copies) {
  check_tensor(opacities, "opacities", {kAny});
  const int64_t count = opacities.size(0);
  check_tensor(scales, "scales", {count, 3});
  check_tensor(copies, "copies", {count}, ScalarType::Int);
  opacities = packed(opacities);
  scales = packed(scales);
  copies = packed(copies);
  check_same_device({{"opacities", opacities}, {"scales", scales}, {"copies", copies}});
  Tensor new_opacities = empty_like_device(opacities, {count});
  Tensor new_scales = empty_like_device(opacities, {count, 3});
  Kernels::relocate(opacities,
                    {floats(opacities), floats(scales), ints(copies), mutable_floats(new_opacities),
                     mutable_floats(new_scales)},
                    count);
  return {new_opacities, new_scales};
}

template <class Kernels>
Tensor perturb_means(Tensor means, Tensor quats, Tensor scales, Tensor opacities, double strength,
                     double steepness, double threshold, int64_t seed, int64_t step) {
  check_tensor(means, "means", {kAny, 3});
  const int64_t count = means.size(0);
  check_tensor(quats, "quats", {count, 4});
  check_tensor(scales, "scales", {count, 3});
  check_tensor(opacities, "opacities", {count});
  means = packed(means);
  quats = packed(quats);
  scales = packed(scales);
  opacities = packed(opacities);
  check_same_device({{"means", means}, {"quats", quats}, {"scales", scales}, {"opacities", opacities}});
  Tensor new_means = empty_like_device(means, {count, 3});
  Kernels::perturb_means(
      means, {floats(means), floats(quats), floats(scales), floats(opacities), mutable_floats(new_means)},
      {static_cast<float>(strength), static_cast<float>(steepness), static_cast<float>(threshold),
       static_cast<uint64_t>(seed), static_cast<uint64_t>(step)},
      count);
  return new_means;
}

}  // namespace gsplat::ops
