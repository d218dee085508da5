// Where the tokens of a forward pass come from: ready ids, or texts to encode.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "workloads/tokens/tokenizer.h"

namespace moesim {

// How files are read.
struct TokenReading {
  int vocabulary = 0;                    // the model's: ids lie in [0, vocabulary)
  const Tokenizer* tokenizer = nullptr;  // for .txt; none: ids are bytes, vocabulary must be 256
  Tokenizer::SpecialTokens special = Tokenizer::SpecialTokens::plain;  // see Tokenizer::encode
  bool text_holds_ids = false;  // .txt holds ids, white space between, a request a line
};

// The requests of one domain, each a list of token ids, none empty.
struct DomainRequests {
  std::string domain;
  std::vector<std::vector<std::int32_t>> requests;
  std::int64_t tokens() const;
};

// Reads a file, or every .txt, .json and .npy of a folder (not of folders in it) in the order of
// their names. A file's domain is its name without the ending.
//   .txt   one request: the encoded text, or with text_holds_ids one request a line (empty lines
//          are passed over). Ids in a .txt are read only when asked for: "12 7" is a text too.
//   .json  [ids], one request; [[ids], ...], a request each; {"domain": either, ...}, which names
//          its domains itself.
//   .npy   whole numbers of any type, [ids] or [requests, ids].
// InputError, with the file and the place (line and column, index or byte): another ending, an id
// outside the vocabulary, an empty request or file, a domain twice, and what the readers refuse.
std::vector<DomainRequests> read_token_texts(const std::string& path, const TokenReading& reading);

}  // namespace moesim
