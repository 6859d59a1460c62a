// The passes of projection over the Gaussians of a scene, one SIMD lane per Gaussian, by any method of
// math/projection_methods.h.
#pragma once

#include <vector>

#include "cpu/simd/projection_lanes.h"

namespace gsplat::GSPLAT_ISA {

// Writes the splats of one block of Gaussians in one image.
inline void store_block(const ProjectedSplat<Float>& s, int64_t splat, int count, const SplatOutputs& out) {
  const LaneMask m = s.visible & LaneMask::first(count);
  LaneBlock<2> mean;
  mean.set(0, zero_unless(m, s.mean.x));
  mean.set(1, zero_unless(m, s.mean.y));
  mean.store(out.means2d + 2 * splat, 2, count);
  store_vec3(zero_unless(m, {s.l11, s.l21, s.l22}), out.shapes + 3 * splat, 3, count);
  LaneBlock<4> rest;
  rest.set(0, zero_unless(m, s.depth));
  rest.set(1, zero_unless(m, s.opacity));
  rest.set(2, zero_unless(m, s.radius_x));
  rest.set(3, zero_unless(m, s.radius_y));
  for (int i = 0; i < count; ++i) {
    out.depths[splat + i] = rest.columns[0][i];
    out.opacities[splat + i] = rest.columns[1][i];
    out.radii[2 * (splat + i)] = static_cast<int32_t>(rest.columns[2][i]);
    out.radii[2 * (splat + i) + 1] = static_cast<int32_t>(rest.columns[3][i]);
  }
}

template <class Method, class Model, template <class> class Shape>
void project_all(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out) {
  const int64_t n = in.gaussians;
  const Method method = MethodOf<Method>::of(settings);
  each_gaussian_chunk(in.batches, n, [&](const GaussianChunk& chunk) {
    for (int64_t c = 0; c < in.cameras; ++c) {
      const int64_t image = chunk.batch * in.cameras + c;
      const auto camera = load_camera<Float, Model>(in, image);
      const auto exposure = ExposureOf<typename Method::Exposure>::load(in, image);
      chunk.each_block([&](int64_t i, int count) {
        const auto gaussians = load_gaussians<Shape>(in, chunk.batch * n + i, count);
        Float level(-1.0f);
        if (in.levels != nullptr) level = LaneBlock<1>::load(in.levels + chunk.batch * n + i, 1, count)[0];
        store_block(method.splat(camera, gaussians, level, exposure), image * n + i, count, out);
      });
    }
  });
}

template <class Model>
void masked_add(CameraGrad<Float, Model>& sum, LaneMask m, const CameraGrad<Float, Model>& v) {
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) sum.rotation.m[i][j] += zero_unless(m, v.rotation.m[i][j]);
  }
  sum.translation = sum.translation + zero_unless(m, v.translation);
  for (int i = 0; i < Model::kParams; ++i) sum.params[i] += zero_unless(m, v.params[i]);
}

// Sums of one camera's gradient over the Gaussians of one chunk.
template <class Model>
void lane_sums(const CameraGrad<Float, Model>& v, double* sums) {
  Float numbers[kCameraNumbers<Model>];
  camera_numbers(v, numbers);
  for (int i = 0; i < kCameraNumbers<Model>; ++i) sums[i] = sum(numbers[i]);
}

