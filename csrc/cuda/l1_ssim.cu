// L1 and SSIM of images and their gradient; the formulas are in math/ssim.h.
//
// One pass over the pixels makes the SSIM map's derivatives, a second one filters them into the gradient. A
// block has 16 x 16 pixels of all three channels, one after the other; it filters along the rows first and
// then down the columns, in shared memory.
#include "cuda/l1_ssim.h"
#include "cuda/warp.cuh"
#include "math/ssim.h"

namespace gsplat::cuda {
namespace {

constexpr int kSide = 16;
constexpr int kThreads = kSide * kSide;
constexpr int kReach = kSide + 2 * kSsimRadius;  // pixels per side that the windows of a block see
constexpr int kChannels = 3;
constexpr int kMaps = 3;  // derivatives by mean, variance and covariance
constexpr int kSums = 2;  // of absolute differences and of SSIM

// The pixels of a block: columns and rows of blocks, images in layers.
struct Place {
  int64_t image;        // index of its first float
  int x0, y0, x, y;     // of the block's first and of the thread's pixel
  int row, column;      // of the thread in the block
  bool exists, in_map;  // inside the image; far enough from its border to count for SSIM

  __device__ explicit Place(const LossInputs& in)
      : image(blockIdx.z * in.height * in.width * kChannels),
        x0(static_cast<int>(blockIdx.x) * kSide),
        y0(static_cast<int>(blockIdx.y) * kSide),
        row(static_cast<int>(threadIdx.x) / kSide),
        column(static_cast<int>(threadIdx.x) % kSide) {
    x = x0 + column;
    y = y0 + row;
    exists = x < in.width && y < in.height;
    in_map = x >= in.margin && y >= in.margin && x < in.width - in.margin && y < in.height - in.margin;
  }
};

__device__ float target_at(const LossInputs& in, int64_t i) {
  return in.target_bytes != nullptr ? static_cast<float>(in.target_bytes[i]) / 255.0f : in.target[i];
}

// The middle of the part of a block that is inside the image, along one side; `i` is any place in the block.
__device__ int64_t middle_of_block(int i, int64_t size) {
  const int64_t first = i / kSide * kSide;
  return first + (size - first < kSide ? size - first : kSide) / 2;
}

// What is taken off the pixels of a block, so that the squares of common values are small: that of the target
// in its middle. For the block of the pixel (x, y).
__device__ float pivot_of_block(const LossInputs& in, const Place& place, int x, int y, int channel) {
  const int64_t pixel = middle_of_block(y, in.height) * in.width + middle_of_block(x, in.width);
  return target_at(in, place.image + pixel * kChannels + channel);
}

// Calls body(i, x, y) for each pixel that the windows see, with its place i in a kReach x kReach array.
template <class Body>
__device__ void each_seen(const Place& place, Body&& body) {
  for (int i = static_cast<int>(threadIdx.x); i < kReach * kReach; i += kThreads) {
    body(i, place.x0 + i % kReach - kSsimRadius, place.y0 + i / kReach - kSsimRadius);
  }
}

// The weighted sum of the kSsimTaps values at(0), at(1), ...
template <class Value>
__device__ float filter(Value&& at) {
  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < kSsimTaps; ++k) sum = fma(ssim_window(k), at(k), sum);
  return sum;
}

// derivatives [kMaps, all floats of the images], null when no gradient is wanted; sums [blocks, kSums].
__global__ void __launch_bounds__(kThreads)
    ssim_maps(LossInputs in, float* derivatives, int64_t map_size, float* block_totals) {
  constexpr int kMoments = 4;
  __shared__ float pixels[2][kReach * kReach];
  __shared__ float rows[kMoments][kReach * kSide];
  const Place place(in);
  float sums[kSums] = {0.0f, 0.0f};
  for (int c = 0; c < kChannels; ++c) {
    const float pivot = pivot_of_block(in, place, place.x0, place.y0, c);
    each_seen(place, [&](int i, int x, int y) {
      const bool inside = x >= 0 && y >= 0 && x < in.width && y < in.height;
      const int64_t pixel = place.image + (y * in.width + x) * kChannels + c;
      pixels[0][i] = (inside ? in.image[pixel] : 0.0f) - pivot;
      pixels[1][i] = (inside ? target_at(in, pixel) : 0.0f) - pivot;
    });
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kReach * kSide; i += kThreads) {
      const float* image = pixels[0] + i / kSide * kReach + i % kSide;
      const float* target = pixels[1] + i / kSide * kReach + i % kSide;
      rows[0][i] = filter([&](int k) { return image[k]; });
      rows[1][i] = filter([&](int k) { return target[k]; });
      rows[2][i] = filter([&](int k) { return fma(image[k], image[k], target[k] * target[k]); });
      rows[3][i] = filter([&](int k) { return image[k] * target[k]; });
    }
    __syncthreads();
    const auto column_of = [&](int moment) {
      return filter([&](int k) { return rows[moment][(place.row + k) * kSide + place.column]; });
    };
    const Ssim<float> ssim({column_of(0), column_of(1), column_of(2), column_of(3)}, pivot);
    if (place.exists) {
      const int centre = (place.row + kSsimRadius) * kReach + place.column + kSsimRadius;
      sums[0] += abs(pixels[0][centre] - pixels[1][centre]);
      if (place.in_map) sums[1] += ssim.value;
      if (derivatives != nullptr) {
        SsimDerivatives<float> by = {0.0f, 0.0f, 0.0f};
        if (place.in_map) by = ssim.derivatives();
        float* out = derivatives + place.image + (place.y * in.width + place.x) * kChannels + c;
        out[0] = by.mean;
        out[map_size] = by.variance;
        out[2 * map_size] = by.covariance;
      }
    }
    // The next channel's pixels take the place of these.
    __syncthreads();
  }
  const float total = block_sums<kSums, kThreads>(sums);
  const int64_t block = (static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  if (threadIdx.x < kSums) block_totals[block * kSums + threadIdx.x] = total;
}

__global__ void __launch_bounds__(kThreads)
    ssim_gradient(LossInputs in, LossGradient gradient, const float* derivatives, int64_t map_size) {
  __shared__ float seen[kMaps][kReach * kReach];
  __shared__ float rows[kMaps][kReach * kSide];
  const Place place(in);
  for (int c = 0; c < kChannels; ++c) {
    const float pivot = pivot_of_block(in, place, place.x0, place.y0, c);
    each_seen(place, [&](int i, int x, int y) {
      SsimDerivatives<float> by = {0.0f, 0.0f, 0.0f};
      if (x >= 0 && y >= 0 && x < in.width && y < in.height) {
        const float* from = derivatives + place.image + (y * in.width + x) * kChannels + c;
        by = with_other_pivot({from[0], from[map_size], from[2 * map_size]},
                              pivot - pivot_of_block(in, place, x, y, c));
      }
      seen[0][i] = by.mean;
      seen[1][i] = by.variance;
      seen[2][i] = by.covariance;
    });
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kReach * kSide; i += kThreads) {
      for (int map = 0; map < kMaps; ++map) {
        const float* row = seen[map] + i / kSide * kReach + i % kSide;
        rows[map][i] = filter([&](int k) { return row[k]; });
      }
    }
    __syncthreads();
    if (place.exists) {
      const auto column_of = [&](int map) {
        return filter([&](int k) { return rows[map][(place.row + k) * kSide + place.column]; });
      };
      const SsimDerivatives<float> filtered = {column_of(0), column_of(1), column_of(2)};
      const int64_t pixel = place.image + (place.y * in.width + place.x) * kChannels + c;
      const float x = in.image[pixel], y = target_at(in, pixel);
      gradient.pixels[pixel] = l1_pixel_gradient(x, y, gradient.l1_scale) +
                               gradient.ssim_scale * ssim_pixel_gradient(filtered, x - pivot, y - pivot);
    }
  }
}

