#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "runner/embedding_table.h"
#include "runner/engine.h"
#include "runner/sampler.h"
#include "runner/soft_prefix.h"
#include "runner/text/prompt_encoder.h"

namespace runner {

// Receives an answer piece by piece: whole UTF-8 code points, never empty.
using TextSink = std::function<void(std::string_view)>;

enum class FinishReason {
  kStopToken,  // the model ended its answer
  kLength,     // a limit was reached
  kCancelled,  // stopped from outside
};

std::string_view to_string(FinishReason reason);

struct GenerationOptions {
  SamplerOptions sampler;
  std::uint64_t seed = 0;
  // Most tokens of conversation and answer together; the context bounds it anyway. At least one
  // token is generated, however long the prompt.
  int max_total_tokens = 0;  // 0: no limit but the context
  int max_new_tokens = 0;    // 0: no limit but the others
  bool ignore_stop = false;  // goes on past stop tokens
};

struct GenerationResult {
  FinishReason finish = FinishReason::kCancelled;
  std::vector<TokenId> tokens;  // generated ones, without the stop token
  std::string text;
  int prompt_rows = 0;        // soft prefix rows and tokens before the answer
  int computed_rows = 0;      // of these, the rows not taken over from an earlier inference
  double first_token_ms = 0;  // from the call to the logits of the first token
  double decode_ms = 0;       // from there to the end
};

// One conversation over an engine: its K/V cache, the tokens it stands for, and the one decode
// loop of this program.
//
// Rows of the cache, in this order: soft prefix, head (the system prompt), the conversation's
// turns and answers. The head is always computed by a call of its own and kept between
// inferences, so that an inference with a foreign soft prefix, or a cancelled one, leaves the
// next one bit for bit as it would have been.
//
// Threads: one call at a time.
class Session {
 public:
  // `encoder` (for stop tokens and text) must outlive the session. With keep_conversation each
  // answer stays in the cache and the next turn follows it; else each inference starts at the
  // head. Throws Error(kOutOfMemory).
  Session(std::unique_ptr<Engine> engine, std::shared_ptr<const EmbeddingTable> embeddings,
          const PromptEncoder& encoder, bool keep_conversation);

  // Starts a conversation: `head` stands before its first turn, usually the system prompt. Rows
  // already computed for the same head are kept.
  void restart(std::vector<TokenId> head);

  // Generates the answer to `turn`. `prefix` (may be null) stands at the very front for this
  // inference; one with the same values as before keeps the cache.
  // On a throw the conversation is as before the call, and likewise when the answer has no text.
  // Throws Error(kPromptTooLong) when the tokens alone do not fit the context,
  // Error(kBadSoftPrefix) when they only fit without the prefix or its width is not the model's,
  // Error(kEngineFailed).
  GenerationResult generate(std::span<const TokenId> turn,
                            const std::shared_ptr<const SoftPrefix>& prefix,
                            const GenerationOptions& options, const TextSink& sink,
                            std::stop_token stop);

  // Puts `tokens` in place of the turn and the answer that generate() kept last; rows in the cache
  // that still stand for the same tokens stay. Does nothing where the last inference kept none.
  void replace_last_turn(std::span<const TokenId> tokens);

  const ModelShape& shape() const { return engine_->shape(); }
  // Tokens that stand before the next turn: the head and the conversation.
  int tokens() const { return static_cast<int>(head_.size() + history_.size()); }
  bool has_history() const { return !history_.empty(); }

 private:
  void check_fit(std::size_t turn_tokens, const SoftPrefix* prefix) const;
  EmbeddingView embed(std::span<const TokenId> tokens, const SoftPrefix* prefix);
  void generate_tokens(Logits logits, int most_tokens, const GenerationOptions& options,
                       const TextSink& sink, std::stop_token stop, GenerationResult& result);

  std::unique_ptr<Engine> engine_;
  std::shared_ptr<const EmbeddingTable> embeddings_;
  const PromptEncoder& encoder_;
  bool keep_conversation_;
  std::unique_ptr<KvCache> cache_;
  std::shared_ptr<const SoftPrefix> cached_prefix_;  // the one whose rows are in the cache
  std::vector<TokenId> head_;
  std::vector<TokenId> history_;  // the last one may not be in the cache yet
  std::size_t last_turn_ = 0;     // where in it the last inference's turn starts
  std::vector<Bf16> rows_;        // scratch for embedded prompts
};

}  // namespace runner