// Adds up, over the cameras, the gradients of the Gaussians of one block.
template <class Method, class Model, template <class> class Shape>
void backward_block(const GaussianInputs& in, const std::vector<Camera<Float, Model>>& cameras,
                    const Method& method, const int32_t* radii, const SplatGrads& v, const GaussianGrads& out,
                    int64_t batch, int64_t first, int count,
                    std::vector<CameraGrad<Float, Model>>& v_cameras) {
  const int64_t row = batch * in.gaussians + first;
  const Float zero(0.0f);
  Vec3<Float> v_mean = {zero, zero, zero};
  auto v_shape = ShapeArrays<Shape>::zero();
  Float v_opacity = zero;
  Gaussian<Float, Shape> gaussians;
  bool loaded = false;
  for (int64_t c = 0; c < in.cameras; ++c) {
    const int64_t splat = (batch * in.cameras + c) * in.gaussians + first;
    const auto v_xy = LaneBlock<2>::load(v.means2d + 2 * splat, 2, count);
    const Vec3<Float> v_root = load_vec3(v.shapes + 3 * splat, 3, count);
    const auto v_z = LaneBlock<1>::load(v.depths + splat, 1, count);
    const auto v_o = LaneBlock<1>::load(v.opacities + splat, 1, count);
    const LaneMask m = visible_lanes(radii + 2 * splat, count) &
                       (nonzero(Vec3<Float>{v_xy[0], v_xy[1], v_z[0]}) | nonzero(v_root) | nonzero(v_o[0]));
    if (!any(m)) continue;
    if (!loaded) {
      gaussians = load_gaussians<Shape>(in, row, count);
      loaded = true;
    }
    CameraGrad<Float, Model> v_camera = {};
    const auto g = method.vjp(cameras[c], gaussians, {v_xy[0], v_xy[1]}, v_root, v_z[0], v_o[0], v_camera);
    v_mean = v_mean + zero_unless(m, g.mean);
    ShapeArrays<Shape>::add(v_shape, m, g.shape);
    v_opacity += zero_unless(m, g.opacity);
    if (!v_cameras.empty()) masked_add(v_cameras[c], m, v_camera);
  }
  store_vec3(v_mean, out.means + 3 * row, 3, count);
  LaneBlock<1> opacity;
  opacity.set(0, v_opacity);
  opacity.store(out.opacities + row, 1, count);
  ShapeArrays<Shape>::store(out, row, count, v_shape);
}

// Writes the gradients of the cameras from the chunks' sums, chunk by chunk in order.
template <class Model>
void write_camera_grads(const GaussianInputs& in, const std::vector<double>& sums, int64_t chunks,
                        const GaussianGrads& out) {
  constexpr int kNumbers = kCameraNumbers<Model>;
  for (int64_t image = 0; image < in.batches * in.cameras; ++image) {
    const int64_t batch = image / in.cameras, c = image % in.cameras;
    double total[kNumbers] = {};
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const double* part = &sums[((batch * chunks + chunk) * in.cameras + c) * kNumbers];
      for (int i = 0; i < kNumbers; ++i) total[i] += part[i];
    }
    for (int i = 0; i < 16; ++i) out.viewmats[16 * image + i] = 0.0f;
    for (int i = 0; i < 9; ++i) out.Ks[9 * image + i] = 0.0f;
    for (int i = 0; i < kNumbers; ++i) {
      *camera_place<Model>(out, image, i) = static_cast<float>(total[i]);
    }
  }
}

template <class Method, class Model, template <class> class Shape>
void backward_all(const GaussianInputs& in, const RenderSettings& settings, const int32_t* radii,
                  const SplatGrads& v, const GaussianGrads& out) {
  constexpr int kNumbers = kCameraNumbers<Model>;
  const bool wants_camera = out.viewmats != nullptr;
  const int64_t chunks = gaussian_chunks(in.gaussians);
  const Method method = MethodOf<Method>::of(settings);
  std::vector<double> sums(wants_camera ? in.batches * chunks * in.cameras * kNumbers : 0);
  each_gaussian_chunk(in.batches, in.gaussians, [&](const GaussianChunk& chunk) {
    std::vector<Camera<Float, Model>> cameras(in.cameras);
    std::vector<CameraGrad<Float, Model>> v_cameras;
    for (int64_t c = 0; c < in.cameras; ++c) {
      cameras[c] = load_camera<Float, Model>(in, chunk.batch * in.cameras + c);
    }
    if (wants_camera) v_cameras.assign(in.cameras, CameraGrad<Float, Model>{});
    chunk.each_block([&](int64_t i, int count) {
      backward_block<Method, Model, Shape>(in, cameras, method, radii, v, out, chunk.batch, i, count,
                                           v_cameras);
    });
    for (size_t c = 0; c < v_cameras.size(); ++c) {
      lane_sums(v_cameras[c], &sums[(chunk.index * in.cameras + c) * kNumbers]);
    }
  });
  if (wants_camera) write_camera_grads<Model>(in, sums, chunks, out);
}

}  // namespace gsplat::GSPLAT_ISA
