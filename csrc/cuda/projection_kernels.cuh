// The kernels of projection, one thread per Gaussian, by any method of math/projection_methods.h.
#pragma once

#include "cuda/gaussians.cuh"
#include "cuda/project.h"

namespace gsplat::cuda {
namespace {

constexpr int kProjectThreads = 128;

// How many blocks at a time ptxas is to leave room for. Where it chooses by itself, 0, it spills the sigma
// points of some cameras.
template <class Method>
inline constexpr int kLeastBlocks = 0;
template <class Exposure>
inline constexpr int kLeastBlocks<Unscented<float, Exposure>> = 1;

// By a method of math/projection_methods.h. Whether levels of another response are given takes registers.
template <class Method, class Model, template <class> class Shape, bool kLevels>
__global__ void __launch_bounds__(kProjectThreads, kLeastBlocks<Method>)
    project_splats(GaussianInputs in, RenderSettings settings, SplatOutputs out) {
  const GaussianPlace<kProjectThreads> place(in.gaussians);
  if (!place.exists) return;
  const int64_t image = place.scene, splat = image * in.gaussians + place.gaussian;
  const int64_t row = image / in.cameras * in.gaussians + place.gaussian;
  const auto camera = load_camera<float, Model>(in, image);
  // Most of what is culled is culled by its depth: nothing else is read for it.
  const float depth = Model::depth(to_camera(camera, load_vec3(in.means, row)));
  ProjectedSplat<float> s;
  s.visible = depth >= settings.near_plane && depth <= settings.far_plane;
  if (s.visible) {
    const float level = kLevels ? in.levels[row] : -1.0f;
    const auto exposure = ExposureOf<typename Method::Exposure>::load(in, image);
    s = MethodOf<Method>::of(settings).splat(camera, load_gaussian<Shape>(in, row), level, exposure);
  }
  out.means2d[2 * splat] = zero_unless(s.visible, s.mean.x);
  out.means2d[2 * splat + 1] = zero_unless(s.visible, s.mean.y);
  out.shapes[3 * splat] = zero_unless(s.visible, s.l11);
  out.shapes[3 * splat + 1] = zero_unless(s.visible, s.l21);
  out.shapes[3 * splat + 2] = zero_unless(s.visible, s.l22);
  out.depths[splat] = zero_unless(s.visible, s.depth);
  out.opacities[splat] = zero_unless(s.visible, s.opacity);
  out.radii[2 * splat] = static_cast<int32_t>(zero_unless(s.visible, s.radius_x));
  out.radii[2 * splat + 1] = static_cast<int32_t>(zero_unless(s.visible, s.radius_y));
}

// Adds up the gradients of one Gaussian over the cameras. Those of the cameras are summed over the block:
// camera_sums [images, blocks per scene, kCameraNumbers].
template <class Method, class Model, template <class> class Shape, bool kCamera>
__global__ void __launch_bounds__(kProjectThreads, kLeastBlocks<Method>)
    project_gradients(GaussianInputs in, RenderSettings settings, const int32_t* radii, SplatGrads v,
                      GaussianGrads out, float* camera_sums) {
  const GaussianPlace<kProjectThreads> place(in.gaussians);
  const int64_t batch = place.scene, row = batch * in.gaussians + place.gaussian;
  Vec3<float> v_mean = {0.0f, 0.0f, 0.0f};
  auto v_shape = ShapeArrays<Shape>::zero();
  float v_opacity = 0.0f;
  for (int64_t c = 0; c < in.cameras; ++c) {
    const int64_t image = batch * in.cameras + c, splat = image * in.gaussians + place.gaussian;
    CameraGrad<float, Model> v_camera = {};
    if (place.exists && is_visible(radii, splat)) {
      const auto camera = load_camera<float, Model>(in, image);
      const auto g = MethodOf<Method>::of(settings).vjp(
          camera, load_gaussian<Shape>(in, row), {v.means2d[2 * splat], v.means2d[2 * splat + 1]},
          load_vec3(v.shapes, splat), v.depths[splat], v.opacities[splat], v_camera);
      v_mean = v_mean + g.mean;
      ShapeArrays<Shape>::add(v_shape, g.shape);
      v_opacity += g.opacity;
    }
    if constexpr (kCamera) {
      constexpr int kSums = kCameraNumbers<Model>;
      float sums[kSums];
      camera_numbers(v_camera, sums);
      const float sum = block_sums<kSums, kProjectThreads>(sums);
      const int64_t blocks = (in.gaussians + kProjectThreads - 1) / kProjectThreads;
      if (threadIdx.x < kSums) {
        camera_sums[(image * blocks + blockIdx.x % blocks) * kSums + threadIdx.x] = sum;
      }
    }
  }
  if (!place.exists) return;
  store_vec3(out.means, row, v_mean);
  ShapeArrays<Shape>::store(out, row, v_shape);
  out.opacities[row] = v_opacity;
}

// One block per image adds up the blocks' sums, always in the same order.
template <class Model>
__global__ void __launch_bounds__(kProjectThreads)
    sum_camera_gradients(const float* camera_sums, int64_t blocks, GaussianGrads out) {
  constexpr int kSums = kCameraNumbers<Model>;
  constexpr int kParts = kProjectThreads / kSums;
  __shared__ double parts[kProjectThreads];
  const int64_t image = blockIdx.x;
  const int sum = static_cast<int>(threadIdx.x) % kSums;
  double total = 0.0;
  for (int64_t block = threadIdx.x / kSums; block < blocks; block += kParts) {
    total += camera_sums[(image * blocks + block) * kSums + sum];
  }
  parts[threadIdx.x] = total;
  if (threadIdx.x < 16) out.viewmats[16 * image + threadIdx.x] = 0.0f;
  if (threadIdx.x < 9) out.Ks[9 * image + threadIdx.x] = 0.0f;
  __syncthreads();
  if (threadIdx.x >= kSums) return;
  for (int part = 1; part < kParts; ++part) total += parts[part * kSums + sum];
  *camera_place<Model>(out, image, sum) = static_cast<float>(total);
}

template <class Method, class Model, template <class> class Shape>
void launch_gradients(const GaussianInputs& in, const RenderSettings& settings, const int32_t* radii,
                      const SplatGrads& v, const GaussianGrads& out, float* camera_sums, Stream stream) {
  const unsigned grid = static_cast<unsigned>(in.batches) * blocks_of(kProjectThreads, in.gaussians);
  if (grid == 0) return;
  if (out.viewmats != nullptr) {
    project_gradients<Method, Model, Shape, true>
        <<<grid, kProjectThreads, 0, stream>>>(in, settings, radii, v, out, camera_sums);
  } else {
    project_gradients<Method, Model, Shape, false>
        <<<grid, kProjectThreads, 0, stream>>>(in, settings, radii, v, out, camera_sums);
  }
  check_launch("project_gradients");
}

// The passes over the splats and the Gaussians of a scene.
template <class Method>
void launch_splats(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out,
                   Stream stream) {
  const unsigned grid =
      static_cast<unsigned>(in.batches * in.cameras) * blocks_of(kProjectThreads, in.gaussians);
  if (grid == 0) return;
  with_projection(in, [&]<class Model, template <class> class Shape>() {
    if (in.levels == nullptr) {
      project_splats<Method, Model, Shape, false><<<grid, kProjectThreads, 0, stream>>>(in, settings, out);
    } else {
      project_splats<Method, Model, Shape, true><<<grid, kProjectThreads, 0, stream>>>(in, settings, out);
    }
  });
  check_launch("project_splats");
}

template <class Method>
void launch_backward(const GaussianInputs& in, const RenderSettings& settings, const int32_t* radii,
                     const SplatGrads& v, const GaussianGrads& out, void* workspace, Stream stream) {
  with_projection(in, [&]<class Model, template <class> class Shape>() {
    float* const camera_sums = static_cast<float*>(workspace);
    launch_gradients<Method, Model, Shape>(in, settings, radii, v, out, camera_sums, stream);
    const unsigned images = static_cast<unsigned>(in.batches * in.cameras);
    if (out.viewmats == nullptr || images == 0) return;
    sum_camera_gradients<Model>
        <<<images, kProjectThreads, 0, stream>>>(camera_sums, blocks_of(kProjectThreads, in.gaussians), out);
    check_launch("sum_camera_gradients");
  });
}

}  // namespace
}  // namespace gsplat::cuda
