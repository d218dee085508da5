// How a user names a model to run, and what lies beside its weights.
#pragma once

#include <memory>
#include <string>

#include "workloads/tokens/tokenizer.h"

namespace moesim {

// "reference" is the shipped model. With random weights also a config.json, or the name of a
// shipped configuration (workloads/models); otherwise a folder. InputError where there is none.
std::string model_path(const std::string& name, bool random_weights);

// A name for headers: the folder's own, or its parent's where that is just "model"; a
// configuration's name without its ending, or its folder's where that is just "config".
std::string model_label(const std::string& path);

// <folder>/tokenizer.json of a model folder (or beside its config.json); null where there is none.
std::unique_ptr<Tokenizer> find_tokenizer(const std::string& model_path);

}  // namespace moesim
