// Sorting vectors into a picture: blurs with a thread for each channel of a line, exchanges with a warp for
// each group of four cells.
#include <algorithm>
#include <limits>

#include "cuda/grid_sort.h"
#include "cuda/warp.cuh"
#include "math/arrangements.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) number_cells_from_zero(int64_t count, int32_t* order) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) order[i] = static_cast<int32_t>(i);
}

// Lines of cells: cell i of line l is at l * line_stride + i * step.
struct Lines {
  GridLine shape;
  int64_t count, line_stride, step, channels, radius;
  float weights[2 * kLargestExactRadius + 1];  // for small radii
};

__global__ void __launch_bounds__(kThreads) blur_small(Lines lines, const float* in, float* out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t channel = i % lines.channels, line = i / lines.channels % lines.count;
  const int64_t cell = i / lines.channels / lines.count;
  if (cell >= lines.shape.length) return;
  const auto at = [&](int64_t c) {
    return (line * lines.line_stride + c * lines.step) * lines.channels + channel;
  };
  float sum = 0.0f;
  for (int64_t k = -lines.radius; k <= lines.radius; ++k) {
    sum += lines.weights[k + lines.radius] * in[at(lines.shape.inside(cell + k))];
  }
  out[at(cell)] = sum;
}

__global__ void __launch_bounds__(kThreads) blur_large(Lines lines, const float* in, float* out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t channel = i % lines.channels, line = i / lines.channels;
  if (line >= lines.count) return;
  const auto at = [&](int64_t c) {
    return (line * lines.line_stride + c * lines.step) * lines.channels + channel;
  };
  const auto cell = [&](int64_t c) { return static_cast<double>(in[at(lines.shape.inside(c))]); };
  const double scale = 1.0 / static_cast<double>(2 * lines.radius + 1);
  double sum = 0.0;
  for (int64_t k = -lines.radius; k <= lines.radius; ++k) sum += cell(k);
  for (int64_t c = 0; c < lines.shape.length; ++c) {
    if (c > 0) sum += cell(c + lines.radius) - cell(c - 1 - lines.radius);
    out[at(c)] = static_cast<float>(sum * scale);
  }
}

// The products of four cells with four goals, and the sum of all their squares.
constexpr int kSums = kGridGroup * kGridGroup + 1;
constexpr int kWarps = kThreads / kWarp;

__global__ void __launch_bounds__(kThreads)
    exchange_groups(GridBlocks blocks, int64_t channels, const int32_t* deal, const float* goal,
                    float* picture, int32_t* order, float* group_costs) {
  __shared__ float shared_sums[kWarps][kSums];
  const int64_t cells = blocks.side * blocks.side, groups_per_block = (cells + kGridGroup - 1) / kGridGroup;
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kWarps + warp_index();
  if (group >= blocks.count() * groups_per_block) return;
  const GridBlock block = blocks[group / groups_per_block];
  const int64_t first = group % groups_per_block * kGridGroup;
  const int count = static_cast<int>(cells - first < kGridGroup ? cells - first : kGridGroup);
  int64_t place[kGridGroup];
  for (int i = 0; i < kGridGroup; ++i) place[i] = i < count ? block.place(deal[first + i]) : 0;

  float sums[kSums] = {};
  for (int64_t c = lane_index(); c < channels; c += kWarp) {
    float from[kGridGroup], to[kGridGroup];
#pragma unroll
    for (int i = 0; i < kGridGroup; ++i) {
      from[i] = i < count ? picture[place[i] * channels + c] : 0.0f;
      to[i] = i < count ? goal[place[i] * channels + c] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < kGridGroup; ++i) {
#pragma unroll
      for (int j = 0; j < kGridGroup; ++j) sums[kGridGroup * i + j] += from[i] * to[j];
      sums[kSums - 1] += from[i] * from[i] + to[i] * to[i];
    }
  }
  float* const all_sums = shared_sums[warp_index()];
  const SumOwner owner = sum_owner<kSums>();
  const float sum = warp_sums(sums);
  if (owner.owns) all_sums[owner.index] = sum;
  __syncwarp();

  // A lane tries an arrangement. Cells that are too few for a group stay.
  int best = lane_index();
  float highest = -std::numeric_limits<float>::infinity();
  if (best == 0 || (best < kArrangements && count == kGridGroup)) {
    highest = 0.0f;
    for (int i = 0; i < kGridGroup; ++i) highest += all_sums[kGridGroup * i + arranged(best, i)];
  }
  const float unchanged = __shfl_sync(kAllLanes, highest, 0);
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, highest, distance);
    const int arrangement = __shfl_xor_sync(kAllLanes, best, distance);
    const bool better = other > highest || (other == highest && arrangement < best);
    highest = better ? other : highest;
    best = better ? arrangement : best;
  }
  if (lane_index() < 2) {
    const float gained = lane_index() == 0 ? unchanged : highest;
    group_costs[2 * group + lane_index()] = all_sums[kSums - 1] - 2.0f * gained;
  }
  if (best == 0) return;
  for (int64_t c = lane_index(); c < channels; c += kWarp) {
    float from[kGridGroup];
    for (int i = 0; i < kGridGroup; ++i) from[i] = picture[place[i] * channels + c];
    for (int i = 0; i < kGridGroup; ++i) picture[place[arranged(best, i)] * channels + c] = from[i];
  }
  const int32_t from = lane_index() < kGridGroup ? order[place[lane_index() % kGridGroup]] : 0;
  __syncwarp();
  if (lane_index() < kGridGroup) order[place[arranged(best, lane_index())]] = from;
}

