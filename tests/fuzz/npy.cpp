// NumPy arrays.
#include "sim/io/npy.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return moesim::fuzz::refuse_or_read([&] {
    const moesim::NpyArray array = moesim::read_npy(moesim::fuzz::bytes_of(data, size), "fuzz");
    if (moesim::is_npy_integer(array.type)) moesim::npy_integers(array, "fuzz");
  });
}
