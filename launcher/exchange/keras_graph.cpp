#include "launcher/exchange/keras_graph.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <queue>
#include <set>
#include <utility>

#include "core/base/error.h"
#include "core/io/limited_json.h"
#include "launcher/exchange/keras_json.h"
#include "launcher/exchange/keras_one.h"
#include "launcher/exchange/model_text.h"

namespace convoy {
namespace {

using nlohmann::json;

constexpr size_t kMostCalls = 10000;     // as many layers as a network of ours may have
constexpr size_t kMostEntries = 100000;  // read; a model that is called again is read again
constexpr size_t kLongestName = 1000;    // of a layer or a class

// Around a layer: the models that it is in.
struct Around {
  std::string name;  // "vgg16.", for our names
  std::string top;   // "" in the outermost model
  std::string path;  // "functional/"
  bool trainable = true;
  bool inference = false;
};

// A reference to the output of a layer's call.
using Ref = std::pair<std::string, int>;

struct Call {
  std::vector<Ref> inputs;
  bool inference = false;
};

// One entry of a list of layers.
struct Item {
  std::string class_name, name, path;
  const json* config = nullptr;
  std::vector<Call> calls;
};

bool is_model(const std::string& class_name) {
  return class_name == "Functional" || class_name == "Sequential" || class_name == "Model";
}

int generation_of(const std::string& version) {
  return version.empty() || version[0] == '1' ? 1 : version[0] == '2' ? 2 : 3;
}

// ---- Calls

bool is_tensor(const json& value) {
  return value.is_object() && value.value("class_name", json()) == "__keras_tensor__";
}

class CallReader {
 public:
  explicit CallReader(const KerasFields& entry) : entry_(entry) {}

  std::vector<Call> read() const {
    const json& nodes = entry_.require("inbound_nodes");
    if (!nodes.is_array()) fail();
    std::vector<Call> calls;
    for (const json& node : nodes) calls.push_back(node.is_object() ? keras3(node) : keras2(node));
    return calls;
  }

 private:
  [[noreturn]] void fail() const { entry_.fail("inbound_nodes", "not as Keras writes them"); }

  // {"args": [tensor, [tensor, tensor]], "kwargs": {"training": false}}
  Call keras3(const json& node) const {
    Call call;
    const KerasFields fields(node, entry_.where() + ": inbound_nodes");
    collect(fields.require("args"), call);
    if (const json* kwargs = fields.find("kwargs")) read_kwargs(*kwargs, call);
    return call;
  }

  // [["conv", 0, 0, {}], …], or one of them alone
  Call keras2(const json& node) const {
    Call call;
    if (!node.is_array()) fail();
    const bool alone = !node.empty() && node[0].is_string();
    for (size_t i = 0; i < (alone ? 1 : node.size()); ++i) {
      const json& ref = alone ? node : node[i];
      if (!ref.is_array() || ref.size() < 3 || ref.size() > 4) fail();
      call.inputs.push_back(reference(ref));
      if (ref.size() == 4) read_kwargs(ref[3], call);
    }
    return call;
  }

  void collect(const json& value, Call& call) const {
    if (is_tensor(value)) {
      const KerasFields tensor(value, entry_.where() + ": inbound_nodes");
      const KerasFields config(tensor.require("config"), entry_.where() + ": inbound_nodes");
      call.inputs.push_back(reference(config.require("keras_history")));
    } else if (value.is_array()) {
      for (const json& element : value) collect(element, call);
    } else if (!value.is_null()) {
      entry_.refuse("is called with a constant; Convoy reads layers that take outputs of layers");
    }
  }

  void read_kwargs(const json& kwargs, Call& call) const {
    if (!kwargs.is_object()) fail();
    for (const auto& [key, value] : kwargs.items()) {
      if (key == "training" && value.is_boolean()) {
        call.inference = !value.get<bool>();
      } else if (is_tensor(value) || value.is_array()) {
        collect(value, call);
      } else if (!value.is_null()) {
        entry_.refuse("is called with " + key + ", which Convoy does not know");
      }
    }
  }

  Ref reference(const json& value) const {
    int node = 0, tensor = 0;
    const bool whole = value.is_array() && value.size() >= 3 && value[0].is_string() && as_integer(value[1], node) &&
                       as_integer(value[2], tensor);
    if (!whole) fail();
    if (tensor != 0) entry_.refuse("reads a second output of '" + value[0].get<std::string>() + "'");
    return {value[0].get<std::string>(), node};
  }

  const KerasFields& entry_;
};

// ---- Models

class GraphReader {
 public:
  GraphReader(KerasGraph& graph, const std::string& where) : graph_(graph), where_(where) {}

