// The parts of raster/variants.h by their names.
#pragma once

#include <string>

#include "ops/checks.h"
#include "raster/camera_models.h"
#include "raster/cameras.h"

namespace gsplat::ops {

// One line per camera model: its name and how many numbers it has beyond the intrinsics.
inline std::string camera_lines() {
  std::string lines;
#define GSPLAT_LINE(name, Type) lines += #name " " + std::to_string(kLensParams<Type>) + "\n";
  GSPLAT_CAMERAS(GSPLAT_LINE)
#undef GSPLAT_LINE
  return lines;
}

inline CameraModel check_camera(const std::string& camera) {
  std::string known;
#define GSPLAT_FIND(name, Type)                  \
  if (camera == #name) return CameraModel::name; \
  known += known.empty() ? "'" #name "'" : ", '" #name "'";
  GSPLAT_CAMERAS(GSPLAT_FIND)
#undef GSPLAT_FIND
  STD_TORCH_CHECK(false, "gsplat_core: argument 'camera' must be one of ", known, ", got '", camera, "'");
}

inline int64_t lens_params(CameraModel camera) {
  int64_t count = 0;
  with_camera(camera, [&]<class Model>(Model) { count = kLensParams<Model>; });
  return count;
}

// Throws unless `lens` [batches, cameras, ...] is what the model needs beyond the intrinsics.
inline void check_lens(const std::optional<Tensor>& lens, const std::string& camera, int64_t batches,
                       int64_t cameras) {
  check_own_numbers(lens, "lens", batches, cameras, lens_params(check_camera(camera)),
                    "coefficients per camera for the camera", camera);
}

}  // namespace gsplat::ops
