// Sums of splats in pixels, without order and without end: line integrals of a radiative field.
//
// Forward, a block owns a tile, and each of its warps a patch of 8 x 4 pixels. In a sum nothing depends on
// what lies in front, so the backward pass needs neither lists nor atomics: a warp looks up the gradients of
// the pixels of one splat.
#include "cuda/radiative.h"
#include "cuda/warp.cuh"
#include "math/ellipse.h"
#include "math/response/gaussian.h"

namespace gsplat::cuda {
namespace {

constexpr int kColumns = 8, kRows = 4;  // of a patch
constexpr int kBatch = 128;             // splats that a block stages at a time
constexpr int kMostThreads = 32 * 32;   // for the largest tiles
constexpr int kSplatThreads = 128;

struct Splat {
  float mean_x, mean_y;
  SplatShape<float> shape;

  __device__ Splat(const SummedSplats& in, int64_t id)
      : mean_x(in.means2d[2 * id]),
        mean_y(in.means2d[2 * id + 1]),
        shape{static_cast<float>(kRootScale) * in.shapes[3 * id],
              static_cast<float>(kRootScale) * in.shapes[3 * id + 1],
              static_cast<float>(kRootScale) * in.shapes[3 * id + 2], log2(in.opacities[id])} {}

  __device__ Ellipse<float> ellipse() const {
    return Ellipse<float>(shape.l11, shape.l21, shape.l22,
                          shape.log2_opacity - static_cast<float>(kMinPower));
  }
};

// A splat at the centre of a pixel; zero where the least that counts is not reached.
struct SplatAt {
  float u, v, value;