constexpr int kSumThreads = 256;

// One block adds up all groups, in an order that depends on their number alone.
__global__ void __launch_bounds__(kSumThreads)
    sum_costs(const float* group_costs, int64_t groups, ExchangeCost* cost) {
  __shared__ double before[kSumThreads], after[kSumThreads];
  ExchangeCost sum;
  for (int64_t group = threadIdx.x; group < groups; group += kSumThreads) {
    sum.before += group_costs[2 * group];
    sum.after += group_costs[2 * group + 1];
  }
  before[threadIdx.x] = sum.before;
  after[threadIdx.x] = sum.after;
  for (int half = kSumThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) {
      before[threadIdx.x] += before[threadIdx.x + half];
      after[threadIdx.x] += after[threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) *cost = {before[0], after[0]};
}

void blur_lines(const float* in, float* out, Lines lines, int64_t radius, Stream stream) {
  lines.radius = std::min(radius, lines.shape.length - 1);
  const int64_t channels = lines.count * lines.channels;
  if (lines.radius <= kLargestExactRadius) {
    std::ranges::copy(blur_weights(lines.radius), lines.weights);
    blur_small<<<blocks_of(kThreads, channels * lines.shape.length), kThreads, 0, stream>>>(lines, in, out);
    check_launch("blur_small");
  } else {
    blur_large<<<blocks_of(kThreads, channels), kThreads, 0, stream>>>(lines, in, out);
    check_launch("blur_large");
  }
}

}  // namespace

SortedGrid::SortedGrid(void* workspace, const GridSort& options, float* picture_, int32_t* order_)
    : height(options.height),
      width(options.width),
      channels(options.channels),
      picture(picture_),
      order(order_) {
  Carver carver(workspace);
  const int64_t cells = height * width,
                side = block_side(options, static_cast<int64_t>(options.first_radius));
  lines = carver.take<float>(cells * channels);
  goal = carver.take<float>(cells * channels);
  deal = carver.take<int32_t>(side * side);
  group_costs = carver.take<float>(2 * cells);
  cost = carver.take<ExchangeCost>(1);
  bytes = carver.used();
}

void number_cells(const SortedGrid& grid, Stream stream) {
  const int64_t cells = grid.height * grid.width;
  number_cells_from_zero<<<blocks_of(kThreads, cells), kThreads, 0, stream>>>(cells, grid.order);
  check_launch("number_cells_from_zero");
}

void blur_grid(const SortedGrid& grid, int64_t radius, Stream stream) {
  const int64_t w = grid.width, h = grid.height;
  blur_lines(grid.picture, grid.lines, {{w, true}, h, w, 1, grid.channels}, radius, stream);
  blur_lines(grid.lines, grid.goal, {{h, false}, w, 1, w, grid.channels}, radius, stream);
}

void exchange_cells(const SortedGrid& grid, const GridBlocks& blocks, Stream stream) {
  const int64_t groups = blocks.count() * ((blocks.side * blocks.side + kGridGroup - 1) / kGridGroup);
  if (groups > 0) {
    exchange_groups<<<blocks_of(kWarps, groups), kThreads, 0, stream>>>(
        blocks, grid.channels, grid.deal, grid.goal, grid.picture, grid.order, grid.group_costs);
    check_launch("exchange_groups");
  }
  sum_costs<<<1, kSumThreads, 0, stream>>>(grid.group_costs, groups, grid.cost);
  check_launch("sum_costs");
}

}  // namespace gsplat::cuda
