// Configurations of models that see images or hear sound: the decoder's own lies in text_config.
// Only text is run, so what belongs to other media is passed over.
#pragma once

#include <string>

#include "workloads/forward/architecture.h"

namespace moesim {

// A reader of text_config with the same options; InputError when there is none. The caller ends
// with its refuse_unread().
ConfigReader text_config(ConfigReader& config);

// Keys of the outer configuration that name media towers and their tokens.
void ignore_media_keys(ConfigReader& config);

// Puts embedding, final norm and layers under `base` ("model.language_model."); the head stays.
void nest_names(DecoderFrame& frame, const std::string& base);

}  // namespace moesim
