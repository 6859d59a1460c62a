// Stands in for CUB's device-wide radix sort: stable, on the chosen bits of unsigned or signed keys and
// floats.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "cub/device_calls.h"

namespace cub {

template <class T>
struct DoubleBuffer {
  T* d_buffers[2];
  int selector = 0;
  DoubleBuffer(T* current, T* alternate) : d_buffers{current, alternate} {}
  T* Current() const { return d_buffers[selector]; }
  T* Alternate() const { return d_buffers[selector ^ 1]; }
};

namespace emulated {

// Bits whose unsigned order is the order of the keys.
template <class Key>
uint64_t ordered_bits(Key key) {
  constexpr uint64_t sign = uint64_t(1) << (8 * sizeof(Key) - 1);
  uint64_t bits = 0;
  memcpy(&bits, &key, sizeof key);
  if constexpr (std::is_floating_point_v<Key>)
    return (bits & sign) != 0 ? ~bits & (2 * sign - 1) : bits | sign;
  if constexpr (std::is_signed_v<Key>) return bits ^ sign;
  return bits;
}

template <class Key, class Payload>
void sort_pairs(const Key* keys_in, Key* keys_out, const Payload* values_in, Payload* values_out,
                size_t count, int begin_bit, int end_bit) {
  note_read(keys_in, count);
  const uint64_t mask = end_bit - begin_bit >= 64 ? ~uint64_t(0) : (uint64_t(1) << (end_bit - begin_bit)) - 1;
  const auto digits = [&](size_t i) { return ordered_bits(keys_in[i]) >> begin_bit & mask; };
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return digits(a) < digits(b); });
  // Copies first: nothing is sorted in place.
  const std::vector<Key> keys(keys_in, keys_in + count);
  note_write(keys_out, count);
  for (size_t i = 0; i < count; ++i) keys_out[i] = keys[order[i]];
  if (values_in == nullptr) return;
  note_read(values_in, count);
  const std::vector<Payload> values(values_in, values_in + count);
  note_write(values_out, count);
  for (size_t i = 0; i < count; ++i) values_out[i] = values[order[i]];
}

}  // namespace emulated

struct DeviceRadixSort {
  template <class Key, class Payload>
  static cudaError_t SortPairs(void* workspace, size_t& size, const Key* keys_in, Key* keys_out,
                               const Payload* values_in, Payload* values_out, size_t count, int begin_bit = 0,
                               int end_bit = 8 * sizeof(Key), cudaStream_t stream = nullptr) {
    const emulated::Call call("DeviceRadixSort", workspace, size, count, stream);
    if (call.works) emulated::sort_pairs(keys_in, keys_out, values_in, values_out, count, begin_bit, end_bit);
    return call.error;
  }

  template <class Key, class Payload>
  static cudaError_t SortPairs(void* workspace, size_t& size, DoubleBuffer<Key>& keys,
                               DoubleBuffer<Payload>& values, size_t count, int begin_bit = 0,
                               int end_bit = 8 * sizeof(Key), cudaStream_t stream = nullptr) {
    const cudaError_t error = SortPairs(workspace, size, keys.Current(), keys.Alternate(), values.Current(),
                                        values.Alternate(), count, begin_bit, end_bit, stream);
    if (workspace != nullptr && error == cudaSuccess)
      swap_and_spoil(keys, count), swap_and_spoil(values, count);
    return error;
  }

  template <class Key>
  static cudaError_t SortKeys(void* workspace, size_t& size, const Key* keys_in, Key* keys_out, size_t count,
                              int begin_bit = 0, int end_bit = 8 * sizeof(Key),
                              cudaStream_t stream = nullptr) {
    return SortPairs<Key, char>(workspace, size, keys_in, keys_out, nullptr, nullptr, count, begin_bit,
                                end_bit, stream);
  }

private:
  // The other buffer was scratch memory.
  template <class T>
  static void swap_and_spoil(DoubleBuffer<T>& buffer, size_t count) {
    cuda_on_cpu::fill_with_poison(buffer.Current(), count * sizeof(T));
    buffer.selector ^= 1;
  }
};

}  // namespace cub