// One block adds up the blocks' sums, always in the same order.
__global__ void __launch_bounds__(kThreads)
    sum_losses(const float* block_totals, int64_t blocks, LossWeights weights, LossOutputs out) {
  __shared__ double parts[kSums][kThreads];
  double totals[kSums] = {0.0, 0.0};
  for (int64_t block = threadIdx.x; block < blocks; block += kThreads) {
    for (int i = 0; i < kSums; ++i) totals[i] += block_totals[block * kSums + i];
  }
  for (int i = 0; i < kSums; ++i) parts[i][threadIdx.x] = totals[i];
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int part = 1; part < kThreads; ++part) {
    for (int i = 0; i < kSums; ++i) totals[i] += parts[i][part];
  }
  mixed_loss(totals[0], totals[1], weights, out);
}

dim3 blocks_of_images(const LossInputs& inputs, int64_t count) {
  return dim3(blocks_of(kSide, inputs.width), blocks_of(kSide, inputs.height), static_cast<unsigned>(count));
}

struct Workspace {
  float *block_totals, *derivatives;
  int64_t blocks, map_size;
  size_t bytes;

  Workspace(void* base, const LossInputs& inputs, bool wants_gradient, int64_t count) {
    const dim3 grid = blocks_of_images(inputs, count);
    blocks = static_cast<int64_t>(grid.x) * grid.y * grid.z;
    map_size = count * inputs.height * inputs.width * kChannels;
    Carver carver(base);
    block_totals = carver.take<float>(blocks * kSums);
    derivatives = wants_gradient ? carver.take<float>(kMaps * map_size) : nullptr;
    bytes = carver.used();
  }
};

}  // namespace

size_t l1_ssim_workspace(const LossInputs& inputs, bool wants_gradient, int64_t count) {
  return Workspace(nullptr, inputs, wants_gradient, count).bytes;
}

void l1_ssim(const LossInputs& inputs, const LossGradient& gradient, int64_t count,
             const LossWeights& weights, const LossOutputs& out, void* workspace, Stream stream) {
  const bool wants_gradient = gradient.pixels != nullptr;
  const Workspace w(workspace, inputs, wants_gradient, count);
  const dim3 grid = blocks_of_images(inputs, count);
  ssim_maps<<<grid, kThreads, 0, stream>>>(inputs, w.derivatives, w.map_size, w.block_totals);
  check_launch("ssim_maps");
  if (wants_gradient) {
    ssim_gradient<<<grid, kThreads, 0, stream>>>(inputs, gradient, w.derivatives, w.map_size);
    check_launch("ssim_gradient");
  }
  sum_losses<<<1, kThreads, 0, stream>>>(w.block_totals, w.blocks, weights, out);
  check_launch("sum_losses");
}

}  // namespace gsplat::cuda
