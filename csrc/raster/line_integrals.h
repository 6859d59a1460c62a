// What the kernels that project radiative fields share on all backends: the beam that a camera stands for.
#pragma once

#include "math/line_integral.h"
#include "raster/projection.h"

GSPLAT_MATH_BEGIN

// body(Model()) of a cone, which "pinhole" cameras are, or of a parallel beam, "ortho".
template <class Body>
void with_beam(CameraModel camera, Body&& body) {
  if (camera == CameraModel::ortho) {
    body(ParallelBeam());
  } else {
    body(Pinhole());
  }
}

template <class T>
struct MethodOf<LineIntegral<T>> {
  static GSPLAT_HD LineIntegral<T> of(const RenderSettings& s) { return {project_options<T>(s)}; }
};

GSPLAT_MATH_END
