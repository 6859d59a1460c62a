// The arguments that the projection operators share, checked and packed.
#pragma once

#include <optional>

#include "ops/checks.h"
#include "ops/settings.h"
#include "ops/variants.h"
#include "raster/types.h"

namespace gsplat::ops {

// Gaussians and cameras; keeps the packed copies alive that `inputs` points to.
struct ProjectArguments {
  Tensor means, opacities, viewmats, Ks;
  std::optional<Tensor> quats, scales, covars, lens, levels, motion;
  RenderSettings settings;
  GaussianInputs inputs;

  ProjectArguments(const Tensor& means_, const std::optional<Tensor>& quats_,
                   const std::optional<Tensor>& scales_, const std::optional<Tensor>& covars_,
                   const Tensor& opacities_, const Tensor& viewmats_, const Tensor& Ks_,
                   const std::optional<Tensor>& lens_, const std::string& camera, int64_t width,
                   int64_t height, const std::vector<double>& settings_,
                   const std::optional<Tensor>& levels_ = std::nullopt,
                   const std::optional<Tensor>& motion_ = std::nullopt)
      : means(packed(means_)),
        opacities(packed(opacities_)),
        viewmats(packed(viewmats_)),
        Ks(packed(Ks_)),
        quats(packed(quats_)),
        scales(packed(scales_)),
        covars(packed(covars_)),
        lens(packed(lens_)),
        levels(packed(levels_)),
        motion(packed(motion_)),
        settings(check_settings(settings_)) {
    check_tensor(means, "means", {kAny, kAny, 3});
    const int64_t b = means.size(0), n = means.size(1);
    STD_TORCH_CHECK(covars.has_value() != (quats.has_value() || scales.has_value()) &&
                        quats.has_value() == scales.has_value(),
                    "gsplat_core: give either 'quats' and 'scales' or 'covars'");
    if (covars.has_value()) {
      check_tensor(*covars, "covars", {b, n, 6});
    } else {
      check_tensor(*quats, "quats", {b, n, 4});
      check_tensor(*scales, "scales", {b, n, 3});
    }
    check_tensor(opacities, "opacities", {b, n});
    if (levels.has_value()) check_tensor(*levels, "levels", {b, n});
    check_tensor(viewmats, "viewmats", {b, kAny, 4, 4});
    const int64_t c = viewmats.size(1);
    check_tensor(Ks, "Ks", {b, c, 3, 3});
    check_lens(lens, camera, b, c);
    if (motion.has_value()) {
      check_tensor(*motion, "motion", {b, c, kMotionNumbers});
      STD_TORCH_CHECK(settings.unscented && settings.bounds_only,
                      "gsplat_core: argument 'motion' needs 'unscented' and 'bounds_only' in 'settings'");
    }
    inputs = {b,
              c,
              n,
              check_image(width, height),
              floats(means),
              floats(quats),
              floats(scales),
              floats(covars),
              floats(opacities),
              floats(viewmats),
              floats(Ks),
              check_camera(camera),
              floats(lens),
              floats(levels),
              floats(motion)};
    check_index_range(b * c * n, "splats (images x Gaussians)");
    check_same_device({{"means", means},
                       {"quats", quats},
                       {"scales", scales},
                       {"covars", covars},
                       {"opacities", opacities},
                       {"levels", levels},
                       {"motion", motion},
                       {"viewmats", viewmats},
                       {"Ks", Ks},
                       {"lens", lens}});
  }
};

}  // namespace gsplat::ops
