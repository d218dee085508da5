// Zip archives: every member is unpacked, within small limits.
#include "sim/io/zip.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return moesim::fuzz::refuse_or_read([&] {
    const moesim::ZipLimits limits{
        .members = 64, .member_bytes = 1U << 20U, .total_bytes = 4U << 20U};
    const moesim::ZipArchive archive(moesim::fuzz::bytes_of(data, size), "fuzz", limits);
    for (const moesim::ZipMember& member : archive.members()) {
      try {
        archive.read(member);
      } catch (const moesim::InputError&) {
        continue;  // the others are still to be read
      }
    }
  });
}
