// The shared memory of the running block: each variable lies between gaps that nobody may touch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace cuda_on_cpu {

class SharedMemory {
public:
  struct Variable {
    const void* key;  // null: dynamic shared memory
    char* address;
    size_t size;
    const char* name;
  };

  // The most that a block may have on any GPU: sm_90 has 227 KiB.
  static constexpr size_t kLimit = 227 << 10;

  SharedMemory();

  // A new block: all variables are gone, and what they held.
  void clear(size_t dynamic_size);
  // Finds or makes a variable. Null when the block has no room left.
  char* variable(const void* key, size_t size, size_t alignment, const char* name);
  char* dynamic() const { return dynamic_; }

  bool holds(const void* address) const {
    return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(memory_) < kReserved;
  }
  // The variable that an address belongs to, null for a gap.
  const Variable* at(const void* address) const;
  // Says where an address lies: the variable that is nearest, and the byte.
  std::string describe(const void* address) const;
  // Bytes of all variables.
  size_t size() const { return size_; }

private:
  static constexpr size_t kReserved = 1 << 20;
  static constexpr size_t kGap = 64;

  char* place(const void* key, size_t size, size_t alignment, const char* name);

  char* memory_;
  char* dynamic_ = nullptr;
  size_t end_ = 0;
  size_t size_ = 0;
  std::vector<Variable> variables_;
};

}  // namespace cuda_on_cpu
