#include "cpu/grid_sort.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "cpu/parallel.h"

namespace gsplat {
namespace {

// SplitMix64 (Steele et al. 2014).
class Random {
public:
  explicit Random(uint64_t seed) : state_(seed) {}

  // Evenly from [0, below).
  int64_t draw(int64_t below) {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return static_cast<int64_t>((static_cast<unsigned __int128>(z) * static_cast<uint64_t>(below)) >> 64);
  }

private:
  uint64_t state_;
};

// The kernel of the published algorithm: a Gaussian as wide as its window, so nearly a box.
std::vector<float> window(int64_t radius) {
  const double sigma = static_cast<double>(2 * radius + 1);
  std::vector<float> weights(2 * radius + 1);
  double sum = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    sum += std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma));
  }
  for (int64_t i = -radius; i <= radius; ++i) {
    weights[i + radius] =
        static_cast<float>(std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma)) / sum);
  }
  return weights;
}

// A window of large radius is replaced by a running sum: its weights fall by an eighth of e at the border
// only.
constexpr int64_t kLargestExact = 8;

// Blurs `count` lines of `length` cells; cell i of line l is at (l * line_stride + i * step) * channels.
// Around the ends the line goes on from its other end (`circular`) or is mirrored at the border cells.
void blur_lines(const float* in, float* out, int64_t count, int64_t length, int64_t line_stride, int64_t step,
                int64_t channels, int64_t radius, bool circular) {
  radius = std::min(radius, length - 1);
  const std::vector<float> weights = window(radius);
  const auto inside = [&](int64_t i) {
    if (circular) return (i % length + length) % length;
    if (i < 0) i = -i;
    return i < length ? i : 2 * (length - 1) - i;
  };
  parallel_for(count, 8, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(channels);
    for (int64_t line = begin; line < end; ++line) {
      const float* from = in + line * line_stride * channels;
      float* to = out + line * line_stride * channels;
      const auto cell = [&](int64_t i) { return from + inside(i) * step * channels; };
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t i = 0; i < length; ++i) {
        float* target = to + i * step * channels;
        if (radius <= kLargestExact) {
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

class Sorter {
public:
  Sorter(const GridSort& options, float* picture, int32_t* order)
      : options_(options),
        picture_(picture),
        order_(order),
        random_(options.seed),
        lines_(options.height * options.width * options.channels),
        goal_(lines_.size()) {
    std::iota(order, order + options.height * options.width, 0);
  }

  void run() {
    for (double radius = options_.first_radius; radius >= 1; radius *= options_.shrink) {
      const auto cells = static_cast<int64_t>(radius);
      blur(cells);
      sort_towards_goal(cells);
    }
  }

private:
  void blur(int64_t radius) {
    const int64_t h = options_.height, w = options_.width, c = options_.channels;
    blur_lines(picture_, lines_.data(), h, w, w, 1, c, radius, true);
    blur_lines(lines_.data(), goal_.data(), w, h, 1, w, c, radius, false);
  }

  void sort_towards_goal(int64_t radius) {
    constexpr int64_t kSmallest = 16;
    constexpr int kShifts = 4;
    const int64_t shorter = std::min(options_.height, options_.width);
    const int64_t side = std::max<int64_t>(2, std::min(shorter, std::max(kSmallest, 2 * (radius + 1))));
    for (int shift = 0;; ++shift) {
      const bool improved = sort_blocks(side, random_.draw(options_.height), random_.draw(options_.width));
      if (!improved && shift + 1 >= kShifts) return;
    }
  }

  // Blocks of side x side from a corner on, as many as fit; the cells between are left for another shift.
  bool sort_blocks(int64_t side, int64_t y, int64_t x) {
    const int64_t rows = options_.height / side, columns = options_.width / side;
    std::vector<int32_t> deal(side * side);
    std::iota(deal.begin(), deal.end(), 0);
    std::vector<BlockCost> costs(rows * columns);
    for (bool improved = false;; improved = true) {
      for (int64_t i = side * side - 1; i > 0; --i) std::swap(deal[i], deal[random_.draw(i + 1)]);
      const auto exchange = [&](int64_t b) {
        const GridBlock block{
            .picture = picture_,
            .goal = goal_.data(),
            .order = order_,
            .height = options_.height,
            .width = options_.width,
            .channels = options_.channels,
            .y = (y + b / columns * side) % options_.height,
            .x = (x + b % columns * side) % options_.width,
            .side = side,
            .deal = deal.data(),
        };
        GSPLAT_CALL(exchange_block, block, costs[b]);
      };
      if (rows * columns * side * side < kWorthThreads) {
        for (int64_t b = 0; b < rows * columns; ++b) exchange(b);
      } else {
        parallel_dynamic(rows * columns, exchange);
      }
      BlockCost cost;
      for (const BlockCost& part : costs) {
        cost.before += part.before;
        cost.after += part.after;
      }
      if (!(cost.before > 0 && 1 - cost.after / cost.before >= options_.improvement)) return improved;
    }
  }

  GridSort options_;
  float* picture_;
  int32_t* order_;
  Random random_;
  std::vector<float> lines_, goal_;
};

}  // namespace

void grid_sort(const GridSort& options, float* picture, int32_t* order) {
  Sorter(options, picture, order).run();
}

}  // namespace gsplat
