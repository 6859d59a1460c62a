// Projection of Gaussians to splats, one thread per Gaussian.
#include "cuda/gaussians.cuh"
#include "cuda/project.h"
#include "math/project.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 128;

// Rotation, translation, fx, fy, cx, cy.
constexpr int kCameraSums = 16;

template <template <class> class Shape>
__global__ void __launch_bounds__(kThreads)
    project_splats(GaussianInputs in, RenderSettings settings, SplatOutputs out) {
  const GaussianPlace<kThreads> place(in.gaussians);
  if (!place.exists) return;
  const int64_t image = place.scene, splat = image * in.gaussians + place.gaussian;
  const int64_t row = image / in.cameras * in.gaussians + place.gaussian;
  const Camera<float> camera = load_camera(in.viewmats + 16 * image, in.Ks + 9 * image, in.image);
  // Most of what is culled is culled by its depth: nothing else is read for it.
  const float depth = to_camera(camera, load_vec3(in.means, row)).z;
  ProjectedSplat<float> s;
  s.visible = depth >= settings.near_plane && depth <= settings.far_plane;
  if (s.visible) s = project(camera, load_gaussian<Shape>(in, row), options_of(settings));
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

__device__ CameraGrad<float> zero_camera_grad() {
  return {{{{0.0f, 0.0f, 0.0f}, {0.0f, 0.0f, 0.0f}, {0.0f, 0.0f, 0.0f}}},
          {0.0f, 0.0f, 0.0f},
          0.0f,
          0.0f,
          0.0f,
          0.0f};
}

// Adds up the gradients of one Gaussian over the cameras. Those of the cameras are summed over the block:
// camera_sums [images, blocks per scene, kCameraSums].
template <template <class> class Shape, bool kCamera>
__global__ void __launch_bounds__(kThreads)
    project_gradients(GaussianInputs in, RenderSettings settings, const int32_t* radii, SplatGrads v,
                      GaussianGrads out, float* camera_sums) {
  const GaussianPlace<kThreads> place(in.gaussians);
  const int64_t batch = place.scene, row = batch * in.gaussians + place.gaussian;
  Vec3<float> v_mean = {0.0f, 0.0f, 0.0f};
  auto v_shape = ShapeArrays<Shape>::zero();
  float v_opacity = 0.0f;
  for (int64_t c = 0; c < in.cameras; ++c) {
    const int64_t image = batch * in.cameras + c, splat = image * in.gaussians + place.gaussian;
    CameraGrad<float> v_camera = zero_camera_grad();
    if (place.exists && is_visible(radii, splat)) {
      const Camera<float> camera = load_camera(in.viewmats + 16 * image, in.Ks + 9 * image, in.image);
      const auto g = project_vjp(camera, load_gaussian<Shape>(in, row), options_of(settings),
                                 {v.means2d[2 * splat], v.means2d[2 * splat + 1]}, load_vec3(v.shapes, splat),
                                 v.depths[splat], v.opacities[splat], v_camera);
      v_mean = v_mean + g.mean;
      ShapeArrays<Shape>::add(v_shape, g.shape);
      v_opacity += g.opacity;
    }
    if constexpr (kCamera) {
      float sums[kCameraSums];
      for (int i = 0; i < 9; ++i) sums[i] = v_camera.rotation.m[i / 3][i % 3];
      sums[9] = v_camera.translation.x;
      sums[10] = v_camera.translation.y;
      sums[11] = v_camera.translation.z;
      sums[12] = v_camera.fx;
      sums[13] = v_camera.fy;
      sums[14] = v_camera.cx;
      sums[15] = v_camera.cy;
      const float sum = block_sums<kCameraSums, kThreads>(sums);
      const int64_t blocks = (in.gaussians + kThreads - 1) / kThreads;
      if (threadIdx.x < kCameraSums) {
        camera_sums[(image * blocks + blockIdx.x % blocks) * kCameraSums + threadIdx.x] = sum;
      }
    }
  }
  if (!place.exists) return;
  store_vec3(out.means, row, v_mean);
  ShapeArrays<Shape>::store(out, row, v_shape);
  out.opacities[row] = v_opacity;
}

// Where the i-th sum stands in the gradient of a world-to-camera matrix [4, 4] or, if `in_view` is false, of
// the intrinsics [3, 3].
struct CameraEntry {
  bool in_view;
  int index;

  __device__ explicit CameraEntry(int i) {
    constexpr int kFx = 12, kFy = 13, kCx = 14;
    in_view = i < kFx;
    if (i < 9) {
      index = i / 3 * 4 + i % 3;
    } else if (i < kFx) {
      index = (i - 9) * 4 + 3;
    } else {
      index = i == kFx ? 0 : i == kFy ? 4 : i == kCx ? 2 : 5;
    }
  }
};

// One block per image adds up the blocks' sums, always in the same order.
__global__ void __launch_bounds__(kThreads)
    sum_camera_gradients(const float* camera_sums, int64_t blocks, float* viewmats, float* Ks) {
  constexpr int kParts = kThreads / kCameraSums;
  __shared__ double parts[kThreads];
  const int64_t image = blockIdx.x;
  const int sum = static_cast<int>(threadIdx.x) % kCameraSums;
  double total = 0.0;
  for (int64_t block = threadIdx.x / kCameraSums; block < blocks; block += kParts) {
    total += camera_sums[(image * blocks + block) * kCameraSums + sum];
  }
  parts[threadIdx.x] = total;
  if (threadIdx.x < 16) viewmats[16 * image + threadIdx.x] = 0.0f;
  if (threadIdx.x < 9) Ks[9 * image + threadIdx.x] = 0.0f;
  __syncthreads();
  if (threadIdx.x >= kCameraSums) return;
  for (int part = 1; part < kParts; ++part) total += parts[part * kCameraSums + sum];
  const CameraEntry entry(sum);
  if (entry.in_view) {
    viewmats[16 * image + entry.index] = static_cast<float>(total);
  } else {
    Ks[9 * image + entry.index] = static_cast<float>(total);
  }
}

template <template <class> class Shape>
void launch_gradients(const GaussianInputs& in, const RenderSettings& settings, const int32_t* radii,
                      const SplatGrads& v, const GaussianGrads& out, float* camera_sums, Stream stream) {
  const unsigned grid = static_cast<unsigned>(in.batches) * blocks_of(kThreads, in.gaussians);
  if (grid == 0) return;
  if (out.viewmats != nullptr) {
    project_gradients<Shape, true><<<grid, kThreads, 0, stream>>>(in, settings, radii, v, out, camera_sums);
  } else {
    project_gradients<Shape, false><<<grid, kThreads, 0, stream>>>(in, settings, radii, v, out, camera_sums);
  }
  check_launch("project_gradients");
}

}  // namespace

