// In which order a pixel blends its splats.
#pragma once

#include <cstdint>

namespace gsplat {

// `RenderSettings` of gsplat_core/render/settings.py has the same names in the same order.
enum class Order : int32_t {
  // Of the depths of their centres, which is that of the lists, the same for all pixels.
  global,
  // Of the depths at which the pixel's ray sees most of them (math/ray_depth.h), and of the list where these
  // are the same.
  pixel
};

}  // namespace gsplat
