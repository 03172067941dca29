// SPDX-License-Identifier: Apache-2.0
// Sentences that a vendor's chat template inserts: a default system message, how to call tools, how to keep to a
// schema. They are the vendor's, so they come from the model (its Jinja text, its encoding script) or from a file of
// the user's.
//
// A prose file is a JSON object, name -> text. The names (templates/ says which template needs which):
//   default_system   smollm2: the system message of a conversation that has none
//   tools            deepseek-v3.2: what introduces tools, as the vendor's TOOLS_SYSTEM_TEMPLATE, with the fields
//                    {tool_schemas}, {dsml_token}, {thinking_start_token}, {thinking_end_token}; {{ and }} are braces
//   response_format  deepseek-v3.2: as the vendor's response_format_template, with the field {schema}
//   developer        deepseek-v3.2: what stands before a developer's message, with the field {}
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace unha {

class Prose {
 public:
  Prose() = default;

  // A prose file, a tokenizer_config.json, a Jinja text or an encoding script, told apart by what is in it.
  // Error(kCorrupt, kInvalidArgument) if it is none of them. `what` names it in errors.
  static Prose from_file_text(std::string_view text, const std::string& what);
  // What the templates need from a model's Jinja text or from its encoding_dsv32.py. What is not found there is an
  // error only where it is needed.
  static Prose from_jinja(std::string_view text, const std::string& what);
  static Prose from_encoding_script(std::string_view text, const std::string& what);

  // Error(kInvalidArgument) that says which template needs it and where it was looked for.
  const std::string& need(const std::string& name, const std::string& who) const;
  bool has(const std::string& name) const { return texts_.contains(name); }
  void set(const std::string& name, std::string text) { texts_[name] = std::move(text); }
  // Adds what is missing here.
  void add(const Prose& other);

 private:
  void looked(const std::string& where) { places_.push_back(where); }

  std::map<std::string, std::string> texts_;
  std::vector<std::string> places_;  // where it was looked for in vain, for messages
};

// A string literal of a Python or Jinja source.
struct Literal {
  std::string text;   // escapes resolved
  size_t begin, end;  // in the source, quotes and prefix included
  bool formatted;     // an f-string, whose text depends on the program
};
// All literals outside comments, in order. An unclosed one ends the list.
std::vector<Literal> python_literals(std::string_view source);
// Literals inside {{ }} and {% %}, and the plain text outside as literals too.
std::vector<Literal> jinja_literals(std::string_view source);

}  // namespace unha
