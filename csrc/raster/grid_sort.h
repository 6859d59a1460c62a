// Parallel linear assignment sorting (PLAS, Morgenstern et al. 2024, "Compact 3D scene representation via
// self-organizing Gaussian grids"): what is the same for all backends.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace gsplat {

struct GridSort {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  uint64_t seed = 0;
  double first_radius = 0;  // of the blur, in cells; shrinks to 1 by the factor below
  double shrink = 0.95;
  double improvement = 1e-4;  // a round of exchanges that gains less than this fraction is the last
};

// A block of side x side cells of the picture, which is a torus.
struct GridBlock {
  int64_t height, width;
  int64_t side, y, x;

  // The number in the picture of a cell of the block. `constexpr` makes it a function of kernels too.
  constexpr int64_t place(int64_t cell) const {
    const int64_t row = y + cell / side, column = x + cell % side;
    return (row < height ? row : row - height) * width + (column < width ? column : column - width);
  }
};

// Blocks from a corner on, as many as fit.
struct GridBlocks {
  int64_t height, width;
  int64_t side, y, x;

  constexpr int64_t count() const { return (height / side) * (width / side); }
  constexpr GridBlock operator[](int64_t i) const {
    const int64_t columns = width / side;
    return {height, width, side, (y + i / columns * side) % height, (x + i % columns * side) % width};
  }
};

// Cells are exchanged in groups of so many, whose arrangements are in math/arrangements.h.
inline constexpr int kGridGroup = 4;

// The sum of squared distances between cells and goals, before and after exchanges.
struct ExchangeCost {
  double before = 0, after = 0;
};

// The kernel of the published algorithm is a Gaussian as wide as its window, so nearly a box. Its weights
// fall by an eighth of e at the border only: a window of larger radius than this is replaced by a running
// sum.
inline constexpr int64_t kLargestExactRadius = 8;

// Weights of the cells at most `radius` away, [2 radius + 1].
inline std::vector<float> blur_weights(int64_t radius) {
  const double sigma = static_cast<double>(2 * radius + 1);
  std::vector<double> weights;
  for (int64_t i = -radius; i <= radius; ++i) {
    weights.push_back(std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma)));
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<float> normalised;
  for (const double weight : weights) normalised.push_back(static_cast<float>(weight / sum));
  return normalised;
}

// A line of cells, which around its ends goes on from its other end, or is mirrored at the border cells.
struct GridLine {
  int64_t length;
  bool circular;

  // For i less than one length outside.
  constexpr int64_t inside(int64_t i) const {
    if (circular) return i < 0 ? i + length : i < length ? i : i - length;
    if (i < 0) i = -i;
    return i < length ? i : 2 * (length - 1) - i;
  }
};

// SplitMix64 (Steele et al. 2014).
class SplitMix {
public:
  explicit SplitMix(uint64_t seed) : state_(seed) {}

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

// The blocks within which cells are exchanged at one radius of the blur.
inline int64_t block_side(const GridSort& options, int64_t radius) {
  constexpr int64_t kSmallest = 16;
  const int64_t shorter = std::min(options.height, options.width);
  return std::max<int64_t>(2, std::min(shorter, std::max(kSmallest, 2 * (radius + 1))));
}

// The course of the sort. A `Grid` holds the picture and does the work:
//
//   void blur(int64_t radius);   makes the picture, blurred, the goal
//   ExchangeCost exchange(const GridBlocks& blocks, const std::vector<int32_t>& deal);
//
// which exchanges cells of each block: they are taken in groups of four in the order of `deal` [side * side],
// and each group is arranged as its four goals wish best.
template <class Grid>
void sort_grid(const GridSort& options, Grid& grid) {
  constexpr int kShifts = 4;
  SplitMix random(options.seed);
  for (double blur = options.first_radius; blur >= 1; blur *= options.shrink) {
    const auto radius = static_cast<int64_t>(blur);
    grid.blur(radius);
    const int64_t side = block_side(options, radius);
    for (int shift = 0;; ++shift) {
      // The cells between the blocks are left for another shift.
      const int64_t x = random.draw(options.width), y = random.draw(options.height);
      const GridBlocks blocks = {options.height, options.width, side, y, x};
      std::vector<int32_t> deal(side * side);
      std::iota(deal.begin(), deal.end(), 0);
      bool improved = false;
      for (;; improved = true) {
        for (int64_t i = side * side - 1; i > 0; --i) std::swap(deal[i], deal[random.draw(i + 1)]);
        const ExchangeCost cost = grid.exchange(blocks, deal);
        if (!(cost.before > 0 && 1 - cost.after / cost.before >= options.improvement)) break;
      }
      if (!improved && shift + 1 >= kShifts) break;
    }
  }
}

}  // namespace gsplat
