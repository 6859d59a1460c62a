// The settings of the rasterizer as its operators take them: one number per field, in the order of the
// fields.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "ops/checks.h"
#include "raster/settings.h"

namespace gsplat::ops {

// The names of the fields, with a space between them.
inline std::string settings_fields() {
  std::string names;
#define GSPLAT_FIELD(type, name) names += names.empty() ? #name : " " #name;
  GSPLAT_RENDER_SETTINGS(GSPLAT_FIELD)
#undef GSPLAT_FIELD
  return names;
}

inline RenderSettings check_settings(const std::vector<double>& numbers) {
#define GSPLAT_FIELD(type, name) double name;
  struct Given {
    GSPLAT_RENDER_SETTINGS(GSPLAT_FIELD)
  } given;
#undef GSPLAT_FIELD
  constexpr size_t kFields = sizeof(Given) / sizeof(double);
  STD_TORCH_CHECK(numbers.size() == kFields, "gsplat_core: argument 'settings' must have ", kFields,
                  " numbers (", settings_fields(), "), got ", numbers.size());
  size_t next = 0;
#define GSPLAT_FIELD(type, name) \
  given.name = numbers[next++];  \
  STD_TORCH_CHECK(!std::isnan(given.name), "gsplat_core: argument '" #name "' must be a number, got NaN");
  GSPLAT_RENDER_SETTINGS(GSPLAT_FIELD)
#undef GSPLAT_FIELD
  STD_TORCH_CHECK(given.eps2d >= 0.0, "gsplat_core: argument 'eps2d' must not be negative, got ",
                  given.eps2d);
#define GSPLAT_CHECK_FLAG(name)                           \
  STD_TORCH_CHECK(given.name == 0.0 || given.name == 1.0, \
                  "gsplat_core: argument '" #name "' must be true or false, got ", given.name);
  GSPLAT_CHECK_FLAG(antialiased)
  GSPLAT_CHECK_FLAG(unscented)
  GSPLAT_CHECK_FLAG(require_all_sigma_points_valid)
  GSPLAT_CHECK_FLAG(bounds_only)
#undef GSPLAT_CHECK_FLAG
  STD_TORCH_CHECK(given.max_alpha > 0.0 && given.max_alpha < 1.0,
                  "gsplat_core: argument 'max_alpha' must lie between 0 and 1, got ", given.max_alpha);
  STD_TORCH_CHECK(given.tile_size == 8.0 || given.tile_size == 16.0 || given.tile_size == 32.0,
                  "gsplat_core: argument 'tile_size' must be 8, 16 or 32, got ", given.tile_size);
  STD_TORCH_CHECK(given.margin >= 0.0, "gsplat_core: argument 'margin' must not be negative, got ",
                  given.margin);
  STD_TORCH_CHECK(given.ut_alpha > 0.0, "gsplat_core: argument 'ut_alpha' must be positive, got ",
                  given.ut_alpha);
  STD_TORCH_CHECK(given.ut_beta >= given.ut_alpha * given.ut_alpha,
                  "gsplat_core: argument 'ut_beta' must be at least the square of 'ut_alpha', ",
                  given.ut_alpha * given.ut_alpha, ", got ", given.ut_beta);
  STD_TORCH_CHECK(given.ut_kappa > -3.0, "gsplat_core: argument 'ut_kappa' must be larger than -3, got ",
                  given.ut_kappa);
  STD_TORCH_CHECK(given.in_image_margin_factor >= 0.0,
                  "gsplat_core: argument 'in_image_margin_factor' must not be negative, got ",
                  given.in_image_margin_factor);
  STD_TORCH_CHECK(given.order == 0.0 || given.order == 1.0,
                  "gsplat_core: argument 'order' must be that of an order, 0 or 1, got ", given.order);
#define GSPLAT_FIELD(type, name) static_cast<type>(given.name),
  return {GSPLAT_RENDER_SETTINGS(GSPLAT_FIELD)};
#undef GSPLAT_FIELD
}

}  // namespace gsplat::ops
