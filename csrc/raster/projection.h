// What the kernels of projection share on all backends: which formulas the arrays of a scene ask for.
#pragma once

#include "math/project.h"
#include "raster/camera_models.h"
#include "raster/cameras.h"

GSPLAT_MATH_BEGIN

// body.operator()<Model, Shape>() with the types of these cameras and Gaussians.
template <class Body>
void with_projection(const GaussianInputs& in, Body&& body) {
  with_camera(in.camera, [&]<class Model>(Model) {
    if (in.covars != nullptr) {
      body.template operator()<Model, GivenCovariance>();
    } else {
      body.template operator()<Model, ScaledRotation>();
    }
  });
}

GSPLAT_MATH_END