  // The node of its output.
  int model(const std::string& class_name, const json& config, const Around& around, int input) {
    const bool sequential = class_name == "Sequential";
    return sequential ? this->sequential(config, around, input) : functional(config, around, input);
  }

 private:
  int sequential(const json& config, const Around& around, int input) {
    const std::vector<Item> items = list(config.is_array() ? config : layers_of(config), around);
    if (config.is_object() && around.top.empty()) note_shape(config, "build_input_shape");
    int x = input;
    for (const Item& item : items) x = call(item, {x}, false, around);
    return x;
  }

  int functional(const json& config, const Around& around, int input) {
    std::vector<Item> items = list(layers_of(config), around);
    std::map<std::string, size_t> index;
    int inputs = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      index[items[i].name] = i;
      if (items[i].class_name != "InputLayer") continue;
      ++inputs;
      if (items[i].calls.empty()) items[i].calls.emplace_back();
    }
    const Ref output = output_of(config, around);
    if (inputs != 1) refuse(around, "has " + std::to_string(inputs) + " inputs; Convoy's networks have one, the image");
    std::map<Ref, int> values;
    for (const auto& [item, number] : in_order(items, index)) {
      const Call& it = items[item].calls[static_cast<size_t>(number)];
      std::vector<int> x;
      for (const Ref& ref : it.inputs) x.push_back(values.at(ref));
      if (x.empty()) x.push_back(input);
      values[{items[item].name, number}] = call(items[item], x, it.inference, around);
    }
    const auto found = values.find(output);
    if (found == values.end()) bad(around, "output_layers names '" + output.first + "', which is no layer");
    return found->second;
  }

  // Calls so that each is behind what it reads, else in the order of the file: (item, number of its call).
  std::vector<std::pair<size_t, int>> in_order(const std::vector<Item>& items,
                                               const std::map<std::string, size_t>& index) const {
    using Place = std::pair<size_t, int>;
    std::map<Place, size_t> waits;  // for how many inputs
    std::map<Place, std::vector<Place>> readers;
    std::priority_queue<Place, std::vector<Place>, std::greater<>> ready;
    for (size_t i = 0; i < items.size(); ++i) {
      for (size_t n = 0; n < items[i].calls.size(); ++n) {
        const Place place{i, static_cast<int>(n)};
        for (const auto& [layer, number] : items[i].calls[n].inputs) {
          const auto source = index.find(layer);
          const bool there =
              source != index.end() && number >= 0 && static_cast<size_t>(number) < items[source->second].calls.size();
          if (!there) bad_data(where_, "layer '" + items[i].name + "' reads '" + layer + "', which is no layer");
          readers[{source->second, number}].push_back(place);
        }
        waits[place] = items[i].calls[n].inputs.size();
        if (waits[place] == 0) ready.push(place);
      }
    }
    std::vector<Place> order;
    while (!ready.empty()) {
      order.push_back(ready.top());
      ready.pop();
      for (const Place& reader : readers[order.back()]) {
        if (--waits[reader] == 0) ready.push(reader);
      }
    }
    for (const auto& [place, missing] : waits) {
      if (missing > 0) bad_data(where_, "layer '" + items[place.first].name + "' is part of a circle of layers");
    }
    return order;
  }

  std::vector<Item> list(const json& layers, const Around& around) {
    if (!layers.is_array()) bad(around, "layers: expected a list");
    entries_ += layers.size() + 1;
    if (entries_ > kMostEntries) bad_data(where_, "more than 100000 layers");
    std::vector<Item> items;
    std::map<std::string, int> numbers;  // of layers so far, by class
    std::set<std::string> names;
    for (const json& value : layers) {
      const KerasFields entry(value, where_ + ": a layer");
      Item item;
      item.class_name = entry.text("class_name");
      item.config = &entry.require("config");
      if (item.config->is_object()) item.name = KerasFields(*item.config, where_).text_or("name", "");
      item.name = entry.text_or("name", item.name);
      const std::string group = keras_snake_case(item.class_name);
      if (item.name.empty()) item.name = group + "_" + std::to_string(items.size() + 1);
      if (item.name.size() > kLongestName || item.class_name.size() > kLongestName) {
        bad(around, "a layer or its class has a name of more than 1000 characters");
      }
      if (!names.insert(item.name).second) bad(around, "two layers are called '" + item.name + "'");
      const int number = numbers[group]++;
      item.path = around.path + group + (number == 0 ? "" : "_" + std::to_string(number));
      const KerasFields named(value, where_ + ": layer '" + item.name + "' (" + item.class_name + ")");
      if (named.has("inbound_nodes")) item.calls = CallReader(named).read();
      items.push_back(std::move(item));
    }
    return items;
  }

