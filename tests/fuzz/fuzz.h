// What the libFuzzer targets share. A target hands bytes to one reader; the reader may refuse them
// with InputError and must do nothing else: no crash, no other exception, no sanitizer report.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "sim/core/error.h"

namespace moesim::fuzz {

inline std::span<const std::byte> bytes_of(const std::uint8_t* data, std::size_t size) {
  return std::as_bytes(std::span(data, size));
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Runs `read`; a refusal is fine.
template <class Read>
int refuse_or_read(Read read) {
  try {
    read();
  } catch (const InputError&) {
    return 0;
  }
  return 0;
}

// The bytes as a file without a place on disk, for readers that map their input.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size)
      : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    std::size_t written = 0;
    while (descriptor_ >= 0 && written < size) {
      const ssize_t now = ::write(descriptor_, data + written, size - written);
      if (now <= 0) throw std::runtime_error("no memory file");
      written += static_cast<std::size_t>(now);
    }
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

}  // namespace moesim::fuzz
