// How splats are made and drawn, whatever the scene and the camera: the same for all stages and backends.
#pragma once

#include <cstdint>

#include "raster/order.h"

// V(type, name) in the order in which operators take the numbers. `RenderSettings` of
// gsplat_core/render/settings.py has the same names in the same order, and says what they mean.
#define GSPLAT_RENDER_SETTINGS(V)         \
  V(float, eps2d)                         \
  V(float, near_plane)                    \
  V(float, far_plane)                     \
  V(float, radius_clip)                   \
  V(bool, antialiased)                    \
  V(float, max_alpha)                     \
  V(int32_t, tile_size)                   \
  V(float, margin)                        \
  V(bool, unscented)                      \
  V(float, ut_alpha)                      \
  V(float, ut_beta)                       \
  V(float, ut_kappa)                      \
  V(float, in_image_margin_factor)        \
  V(bool, require_all_sigma_points_valid) \
  V(bool, bounds_only)                    \
  V(Order, order)

namespace gsplat {

struct RenderSettings {
#define GSPLAT_FIELD(type, name) type name;
  GSPLAT_RENDER_SETTINGS(GSPLAT_FIELD)
#undef GSPLAT_FIELD
};

}  // namespace gsplat