  int call(const Item& item, const std::vector<int>& inputs, bool inference, const Around& around) {
    const std::string where = where_ + ": layer '" + item.name + "' (" + item.class_name + ")";
    const bool trainable = !item.config->is_object() || KerasFields(*item.config, where).boolean_or("trainable", true);
    if (item.class_name == "InputLayer") {
      if (around.top.empty()) note_shape(*item.config, "batch_shape");
      return inputs.front();
    }
    if (is_model(item.class_name)) {
      if (inputs.size() != 1) throw Error(ExitCode::kConfig, where + ": a model of several inputs; Convoy's have one");
      const Around inside{around.name + item.name + ".", around.top.empty() ? item.name : around.top, item.path + "/",
                          around.trainable && trainable, around.inference || inference};
      return model(item.class_name, *item.config, inside, inputs.front());
    }
    if (graph_.nodes.size() >= kMostCalls) bad_data(where_, "more than 10000 layers");
    KerasNode node{item.class_name,
                   around.name + item.name,
                   item.name,
                   around.top.empty() ? item.name : around.top,
                   item.path,
                   item.config,
                   inputs,
                   around.trainable && trainable,
                   around.inference || inference};
    if (around.top.empty()) note_shape(*item.config, "batch_shape");
    graph_.nodes.push_back(std::move(node));
    return static_cast<int>(graph_.nodes.size()) - 1;
  }

  // The first that says it; Keras 1 and 2 call it batch_input_shape.
  void note_shape(const json& config, const char* key) {
    if (!graph_.input_shape.is_null() || !config.is_object()) return;
    for (const char* name : {key, "batch_input_shape"}) {
      if (config.contains(name)) graph_.input_shape = config[name];
    }
  }

  Ref output_of(const json& config, const Around& around) const {
    const json& list = KerasFields(config, where_).require("output_layers");
    const bool alone = list.is_array() && !list.empty() && list[0].is_string();
    if (!alone && (!list.is_array() || list.size() != 1)) refuse(around, "has not one output, which Convoy's have");
    const json& ref = alone ? list : list[0];
    int node = 0;
    if (!ref.is_array() || ref.size() < 2 || !ref[0].is_string() || !as_integer(ref[1], node)) {
      bad(around, "output_layers: not as Keras writes them");
    }
    return {ref[0].get<std::string>(), node};
  }

  const json& layers_of(const json& config) const {
    return KerasFields(config, where_ + ": a model").require("layers");
  }

  std::string which(const Around& around) const {
    return around.name.empty() ? "model_config" : "model '" + around.name.substr(0, around.name.size() - 1) + "'";
  }
  [[noreturn]] void bad(const Around& around, const std::string& what) const {
    bad_data(where_, which(around) + ": " + what);
  }
  [[noreturn]] void refuse(const Around& around, const std::string& what) const {
    throw Error(ExitCode::kConfig, where_ + ": " + which(around) + " " + what);
  }

  KerasGraph& graph_;
  const std::string& where_;
  size_t entries_ = 0;
};

}  // namespace

std::string keras_snake_case(const std::string& class_name) {
  std::string name = class_name;
  std::erase_if(name, [](unsigned char c) { return std::isalnum(c) == 0 && c != '_'; });
  const auto is = [&](int (*kind)(int), size_t i) {
    return i < name.size() && kind(static_cast<unsigned char>(name[i])) != 0;
  };
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {  // a word begins at a capital beside a small letter
    if (i > 0 && is(std::isupper, i) && (is(std::islower, i - 1) || is(std::islower, i + 1))) out += '_';
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(name[i])));
  }
  return out;
}

KerasGraph read_keras_graph(const std::string& model_config, const std::string& keras_version,
                            const std::string& where) {
  KerasGraph graph;
  graph.document = parse_limited_json(model_config, where + ": model_config");
  graph.generation = generation_of(keras_version);
  if (graph.generation == 1) modernize_keras_one(graph.document, where);
  const KerasFields fields(graph.document, where + ": model_config");
  const std::string class_name = fields.text("class_name");
  const json& config = fields.require("config");
  if (!is_model(class_name)) {
    fields.refuse("a model of class " + class_name.substr(0, 100) + "; Convoy reads Sequential and Functional");
  }
  bool trainable = true;
  if (config.is_object()) {  // Keras 1's Sequential is a list
    const KerasFields model(config, fields.where());
    graph.name = model.text_or("name", "");
    trainable = model.boolean_or("trainable", true);
  }
  graph.output =
      GraphReader(graph, where).model(class_name, config, Around{"", "", "", trainable, false}, KerasNode::kImage);
  LayerNames names;
  for (KerasNode& node : graph.nodes) node.name = names.take(node.name);
  return graph;
}

}  // namespace convoy
