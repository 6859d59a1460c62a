// Values of a radiative field at the centres of voxels.
//
// Forward, a block owns 8 x 8 x 8 voxels, each thread one of them, and goes through the list of their
// columns. Backward, a warp looks up the gradients of the voxels of one Gaussian.
#include "cuda/gaussians.cuh"
#include "cuda/radiative.h"
#include "cuda/warp.cuh"
#include "math/ellipsoid.h"

namespace gsplat::cuda {
namespace {

constexpr int kSide = kVoxelTile;
constexpr int kVoxelThreads = kSide * kSide * kSide;
constexpr int kBatch = 128;  // Gaussians that a block stages at a time
constexpr int kThreads = 128;

struct Record {
  Ellipsoid<float> shape;
  float half_x, half_z;  // of the box around it; negative where it is culled
};

__device__ Gaussian<float, ScaledRotation> load(const VoxelInputs& in, int64_t i) {
  const float* q = in.quats + 4 * i;
  return {load_vec3(in.means, i), {{q[0], q[1], q[2], q[3]}, load_vec3(in.scales, i)}, in.opacities[i]};
}

__global__ void __launch_bounds__(kThreads) prepare_ellipsoids(VoxelInputs in, Record* records) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= in.gaussians) return;
  Record r = {};
  r.half_x = r.half_z = -1.0f;
  if (is_visible(in.radii, i)) {
    const auto g = load(in, i);
    const VoxelGrid& grid = in.grid;
    r.shape = ellipsoid<float>(g, {grid.origin[0], grid.origin[1], grid.origin[2]},
                               {grid.spacing[0], grid.spacing[1], grid.spacing[2]},
                               log2(max(g.opacity, static_cast<float>(1.0 / 255.0))));
    const float reach =
        sqrt(max(r.shape.log2_opacity - static_cast<float>(kMinPower), 0.0f)) * (1.0f + 1e-5f);
    const Mat3<float> turn = rotation_matrix(g.shape.quaternion);
    const Vec3<float> row = {turn.m[2][0] * g.shape.scales.x, turn.m[2][1] * g.shape.scales.y,
                             turn.m[2][2] * g.shape.scales.z};
    if (has_root(r.shape)) {
      r.half_x = reach / abs(r.shape.xx) + 2e-3f;
      r.half_z = reach * sqrt(dot(row, row)) / (grid.spacing[2] * static_cast<float>(kRootScale)) + 2e-3f;
    }
  }
  records[i] = r;
}

// A Gaussian at the centre of a voxel; zero where the least that counts is not reached.
struct EllipsoidAt {
  float u, v, w, value;

  __device__ EllipsoidAt(const Ellipsoid<float>& s, int x, int y, int z) {
    const float dx = static_cast<float>(x) + 0.5f - s.mean.x, dy = static_cast<float>(y) + 0.5f - s.mean.y;
    const float dz = static_cast<float>(z) + 0.5f - s.mean.z;
    u = fma(s.zz, dz, fma(s.zy, dy, s.zx * dx));
    v = fma(s.yy, dy, s.yx * dx);
    w = s.xx * dx;
    const float power = fma(-u, u, fma(-v, v, fma(-w, w, s.log2_opacity)));
    value = exp2_where(power >= static_cast<float>(kMinPower), power);
  }
};

// The numbers of voxels whose centres lie between mean - half and mean + half.
struct Range {
  int first, last;

  __device__ Range(float mean, float half, int count) {
    const float beyond = static_cast<float>(count);
    first = static_cast<int>(min(max(-floor(0.5f - (mean - half)), 0.0f), beyond));
    last = static_cast<int>(max(min(floor(mean + half - 0.5f), beyond - 1.0f), -1.0f));
  }
};

