// Operators of density control by Markov chain Monte Carlo: relocate, perturb_means.
#include "cpu/mcmc.h"

#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <tuple>

#include "ops/checks.h"

namespace gsplat::ops {
namespace {

// Beyond, the alternating sum of math/relocation.h loses its digits.
constexpr int32_t kMostCopies = 64;

std::tuple<Tensor, Tensor> relocate(Tensor opacities, Tensor scales, Tensor copies) {
  check_tensor(opacities, "opacities", {kAny});
  const int64_t count = opacities.size(0);
  check_tensor(scales, "scales", {count, 3});
  check_tensor(copies, "copies", {count}, ScalarType::Int);
  opacities = packed(opacities);
  scales = packed(scales);
  copies = packed(copies);
  const int32_t* n = ints(copies);
  STD_TORCH_CHECK(std::all_of(n, n + count, [](int32_t value) { return value >= 1 && value <= kMostCopies; }),
                  "gsplat_core: argument 'copies' must lie between 1 and ", kMostCopies);
  Tensor new_opacities = empty_like_device(opacities, {count});
  Tensor new_scales = empty_like_device(opacities, {count, 3});
  gsplat::relocate(
      {floats(opacities), floats(scales), n, mutable_floats(new_opacities), mutable_floats(new_scales)},
      count);
  return {new_opacities, new_scales};
}

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
  Tensor new_means = empty_like_device(means, {count, 3});
  gsplat::perturb_means(
      {floats(means), floats(quats), floats(scales), floats(opacities), mutable_floats(new_means)},
      {static_cast<float>(strength), static_cast<float>(steepness), static_cast<float>(threshold),
       static_cast<uint64_t>(seed), static_cast<uint64_t>(step)},
      count);
  return new_means;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("relocate(Tensor opacities, Tensor scales, Tensor copies) -> (Tensor opacities, Tensor scales)");
  m.def(
      "perturb_means(Tensor means, Tensor quats, Tensor scales, Tensor opacities, float strength, "
      "float steepness, float threshold, int seed, int step) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("relocate", TORCH_BOX(&relocate));
  m.impl("perturb_means", TORCH_BOX(&perturb_means));
}

}  // namespace gsplat::ops
