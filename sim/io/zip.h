// Members of a zip archive held in memory (torch's .pt and NumPy's .npz are such archives), read
// with libzip. Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace moesim {

// What an archive may ask of this machine. A member is allocated only after its declared size has
// passed these and what its packed bytes can hold: deflate expands at most 1032-fold.
struct ZipLimits {
  std::uint64_t members = 1U << 20U;
  std::uint64_t member_bytes = std::uint64_t{16} << 30U;  // unpacked, of one member
  std::uint64_t total_bytes = std::uint64_t{64} << 30U;   // unpacked, of all members
};

struct ZipMember {
  std::string name;
  std::uint64_t bytes = 0;         // unpacked
  std::uint64_t packed_bytes = 0;  // in the archive
  std::size_t number = 0;          // its place in the archive's directory, from 0
};

// The constructor checks the directory before it believes any of it; `bytes` must outlive the
// archive; `name` stands in messages. InputError, with `name`, the member and the reason: no
// directory at the file's end (truncated), local and central headers that disagree, two members of
// one name, encryption, a packing other than stored and deflate, sizes beyond the limits or beyond
// what the packed bytes can hold. This is the entry to fuzz.
class ZipArchive {
 public:
  ZipArchive(std::span<const std::byte> bytes, std::string name, const ZipLimits& limits = {});
  ~ZipArchive();
  ZipArchive(ZipArchive&& other) noexcept;
  ZipArchive& operator=(ZipArchive&& other) noexcept;
  ZipArchive(const ZipArchive&) = delete;
  ZipArchive& operator=(const ZipArchive&) = delete;

  const std::vector<ZipMember>& members() const;         // in the directory's order
  const ZipMember* find(const std::string& name) const;  // nullptr = none

  // The member unpacked. InputError when its bytes end early, unpack to another size than declared,
  // or do not match their CRC-32.
  std::vector<std::byte> read(const ZipMember& member) const;

  const std::string& name() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether the bytes begin as a zip archive with at least one member does ("PK\3\4").
bool looks_like_zip(std::span<const std::byte> bytes);

}  // namespace moesim