// Those along y, in the plane x, that a Gaussian reaches.
__device__ inline Range rows_of(const Ellipsoid<float>& s, int x, int count) {
  const float dx = static_cast<float>(x) + 0.5f - s.mean.x, w = s.xx * dx;
  const float above = fma(-w, w, s.log2_opacity) - static_cast<float>(kMinPower);
  const float reach = sqrt(max(above, 0.0f)), lean = s.yx * dx;
  const float half = (reach + 1e-5f * (reach + abs(lean))) / s.yy + 2e-3f;
  return Range(s.mean.y - lean / s.yy, above >= 0.0f ? half : -1.0f, count);
}

__global__ void __launch_bounds__(kVoxelThreads)
    fill_voxels(VoxelInputs in, SumLists lists, const Record* records, float* volume) {
  __shared__ Ellipsoid<float> batch[kBatch];
  __shared__ bool reaches[kBatch];  // the block's voxels, as far as z tells
  const int32_t* shape = in.grid.shape;
  const int thread = static_cast<int>(threadIdx.x), lane = lane_index();
  const int z0 = static_cast<int>(blockIdx.x) * kSide;
  const int x = static_cast<int>(blockIdx.z) * kSide + thread / (kSide * kSide);  // the same for a warp
  const int y = static_cast<int>(blockIdx.y) * kSide + thread / kSide % kSide;
  const int z = z0 + thread % kSide;
  const int64_t tile = static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y;
  const int end = lists.tile_offsets[tile + 1];
  float total = 0.0f;
  for (int first = lists.tile_offsets[tile]; first < end; first += kBatch) {
    const int count = end - first < kBatch ? end - first : kBatch;
    __syncthreads();  // everyone is done with the batch before
    if (thread < count) {
      const Record& r = records[lists.flatten_ids[first + thread]];
      batch[thread] = r.shape;
      reaches[thread] = r.half_z > 0.0f && r.shape.mean.z + r.half_z >= static_cast<float>(z0) &&
                        r.shape.mean.z - r.half_z <= static_cast<float>(z0 + kSide);
    }
    __syncthreads();
    for (int group = 0; group < count; group += kWarp) {
      bool mine = group + lane < count && reaches[group + lane];
      if (mine) {
        const Ellipsoid<float>& s = batch[group + lane];
        const float w = s.xx * (static_cast<float>(x) + 0.5f - s.mean.x);
        mine = fma(-w, w, s.log2_opacity) >= static_cast<float>(kMinPower);
      }
      for (uint32_t rest = __ballot_sync(kAllLanes, mine); rest != 0; rest &= rest - 1) {
        GSPLAT_COUNT(pairs);
        total += EllipsoidAt(batch[group + __ffs(rest) - 1], x, y, z).value;
      }
    }
  }
  if (x >= shape[0] || y >= shape[1] || z >= shape[2]) return;
  volume[(static_cast<int64_t>(x) * shape[1] + y) * shape[2] + z] = in.unit * total;
}

// A warp for each Gaussian sums up its moments.
__global__ void __launch_bounds__(kThreads)
    gather_voxel_moments(VoxelInputs in, const Record* records, const float* v_volume, float* moments) {
  constexpr int kAlongZ = 8, kAlongY = 4;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + warp_index();
  if (i >= in.gaussians) return;
  const Record r = records[i];
  const Ellipsoid<float>& s = r.shape;
  const int32_t* shape = in.grid.shape;
  EllipsoidMoments<float> m = {};
  const Range planes(s.mean.x, r.half_x, shape[0]), depths(s.mean.z, r.half_z, shape[2]);
  for (int x = planes.first; x <= planes.last; ++x) {
    const Range rows = rows_of(s, x, shape[1]);
    for (int y = rows.first + lane_index() / kAlongZ; y <= rows.last; y += kAlongY) {
      const float* v_column = v_volume + (static_cast<int64_t>(x) * shape[1] + y) * shape[2];
      for (int z = depths.first + lane_index() % kAlongZ; z <= depths.last; z += kAlongZ) {
        GSPLAT_COUNT(pairs);
        const EllipsoidAt at(s, x, y, z);
        const float e = at.value * v_column[z], eu = e * at.u, ev = e * at.v, ew = e * at.w;
        m.e += e;
        m.eu += eu;
        m.ev += ev;
        m.ew += ew;
        m.euu = fma(eu, at.u, m.euu);
        m.euv = fma(eu, at.v, m.euv);
        m.euw = fma(eu, at.w, m.euw);
        m.evv = fma(ev, at.v, m.evv);
        m.evw = fma(ev, at.w, m.evw);
        m.eww = fma(ew, at.w, m.eww);
      }
    }
  }
  float sums[kEllipsoidMoments] = {m.e, m.eu, m.ev, m.ew, m.euu, m.euv, m.euw, m.evv, m.evw, m.eww};
  const float sum = warp_sums(sums);
  const SumOwner owner = sum_owner<kEllipsoidMoments>();
  if (owner.owns) moments[i * kEllipsoidMoments + owner.index] = in.unit * sum;
}