  __device__ SplatAt(const Splat& s, int x, int y) {
    const float dx = static_cast<float>(x) + 0.5f - s.mean_x, dy = static_cast<float>(y) + 0.5f - s.mean_y;
    const ResponseAt<float> at = response_at<GaussianResponse, float>(s.shape, nullptr, dx, dy);
    u = at.u;
    v = at.v;
    value = exp2_where(at.power >= static_cast<float>(kMinPower), at.power);
  }
};

struct alignas(16) StagedSplats {
  float mean_x[kBatch], mean_y[kBatch];
  SplatShape<float> shape[kBatch];
  uint32_t patches[kBatch];  // one bit for each that a splat may touch
};

__global__ void __launch_bounds__(kMostThreads) sum_tiles(SummedSplats in, SumLists lists, float* sums) {
  __shared__ StagedSplats batch;
  const int side = lists.tile_size, columns = side / kColumns, patches = side * side / kWarp;
  const int x0 = static_cast<int>(blockIdx.x) * side, y0 = static_cast<int>(blockIdx.y) * side;
  const int patch = warp_index(), lane = lane_index();
  const int x = x0 + patch % columns * kColumns + lane % kColumns;
  const int y = y0 + patch / columns * kRows + lane / kColumns;
  const int64_t tile = (static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int end = lists.tile_offsets[tile + 1];
  float total = 0.0f;
  for (int first = lists.tile_offsets[tile]; first < end; first += kBatch) {
    const int count = end - first < kBatch ? end - first : kBatch;
    __syncthreads();  // everyone is done with the batch before
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
      const Splat splat(in, lists.flatten_ids[first + i]);
      batch.mean_x[i] = splat.mean_x;
      batch.mean_y[i] = splat.mean_y;
      batch.shape[i] = splat.shape;
      const Ellipse<float> ellipse = splat.ellipse();
      uint32_t bits = 0;
#pragma unroll 1
      for (int p = 0; p < patches; ++p) {
        const float left = static_cast<float>(x0 + p % columns * kColumns) + 0.5f - splat.mean_x;
        const float top = static_cast<float>(y0 + p / columns * kRows) + 0.5f - splat.mean_y;
        if (ellipse.touches(left, left + (kColumns - 1), top, top + (kRows - 1))) bits |= 1u << p;
      }
      batch.patches[i] = bits;
    }
    __syncthreads();
    for (int group = 0; group < count; group += kWarp) {
      const bool mine = group + lane < count && (batch.patches[group + lane] >> patch & 1u) != 0;
      for (uint32_t rest = __ballot_sync(kAllLanes, mine); rest != 0; rest &= rest - 1) {
        GSPLAT_COUNT(pairs);
        const int i = group + __ffs(rest) - 1;
        const float dx = static_cast<float>(x) + 0.5f - batch.mean_x[i];
        const float dy = static_cast<float>(y) + 0.5f - batch.mean_y[i];
        const float power = response_at<GaussianResponse, float>(batch.shape[i], nullptr, dx, dy).power;
        total += exp2_where(power >= static_cast<float>(kMinPower), power);
      }
    }
  }
  if (x >= in.image.width || y >= in.image.height) return;
  sums[(static_cast<int64_t>(blockIdx.z) * in.image.height + y) * in.image.width + x] = in.unit * total;
}

// A warp for each splat.
__global__ void __launch_bounds__(kSplatThreads)
    sum_splats_gradients(SummedSplats in, const float* v_sums, SummedSplatGrads out) {
  constexpr int kSums = 6;
  __shared__ float totals[kSplatThreads / kWarp][kSums];
  const int64_t id = static_cast<int64_t>(blockIdx.x) * (kSplatThreads / kWarp) + warp_index();
  const int lane = lane_index();
  if (id >= in.images * in.gaussians) return;
  const bool seen = in.opacities[id] > 0.0f;
  auto m = QuadraticMoments<float>::zero();
  if (seen) {
    const Splat splat(in, id);
    const Ellipse<float> ellipse = splat.ellipse();
    const float* v_image = v_sums + id / in.gaussians * in.image.width * in.image.height;
    const PixelRange<float> rows(splat.mean_y - ellipse.half_y, splat.mean_y + ellipse.half_y,
                                 static_cast<float>(in.image.height));
    for (int y0 = static_cast<int>(rows.first); y0 <= static_cast<int>(rows.last); y0 += kRows) {
      const float top = static_cast<float>(y0) + 0.5f - splat.mean_y;
      float left, right;
      ellipse.span(top, top + (kRows - 1), left, right);
      const PixelRange<float> span(splat.mean_x + left, splat.mean_x + right,
                                   static_cast<float>(in.image.width));
      const int y = y0 + lane / kColumns;
      for (int x = static_cast<int>(span.first) + lane % kColumns; x <= static_cast<int>(span.last);
           x += kColumns) {
        if (y >= in.image.height) continue;
        GSPLAT_COUNT(pairs);
        const SplatAt at(splat, x, y);
        const float e = at.value * v_image[static_cast<int64_t>(y) * in.image.width + x];
        m.add(e, e, at.u, at.v);
      }
    }
  }
  float sums[kSums] = {m.e, m.eu, m.ev, m.euu, m.euv, m.evv};
  const float sum = warp_sums(sums);
  const SumOwner owner = sum_owner<kSums>();
  float* of_splat = totals[warp_index()];
  if (owner.owns) of_splat[owner.index] = in.unit * sum;
  __syncwarp();
  if (lane != 0) return;
  SplatGrad<float> g = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
  if (seen) {
    const QuadraticMoments<float> all = {of_splat[0], of_splat[1], of_splat[2],
                                         of_splat[3], of_splat[4], of_splat[5]};
    g = splat_vjp(all, in.shapes[3 * id], in.shapes[3 * id + 1], in.shapes[3 * id + 2], in.opacities[id]);
  }
  out.means2d[2 * id] = g.mean_x;
  out.means2d[2 * id + 1] = g.mean_y;
  out.shapes[3 * id] = g.l11;
  out.shapes[3 * id + 1] = g.l21;
  out.shapes[3 * id + 2] = g.l22;
  out.opacities[id] = g.opacity;
}

}  // namespace

void sum_splats(const SummedSplats& in, const SumLists& lists, float* sums, Stream stream) {
  if (in.images == 0) return;
  const TileGrid grid(in.image, lists.tile_size);
  const dim3 blocks(static_cast<unsigned>(grid.columns), static_cast<unsigned>(grid.rows),
                    static_cast<unsigned>(in.images));
  sum_tiles<<<blocks, static_cast<unsigned>(lists.tile_size * lists.tile_size), 0, stream>>>(in, lists, sums);
  check_launch("sum_tiles");
}

void sum_splats_backward(const SummedSplats& in, const float* v_sums, const SummedSplatGrads& out,
                         Stream stream) {
  const unsigned blocks = blocks_of(kSplatThreads / kWarp, in.images * in.gaussians);
  if (blocks == 0) return;
  sum_splats_gradients<<<blocks, kSplatThreads, 0, stream>>>(in, v_sums, out);
  check_launch("sum_splats_gradients");
}

}  // namespace gsplat::cuda
