#include "runner/text/chat_families.h"

#include <string>
#include <utility>

namespace runner {
namespace {

ChatFamily unchanging(std::string name, ChatFormat format, std::string token) {
  return {std::move(name), format, format, format, std::move(token)};
}

ChatFormat chatml() {
  ChatFormat format;
  format.before_user = "<|im_start|>user\n";
  format.before_system = "<|im_start|>system\n";
  format.behind_system = "<|im_end|>\n<|im_start|>user\n";
  format.before_answer = "<|im_end|>\n<|im_start|>assistant\n";
  format.before_past_answer = format.before_answer;
  format.between_turns = "<|im_end|>\n<|im_start|>user\n";
  return format;
}

ChatFamily chatml_with_default(std::string name, const std::string& system) {
  ChatFormat format = chatml();
  format.before_user = format.before_system + system + format.behind_system;
  return unchanging(std::move(name), format, "<|im_end|>");
}

ChatFamily qwen3() {
  ChatFormat format = chatml();
  format.past_thinking = ChatFormat::Thinking::kCutWithNewLines;
  ChatFamily family = unchanging("qwen3", format, "<|im_end|>");
  family.plain.before_answer += "<think>\n\n</think>\n\n";
  return family;
}

ChatFamily qwen3_thinking() {
  ChatFormat format = chatml();
  format.past_thinking = ChatFormat::Thinking::kCutWithNewLines;
  format.before_answer += "<think>\n";
  return unchanging("qwen3-thinking", format, "<|im_end|>");
}

ChatFormat llama3() {
  const std::string user = "<|start_header_id|>user<|end_header_id|>\n\n";
  ChatFormat format;
  format.before_user = "<|begin_of_text|>" + user;
  format.before_system = "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n";
  format.behind_system = "<|eot_id|>" + user;
  format.before_answer = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n";
  format.before_past_answer = format.before_answer;
  format.between_turns = format.behind_system;
  format.trims_system = format.trims_user = format.trims_answer = true;
  return format;
}

// From 3.1 on there is always a system turn, which begins with two dates.
ChatFormat llama3_dated(const std::string& date) {
  ChatFormat format = llama3();
  format.before_system += "Cutting Knowledge Date: December 2023\nToday Date: " + date + "\n\n";
  format.before_user = format.before_system + format.behind_system;
  return format;
}

ChatFamily llama3_2() {
  const std::string today = std::string(1, kDateMark) + "%d %b %Y" + kDateMark;
  return unchanging("llama3.2", llama3_dated(today), "<|eot_id|>");
}

ChatFormat deepseek() {
  ChatFormat format;
  format.before_user = "<｜begin▁of▁sentence｜><｜User｜>";
  format.before_system = "<｜begin▁of▁sentence｜>";
  format.behind_system = "<｜User｜>";
  format.before_answer = "<｜Assistant｜>";
  format.before_past_answer = format.before_answer;
  format.between_turns = "<｜end▁of▁sentence｜><｜User｜>";
  return format;
}

ChatFamily deepseek_r1() {
  ChatFormat format = deepseek();
  format.before_answer += "<think>\n";
  format.past_thinking = ChatFormat::Thinking::kCut;
  return unchanging("deepseek-r1", format, "<｜end▁of▁sentence｜>");
}

ChatFamily minicpm() {
  ChatFormat format;
  format.before_user = "<用户>";
  format.behind_system = "<用户>";
  format.before_answer = "<AI>";
  format.before_past_answer = "<AI>";
  format.between_turns = "<用户>";
  format.trims_system = format.trims_user = format.trims_answer = true;
  return unchanging("minicpm", format, "");
}

ChatFamily tinyllama(const std::string& eos) {
  ChatFormat format;
  format.before_user = "<|user|>\n";
  format.before_system = "<|system|>\n";
  format.behind_system = eos + "\n<|user|>\n";
  format.before_answer = eos + "\n<|assistant|>\n";
  format.before_past_answer = format.before_answer;
  format.between_turns = format.behind_system;
  return unchanging("tinyllama", format, eos);
}

ChatFamily phi3() {
  ChatFormat format;
  format.before_user = "<|user|>\n";
  format.before_system = "<|system|>\n";
  format.behind_system = "<|end|>\n<|user|>\n";
  format.before_answer = "<|end|>\n<|assistant|>\n";
  format.before_past_answer = format.before_answer;
  format.between_turns = format.behind_system;
  return unchanging("phi3", format, "<|end|>");
}

}  // namespace

std::vector<ChatFamily> chat_families(std::string_view eos_token) {
  return {
      unchanging("chatml", chatml(), "<|im_end|>"),
      chatml_with_default("qwen2", "You are a helpful assistant."),
      chatml_with_default("qwen2.5",
                          "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
      qwen3(),
      qwen3_thinking(),
      unchanging("llama3", llama3(), "<|eot_id|>"),
      unchanging("llama3.1", llama3_dated("26 Jul 2024"), "<|eot_id|>"),
      llama3_2(),
      unchanging("deepseek-v3", deepseek(), "<｜end▁of▁sentence｜>"),
      deepseek_r1(),
      minicpm(),
      tinyllama(std::string(eos_token.empty() ? "</s>" : eos_token)),
      phi3(),
  };
}

std::string_view family_of_tokenizer_type(int tokenizer_type) {
  switch (tokenizer_type) {
    case 0:
      return "tinyllama";
    case 1:
      return "chatml";
    case 3:
      return "phi3";
    case 4:
      return "minicpm";
    default:
      return "";
  }
}

}  // namespace runner