__global__ void __launch_bounds__(kThreads)
    voxel_gradients(VoxelInputs in, const float* moments, VoxelGrads out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= in.gaussians) return;
  const float* m = moments + i * kEllipsoidMoments;
  bool some = false;
  for (int k = 0; k < kEllipsoidMoments; ++k) some = some || m[k] != 0.0f;
  Gaussian<float, ScaledRotation> g = {};
  // What no voxel sees has no gradient, whatever its numbers are.
  if (some)
    g = ellipsoid_vjp<float>(load(in, i), {m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9]});
  store_vec3(out.means, i, g.mean);
  float* q = out.quats + 4 * i;
  q[0] = g.shape.quaternion.w;
  q[1] = g.shape.quaternion.x;
  q[2] = g.shape.quaternion.y;
  q[3] = g.shape.quaternion.z;
  store_vec3(out.scales, i, g.shape.scales);
  out.opacities[i] = g.opacity;
}

void prepare(const VoxelInputs& in, Record* records, Stream stream) {
  prepare_ellipsoids<<<blocks_of(kThreads, in.gaussians), kThreads, 0, stream>>>(in, records);
  check_launch("prepare_ellipsoids");
}

struct BackwardWorkspace {
  Record* records;
  float* moments;
  size_t bytes;

  BackwardWorkspace(void* base, int64_t gaussians) {
    Carver carver(base);
    records = carver.take<Record>(gaussians);
    moments = carver.take<float>(gaussians * kEllipsoidMoments);
    bytes = carver.used();
  }
};

}  // namespace

size_t voxelize_workspace(const VoxelInputs& in) {
  return sizeof(Record) * static_cast<size_t>(in.gaussians);
}

void voxelize(const VoxelInputs& in, const SumLists& lists, float* volume, void* workspace, Stream stream) {
  Record* const records = static_cast<Record*>(workspace);
  if (in.gaussians > 0) prepare(in, records, stream);
  const int32_t* shape = in.grid.shape;
  const dim3 blocks(blocks_of(kSide, shape[2]), blocks_of(kSide, shape[1]), blocks_of(kSide, shape[0]));
  fill_voxels<<<blocks, kVoxelThreads, 0, stream>>>(in, lists, records, volume);
  check_launch("fill_voxels");
}

size_t voxelize_backward_workspace(const VoxelInputs& in) {
  return BackwardWorkspace(nullptr, in.gaussians).bytes;
}

void voxelize_backward(const VoxelInputs& in, const float* v_volume, const VoxelGrads& out, void* workspace,
                       Stream stream) {
  if (in.gaussians == 0) return;
  const BackwardWorkspace w(workspace, in.gaussians);
  prepare(in, w.records, stream);
  gather_voxel_moments<<<blocks_of(kThreads / kWarp, in.gaussians), kThreads, 0, stream>>>(
      in, w.records, v_volume, w.moments);
  check_launch("gather_voxel_moments");
  voxel_gradients<<<blocks_of(kThreads, in.gaussians), kThreads, 0, stream>>>(in, w.moments, out);
  check_launch("voxel_gradients");
}

}  // namespace gsplat::cuda
