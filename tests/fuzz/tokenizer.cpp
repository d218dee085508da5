// tokenizer.json, and a text through whatever tokenizer it makes.
#include "workloads/tokens/tokenizer.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return moesim::fuzz::refuse_or_read([&] {
    const moesim::Tokenizer tokenizer(moesim::fuzz::text_of(data, size), "fuzz");
    const auto ids = tokenizer.encode(
        "It's 2026: na\xC3\xAFve \xE6\xBC\xA2\xE5\xAD\x97 \xF0\x9F\x99\x82\n\n  end ", "text",
        moesim::Tokenizer::SpecialTokens::added);
    tokenizer.decode(ids);
  });
}
