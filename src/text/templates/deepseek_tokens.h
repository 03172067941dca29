// SPDX-License-Identifier: Apache-2.0
// Control tokens of DeepSeek's chat templates. The bars are full-width (U+FF5C), the low lines U+2581.
#pragma once

#include <string_view>

namespace unha::deepseek {

inline constexpr std::string_view kBos = "<｜begin▁of▁sentence｜>";
inline constexpr std::string_view kEos = "<｜end▁of▁sentence｜>";
inline constexpr std::string_view kUser = "<｜User｜>";
inline constexpr std::string_view kAssistant = "<｜Assistant｜>";
inline constexpr std::string_view kThink = "<think>";
inline constexpr std::string_view kEndThink = "</think>";
inline constexpr std::string_view kCalls = "<｜tool▁calls▁begin｜>";
inline constexpr std::string_view kEndCalls = "<｜tool▁calls▁end｜>";
inline constexpr std::string_view kCall = "<｜tool▁call▁begin｜>";
inline constexpr std::string_view kEndCall = "<｜tool▁call▁end｜>";
inline constexpr std::string_view kSep = "<｜tool▁sep｜>";
inline constexpr std::string_view kOutputs = "<｜tool▁outputs▁begin｜>";
inline constexpr std::string_view kEndOutputs = "<｜tool▁outputs▁end｜>";
inline constexpr std::string_view kOutput = "<｜tool▁output▁begin｜>";
inline constexpr std::string_view kEndOutput = "<｜tool▁output▁end｜>";

}  // namespace unha::deepseek
