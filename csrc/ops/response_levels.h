// Operator `response_levels`: how far from their means splats are seen. `Kernels` are those of a device.
#pragma once

#include "ops/responses.h"

namespace gsplat::ops {

template <class Kernels>
Tensor response_levels(Tensor opacities, std::optional<Tensor> extras, std::string response) {
  opacities = packed(opacities);
  extras = packed(extras);
  check_tensor(opacities, "opacities", {kAny, kAny});
  const ChosenResponse chosen = choose_response<Kernels>(response);
  check_extras(extras, chosen, opacities.size(0), opacities.size(1));
  check_same_device({{"opacities", opacities}, {"extras", extras}});
  Tensor levels = empty_like_device(opacities, {opacities.size(0), opacities.size(1)});
  Kernels::response_levels(opacities, chosen.name, floats(opacities), floats(extras), opacities.numel(),
                           mutable_floats(levels));
  return levels;
}

}  // namespace gsplat::ops
