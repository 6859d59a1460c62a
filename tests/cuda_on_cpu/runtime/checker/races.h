// Races, by happens-before: two accesses to the same bytes, one of them a write, that no barrier orders. The
// order in which they happened to be executed does not matter.
//
// Ordered are: accesses of one thread; of one block, with a barrier of the block between them; of one warp,
// with a chain of __syncwarp between them (a vector clock per lane keeps track); of one launch and a later
// one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

namespace cuda_on_cpu {

class Block;
struct Access;

class Races {
public:
  void begin_block(const Block& block);
  void order_lanes(const Block& block, unsigned warp, uint32_t lanes);
  void access(const Block& block, const Access& access, bool shared);
  void forget(const void* address, size_t size);

private:
  // By how many threads the accesses were made that a trace stands for.
  enum class Scope : uint8_t { none, thread, warp, block, grid };

  // The last accesses of a kind to a word that nothing orders among each other.
  struct Trace {
    uint64_t block = 0;
    uint32_t launch = 0, epoch = 0;
    uint32_t clock = 0;  // of the lane; with scope warp: barriers of the whole warp so far
    uint16_t thread = 0;
    Scope scope = Scope::none;
    uint8_t bytes = 0;  // set of bytes within the word
    const void* code = nullptr;
  };
  struct Word {
    Trace writes, reads;
    bool atomic = false;  // the writes
  };
  static constexpr size_t kWordsPerPage = 1024;
  using Page = std::array<Word, kWordsPerPage>;

  Word& word(uintptr_t address);
  void access_word(const Block& block, const Access& access, bool shared, uintptr_t address, uint8_t bytes);
  bool before(const Block& block, const Trace& trace, bool shared) const;
  Trace trace_of(const Block& block, const Access& access, uint8_t bytes) const;
  void add(const Block& block, Trace& trace, const Trace& now, bool shared) const;

  std::unordered_map<uintptr_t, std::unique_ptr<Page>> pages_;
  uintptr_t last_page_number_ = 0;
  Page* last_page_ = nullptr;
  // clocks_[thread][lane]: how far this thread knows the lane of its warp to have come.
  std::array<std::array<uint32_t, 32>, 1024> clocks_;
  std::array<uint32_t, 32> warp_barriers_;
};

}  // namespace cuda_on_cpu