void project(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out,
             Stream stream) {
  const unsigned grid = static_cast<unsigned>(in.batches * in.cameras) * blocks_of(kThreads, in.gaussians);
  if (grid == 0) return;
  if (in.covars != nullptr) {
    project_splats<GivenCovariance><<<grid, kThreads, 0, stream>>>(in, settings, out);
  } else {
    project_splats<ScaledRotation><<<grid, kThreads, 0, stream>>>(in, settings, out);
  }
  check_launch("project_splats");
}

size_t project_backward_workspace(const GaussianInputs& in, bool wants_camera) {
  if (!wants_camera) return 0;
  return sizeof(float) * kCameraSums * in.batches * in.cameras * blocks_of(kThreads, in.gaussians);
}

void project_backward(const GaussianInputs& in, const RenderSettings& settings, const int32_t* radii,
                      const SplatGrads& v, const GaussianGrads& out, void* workspace, Stream stream) {
  float* camera_sums = static_cast<float*>(workspace);
  if (in.covars != nullptr) {
    launch_gradients<GivenCovariance>(in, settings, radii, v, out, camera_sums, stream);
  } else {
    launch_gradients<ScaledRotation>(in, settings, radii, v, out, camera_sums, stream);
  }
  const unsigned images = static_cast<unsigned>(in.batches * in.cameras);
  if (out.viewmats == nullptr || images == 0) return;
  sum_camera_gradients<<<images, kThreads, 0, stream>>>(camera_sums, blocks_of(kThreads, in.gaussians),
                                                        out.viewmats, out.Ks);
  check_launch("sum_camera_gradients");
}

}  // namespace gsplat::cuda
