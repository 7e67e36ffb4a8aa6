#pragma once

#include <string_view>

#include "runner/text/bpe_definition.h"

namespace runner {

// Reads a model of SentencePiece (`tokenizer.model`), a ModelProto in protobuf's wire format
// (google/sentencepiece, src/sentencepiece_model.proto). Encoding with the result gives
// SentencePiece's ids, with these choices where it leaves them open:
//
//   * control symbols and the unknown symbol are special tokens: text of our own that spells them
//     becomes them, and an answer does not show them;
//   * between two special tokens a text is encoded as if it stood alone, dummy prefix included, as
//     by HuggingFace's tokenizers for Llama 2;
//   * `before` is the symbol for the beginning of a sentence, if the model has one;
//   * at the start of a decoded text one space is dropped where encoding may have added one.
//
// It differs for a text that ends with U+2581 where extra spaces are removed, and for one of which
// normalizing leaves nothing where they are not.
//
// Throws Error(kBadModel) when the file is broken or asks for what is not supported, by name:
// models other than BPE, white space as suffix, spaces that are not escaped, normalizing of decoded
// text, unused pieces.
BpeDefinition parse_sentencepiece_model(std::string_view bytes);

}  // namespace runner
