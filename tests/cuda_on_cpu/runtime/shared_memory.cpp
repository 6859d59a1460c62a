#include "shared_memory.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

#include "address_sanitizer.h"
#include "poison.h"
#include "reports.h"

namespace cuda_on_cpu {

SharedMemory::SharedMemory() {
  void* memory = mmap(nullptr, kReserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("cuda_on_cpu: no memory for a block");
    abort();
  }
  memory_ = static_cast<char*>(memory);
}

void SharedMemory::clear(size_t dynamic_size) {
  forbid_access(memory_, kReserved);
  variables_.clear();
  end_ = size_ = 0;
  dynamic_ = place(nullptr, dynamic_size, 16, "dynamic shared memory");
}

char* SharedMemory::variable(const void* key, size_t size, size_t alignment, const char* name) {
  for (const Variable& v : variables_) {
    if (v.key == key) return v.address;
  }
  return size_ + size <= kLimit ? place(key, size, alignment, name) : nullptr;
}

char* SharedMemory::place(const void* key, size_t size, size_t alignment, const char* name) {
  const size_t start = (end_ + kGap + alignment - 1) / alignment * alignment;
  char* address = memory_ + start;
  allow_access(address, size);
  fill_with_poison(address, size);
  variables_.push_back({key, address, size, name});
  end_ = start + size;
  size_ += size;
  return address;
}

const SharedMemory::Variable* SharedMemory::at(const void* address) const {
  for (const Variable& v : variables_) {
    if (address >= v.address && address < v.address + v.size) return &v;
  }
  return nullptr;
}

std::string SharedMemory::describe(const void* address) const {
  const auto* a = static_cast<const char*>(address);
  const Variable* nearest = nullptr;
  ptrdiff_t least = 0;
  for (const Variable& v : variables_) {
    const ptrdiff_t distance = a < v.address ? v.address - a : a - (v.address + v.size) + 1;
    if (nearest == nullptr || distance < least) {
      nearest = &v;
      least = distance;
    }
  }
  return text("byte ", a - nearest->address, " of shared '", nearest->name, "' (", nearest->size, " bytes)");
}

}  // namespace cuda_on_cpu
