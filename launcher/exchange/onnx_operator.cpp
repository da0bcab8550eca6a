#include "launcher/exchange/onnx_operator.h"

#include <algorithm>

#include "core/base/error.h"

namespace convoy {

using Type = OnnxAttribute::Type;

std::string OnnxOperator::where() const {
  const std::string& name = node_.name.empty() && !node_.outputs.empty() ? node_.outputs.front() : node_.name;
  return file_ + ": node '" + name + "' (" + node_.op_type + "): ";
}

void OnnxOperator::refuse(const std::string& what) const { throw Error(ExitCode::kConfig, where() + what); }
void OnnxOperator::bad(const std::string& what) const { throw Error(ExitCode::kBadData, where() + what); }

const OnnxAttribute* OnnxOperator::find(std::string_view attribute) const {
  const auto found = std::ranges::find(node_.attributes, attribute, &OnnxAttribute::name);
  return found == node_.attributes.end() ? nullptr : &*found;
}

const OnnxAttribute* OnnxOperator::ask(std::string_view attribute, Type type) {
  asked_.push_back(attribute);
  const OnnxAttribute* found = find(attribute);
  if (found != nullptr && found->type != type)
    bad("attribute " + std::string(attribute) + ": expected type " + std::to_string(static_cast<int>(type)) +
        ", found " + std::to_string(static_cast<int>(found->type)));
  return found;
}

int64_t OnnxOperator::integer_or(std::string_view attribute, int64_t otherwise) {
  const OnnxAttribute* found = ask(attribute, Type::kInt);
  return found == nullptr ? otherwise : found->integer;
}

double OnnxOperator::number_or(std::string_view attribute, double otherwise) {
  const OnnxAttribute* found = ask(attribute, Type::kFloat);
  return found == nullptr ? otherwise : double{found->number};
}

std::string OnnxOperator::text_or(std::string_view attribute, std::string_view otherwise) {
  const OnnxAttribute* found = ask(attribute, Type::kString);
  return found == nullptr ? std::string(otherwise) : found->text;
}

std::vector<int64_t> OnnxOperator::integers_or(std::string_view attribute, const std::vector<int64_t>& otherwise) {
  const OnnxAttribute* found = ask(attribute, Type::kInts);
  return found == nullptr ? otherwise : found->integers;
}

const OnnxTensor* OnnxOperator::tensor(std::string_view attribute) {
  const OnnxAttribute* found = ask(attribute, Type::kTensor);
  return found == nullptr ? nullptr : &found->tensor.front();
}

void OnnxOperator::require_integer(std::string_view attribute, int64_t otherwise, int64_t wanted) {
  const int64_t found = integer_or(attribute, otherwise);
  if (found != wanted)
    refuse("attribute " + std::string(attribute) + ": expected " + std::to_string(wanted) + ", found " +
           std::to_string(found));
}

void OnnxOperator::done() const {
  for (const OnnxAttribute& attribute : node_.attributes) {
    if (std::ranges::find(asked_, attribute.name) == asked_.end())
      refuse("attribute '" + attribute.name + "' is not supported");
  }
}

}  // namespace convoy
