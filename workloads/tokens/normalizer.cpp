// ICU's normalisation forms, by the names tokenizer.json has for them.
#include "workloads/tokens/normalizer.h"

#include <fmt/format.h>
#include <unicode/unorm2.h>

#include <cstdint>

#include "workloads/tokens/unicode_text.h"

namespace moesim {
namespace {

const UNormalizer2* form_of(const std::string& type) {
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* form = nullptr;
  if (type == "NFC") form = unorm2_getNFCInstance(&status);
  if (type == "NFD") form = unorm2_getNFDInstance(&status);
  if (type == "NFKC") form = unorm2_getNFKCInstance(&status);
  if (type == "NFKD") form = unorm2_getNFKDInstance(&status);
  if (U_FAILURE(status))
    throw MachineError(fmt::format("ICU's data for {} is missing: {}", type, u_errorName(status)));
  return form;
}

std::u16string normalized(std::u16string_view text, const UNormalizer2* form) {
  const auto size = static_cast<std::int32_t>(text.size());
  UErrorCode status = U_ZERO_ERROR;
  const std::int32_t done = unorm2_spanQuickCheckYes(form, text.data(), size, &status);
  if (U_SUCCESS(status) && done == size) return std::u16string(text);
  status = U_ZERO_ERROR;
  // Preflighting counts in 32 bits; a text that grows beyond that is refused by ICU.
  const std::int32_t needed = unorm2_normalize(form, text.data(), size, nullptr, 0, &status);
  if (status == U_BUFFER_OVERFLOW_ERROR) status = U_ZERO_ERROR;
  std::u16string out(static_cast<std::size_t>(needed > 0 ? needed : 0), u'\0');
  if (U_SUCCESS(status)) unorm2_normalize(form, text.data(), size, out.data(), needed, &status);
  if (U_FAILURE(status))
    throw InputError(fmt::format("a text cannot be normalised: {}", u_errorName(status)));
  return out;
}

}  // namespace

Normalizer::Normalizer(const JsonNode& node) { add(node); }

void Normalizer::add(const JsonNode& node) {
  const std::string type = node.at("type").as_choice(
      {"NFC", "NFD", "NFKC", "NFKD", "Prepend", "Sequence"}, "normalizer");
  if (type == "Sequence") {
    node.allow_only({"type", "normalizers"});
    for (const JsonNode& step : node.at("normalizers").items()) add(step);
    return;
  }
  Step step{type, u""};
  if (type == "Prepend") {
    node.allow_only({"type", "prepend"});
    step.prefix = to_utf16(node.at("prepend").as_string(), "prepend");
  } else {
    node.allow_only({"type"});
  }
  steps_.push_back(step);
}

std::u16string Normalizer::apply(std::u16string_view text) const {
  std::u16string out(text);
  for (const Step& step : steps_) {
    if (out.empty()) break;
    if (step.type == "Prepend") {
      out.insert(0, step.prefix);
    } else {
      out = normalized(out, form_of(step.type));
    }
  }
  return out;
}

}  // namespace moesim
