#include "runner/text/chat_template.h"

#include <algorithm>
#include <cstddef>
#include <ctime>

#include "runner/error.h"
#include "runner/excerpt.h"
#include "runner/text/chat_families.h"
#include "runner/text/chat_template_probe.h"

namespace runner {
namespace {

std::tm local_date(ChatTemplate::Time now) {
  constexpr std::chrono::sys_days kFirst =
      std::chrono::year(2024) / std::chrono::July / std::chrono::day(26);
  std::tm date{};
  if (now >= kFirst) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    localtime_r(&seconds, &date);
  } else {
    date.tm_year = 2024 - 1900;
    date.tm_mon = 7 - 1;
    date.tm_mday = 26;
    date.tm_isdst = -1;
    std::mktime(&date);  // finds the day of the week
  }
  return date;
}

// `text` with the date in place of marked forms of it.
std::string write_dates(std::string_view text, const std::tm& date) {
  std::string result;
  for (std::size_t begin; (begin = text.find(kDateMark)) != std::string_view::npos;) {
    const std::size_t end = text.find(kDateMark, begin + 1);
    if (end == std::string_view::npos) break;
    const std::string form(text.substr(begin + 1, end - begin - 1));
    char written[128];
    result.append(text.substr(0, begin));
    result.append(written, std::strftime(written, sizeof written, form.c_str(), &date));
    text.remove_prefix(end + 1);
  }
  return result.append(text);
}

std::string joined_names() {
  std::string text;
  for (const std::string& name : ChatTemplate::names()) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// All but the opening, which models of one family have in many forms.
bool has_same_turns(const ChatFormat& left, const ChatFormat& right) {
  return left.before_answer == right.before_answer &&
         left.before_past_answer == right.before_past_answer &&
         left.between_turns == right.between_turns && left.past_thinking == right.past_thinking &&
         left.trims_user == right.trims_user && left.trims_answer == right.trims_answer;
}

}  // namespace

ChatTemplate ChatTemplate::recognise(std::string_view jinja, std::string_view bos_token,
                                     std::string_view eos_token) {
  ChatTemplate result;
  try {
    if (jinja.find_first_of("\x01\x02") != std::string_view::npos) {
      fail_jinja("it has control characters in it");  // which mark texts and dates here
    }
    const JinjaTemplate compiled(jinja);
    ProbeSettings settings{std::string(bos_token), std::string(eos_token), std::nullopt};
    result.formats_.fill(probe_format(compiled, settings));
    if (jinja.find("enable_thinking") != std::string_view::npos) {
      for (const std::size_t i : {kOn, kOff}) {
        settings.enable_thinking = i == kOn;
        result.formats_[i] = probe_format(compiled, settings);
      }
    }
  } catch (const Error& error) {
    throw Error(ErrorCode::kBadModel,
                "the chat_template cannot be followed: " + std::string(error.what()) +
                    ". It starts: " + excerpt(jinja, 120) + " — " + way_out());
  }
  result.name_after_family(eos_token);
  return result;
}

ChatTemplate ChatTemplate::of_family(std::string_view name, std::string_view eos_token) {
  for (const ChatFamily& family : chat_families(eos_token)) {
    if (family.name != name) continue;
    ChatTemplate result;
    result.name_ = family.name;
    result.needed_token_ = family.token;
    result.formats_ = {family.format, family.thinking, family.plain};
    return result;
  }
  throw Error(ErrorCode::kBadOption, "chat_template_family is \"" + excerpt(name) +
                                         "\", expected one of: " + joined_names());
}

std::vector<std::string> ChatTemplate::names() {
  std::vector<std::string> names;
  for (const ChatFamily& family : chat_families({})) names.push_back(family.name);
  return names;
}

std::string ChatTemplate::way_out() {
  return "chat_template_family in mode_param can stand in for it: " + joined_names();
}

void ChatTemplate::name_after_family(std::string_view eos_token) {
  const auto is_of = [this](const ChatFamily& family, bool opening_too) {
    const Formats formats = {family.format, family.thinking, family.plain};
    return std::equal(formats.begin(), formats.end(), formats_.begin(),
                      [opening_too](const ChatFormat& left, const ChatFormat& right) {
                        return opening_too ? left == right : has_same_turns(left, right);
                      });
  };
  for (const bool opening_too : {true, false}) {
    for (const ChatFamily& family : chat_families(eos_token)) {
      if (!is_of(family, opening_too)) continue;
      name_ = family.name;
      needed_token_ = family.token;
      return;
    }
  }
}

ChatFormat ChatTemplate::format(std::optional<bool> enable_thinking, Time now) const {
  ChatFormat format = formats_[!enable_thinking ? kUnset : *enable_thinking ? kOn : kOff];
  if (enable_thinking && formats_[kOn] == formats_[kOff] && format.thinks() != *enable_thinking) {
    throw Error(ErrorCode::kBadOption,
                "enable_thinking is " + std::string(*enable_thinking ? "true" : "false") +
                    ", but the model's chat template (" + name_ + ") " +
                    (*enable_thinking ? "has no thinking in it" : "always has the model think"));
  }
  const std::tm date = local_date(now);
  for (std::string* text : {&format.before_user, &format.before_system, &format.behind_system}) {
    *text = write_dates(*text, date);
  }
  return format;
}

std::string render_conversation(const ChatFormat& format, std::string_view system,
                                const std::vector<std::string>& turns) {
  PromptText text;
  format.write_opening(system, text);
  for (std::size_t i = 0; i < turns.size(); i += 2) {
    if (i + 1 >= turns.size()) {
      format.write_user(turns[i], text);
    } else {
      format.write_past_turn(turns[i], turns[i + 1], text);
      format.write_border(text);
    }
  }
  return text.text();
}

}  // namespace runner
