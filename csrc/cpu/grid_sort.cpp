#include "cpu/grid_sort.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "cpu/parallel.h"

namespace gsplat {
namespace {

// Blurs `count` lines; cell i of line l is at (l * line_stride + i * step) * channels.
void blur_lines(const float* in, float* out, GridLine shape, int64_t count, int64_t line_stride, int64_t step,
                int64_t channels, int64_t radius) {
  radius = std::min(radius, shape.length - 1);
  const std::vector<float> weights = blur_weights(radius);
  parallel_for(count, 8, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(channels);
    for (int64_t line = begin; line < end; ++line) {
      const float* from = in + line * line_stride * channels;
      float* to = out + line * line_stride * channels;
      const auto cell = [&](int64_t i) { return from + shape.inside(i) * step * channels; };
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t i = 0; i < shape.length; ++i) {
        float* target = to + i * step * channels;
        if (radius <= kLargestExactRadius) {
          for (int64_t c = 0; c < channels; ++c) target[c] = 0;
          for (int64_t k = -radius; k <= radius; ++k) {
            const float* source = cell(i + k);
            for (int64_t c = 0; c < channels; ++c) target[c] += weights[k + radius] * source[c];
          }
          continue;
        }
        if (i == 0) {
          for (int64_t k = -radius; k <= radius; ++k) {
            const float* source = cell(k);
            for (int64_t c = 0; c < channels; ++c) sums[c] += source[c];
          }
        } else {
          const float *enters = cell(i + radius), *leaves = cell(i - 1 - radius);
          for (int64_t c = 0; c < channels; ++c) sums[c] += static_cast<double>(enters[c]) - leaves[c];
        }
        const double scale = 1.0 / static_cast<double>(2 * radius + 1);
        for (int64_t c = 0; c < channels; ++c) target[c] = static_cast<float>(sums[c] * scale);
      }
    }
  });
}

// With fewer cells, waking the threads takes longer than a round of exchanges.
constexpr int64_t kWorthThreads = 100'000;

class Grid {
public:
  Grid(const GridSort& options, float* picture, int32_t* order)
      : height_(options.height),
        width_(options.width),
        channels_(options.channels),
        picture_(picture),
        order_(order),
        lines_(height_ * width_ * channels_),
        goal_(lines_.size()) {
    std::iota(order, order + height_ * width_, 0);
  }

  void blur(int64_t radius) {
    blur_lines(picture_, lines_.data(), {width_, true}, height_, width_, 1, channels_, radius);
    blur_lines(lines_.data(), goal_.data(), {height_, false}, width_, 1, width_, channels_, radius);
  }

  ExchangeCost exchange(const GridBlocks& blocks, const std::vector<int32_t>& deal) {
    std::vector<ExchangeCost> costs(blocks.count());
    const auto exchange = [&](int64_t b) {
      const BlockExchange one = {blocks[b], deal.data(), channels_, picture_, goal_.data(), order_};
      GSPLAT_CALL(exchange_block, one, costs[b]);
    };
    if (blocks.count() * blocks.side * blocks.side < kWorthThreads) {
      for (int64_t b = 0; b < blocks.count(); ++b) exchange(b);
    } else {
      parallel_dynamic(blocks.count(), exchange);
    }
    ExchangeCost sum;
    for (const ExchangeCost& cost : costs) {
      sum.before += cost.before;
      sum.after += cost.after;
    }
    return sum;
  }

private:
  int64_t height_, width_, channels_;
  float* picture_;
  int32_t* order_;
  std::vector<float> lines_, goal_;
};

}  // namespace

void grid_sort(const GridSort& options, float* picture, int32_t* order) {
  Grid grid(options, picture, order);
  sort_grid(options, grid);
}

}  // namespace gsplat
